"""`GET /metrics`."""

from collections.abc import Iterable

from aiohttp import web

from batcher.rates import Rate
from batcher.service.api.call import Call
from batcher.service.guard import Guard
from batcher.service.limits import StreamQuota
from batcher.service.meters import Scope
from batcher.service.metrics import MetricsReading, ScopeReading, text
from batcher.service.models import State
from batcher.service.waves import Waves
from batcher.wave.status import ScopeStatus


class MetricsApi:
    """The handler; it is named after its route."""

    def __init__(self, waves: Waves, guard: Guard, streams: StreamQuota) -> None:
        self._waves = waves
        self._guard = guard
        self._streams = streams

    async def metrics(self, call: Call) -> web.StreamResponse:
        """Where the service stands, for Prometheus."""
        waves = self._waves
        counts = await waves.register.counts()
        runs = waves.backend.statuses()
        reading = MetricsReading(
            meters=waves.meters,
            traffic=self._guard.traffic,
            runs=runs,
            waves={state.value: counts.get(state, 0) for state in State},
            scopes=self._scopes(scope for status in runs for scope in status.scopes),
            notices=await waves.backend.outbox.counts(),
            streams=self._streams.taken,
            sessions=len(self._guard.sessions),
        )
        told, content_type = text(reading, call.request.headers.get("Accept", ""))
        return web.Response(body=told, headers={"Content-Type": content_type})

    def _scopes(self, statuses: Iterable[ScopeStatus]) -> dict[Scope, ScopeReading]:
        scopes: dict[Scope, ScopeReading] = {}
        for status in statuses:
            labels = self._waves.meters.scope(status.endpoint, status.project_id)
            before = scopes.get(labels)
            scopes[labels] = ScopeReading(
                limit_per_s=_per_s(status.rate_text),
                in_flight=status.in_flight + (0 if before is None else before.in_flight),
                is_paused=status.is_paused or (before is not None and before.is_paused),
            )
        return scopes


def _per_s(pace: str) -> float | None:
    """Requests a second of a pace in force, as people read it: "10/s", "8.3/s, searching"; None for "off"."""
    try:
        return Rate.parse(pace.partition(",")[0]).per_s
    except ValueError:
        return None
