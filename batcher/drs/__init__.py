"""The cloud's room: wire models, endpoints, credentials, the HTTP client, what failures mean."""
