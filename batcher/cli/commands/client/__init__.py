"""The commands that only a service is needed for."""
