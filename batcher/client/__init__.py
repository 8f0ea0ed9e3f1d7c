"""A client of the service: waves handed in, followed and steered over HTTP, through lost connections and restarts."""
