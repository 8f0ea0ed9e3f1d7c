"""How much is asked of the service, counted."""

from collections import Counter

from batcher.buckets import Buckets
from batcher.service.tracing import NoTraces, Tracer

REQUESTS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0)  # of the service itself


class Traffic:
    """Requests to the service, by method, route and status; *route* is a pattern, "" where there is none."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or NoTraces()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.took = Buckets(REQUESTS_S)

    def add(self, method: str, route: str, status: int, took_s: float) -> None:
        """One more."""
        known = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
        self.requests[known, route, status] += 1
        self.took.add(took_s)
        self._tracer.request(known, route, status, took_s)
