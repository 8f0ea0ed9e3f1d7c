"""How much is asked of the service, counted; and the line in the log for what is no request at all."""

from collections import Counter

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from batcher.buckets import Buckets
from batcher.logger import get_logger
from batcher.service.tracing import NoTraces, Tracer

log = get_logger("batcher.service")
TOLD = web.RequestKey("told", bool)  # that the guard has written its line

REQUESTS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0)  # of the service itself


class Traffic:
    """Requests to the service, by method, route and status; *route* is a pattern, "" where there is none."""

    def __init__(self, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or NoTraces()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.took = Buckets(REQUESTS_S)

    def add(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one more answer."""
        known = method if method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"
        self.requests[known, route, status] += 1
        self.took.add(took_s)
        self._tracer.request(known, route, status, took_s)


class Unparsed(AbstractAccessLogger):
    """Writes the line for what aiohttp could not read as a request, which never comes to the guard."""

    @property
    def enabled(self) -> bool:
        """Whether lines are made: always."""
        return True

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Leave a line of a request. Of what was sent nothing is told: it may be anything."""
        if not request.get(TOLD):
            log.info(
                "service.request",
                method="-",
                path="-",
                status=response.status,
                who=None,
                address=request.remote or "",
                took_ms=round(time * 1000, 1),
            )
