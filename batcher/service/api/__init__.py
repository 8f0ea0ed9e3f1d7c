"""The handlers of the paths in `routes`."""
