"""The cloud's room: wire models, endpoints, credentials, the HTTP client, the sorting of failures."""
