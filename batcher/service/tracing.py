"""Traces, for those who collect them with OpenTelemetry: a span a run of a wave, within it one an attempt, and one a
request to the service.

They are sent where the standard variables say (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`,
`OTEL_TRACES_SAMPLER` and their like); without an endpoint there are none, and nothing of OpenTelemetry is loaded. What
cannot be sent is dropped: no wave waits for a collector.
"""

import asyncio
import importlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from batcher._version import __version__
from batcher.clock import SystemClock
from batcher.life.events import Answered
from batcher.logger import get_logger
from batcher.masking import mask_text, register_secret

log = get_logger("batcher.service")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_FLUSH_S = 3.0  # at the end, for what is still to be sent
_TOLD_AGAIN_S = 300.0  # of trouble with the collector
_SOUND = frozenset({"created", "partial", "turned_away", "busy", "not_ready"})  # outcomes that are no error


class Tracer(Protocol):
    """Is told what is traced. Nothing here waits or raises."""

    def wave_begins(self, wave: str) -> None:
        """A run of it has been opened."""
        ...

    def wave_ends(self, wave: str) -> None:
        """That run is over."""
        ...

    def attempt(self, wave: str, index: int, answer: Answered, outcome: str) -> None:
        """A create request for the entry at *index* has ended."""
        ...

    def request(self, method: str, route: str, status: int, took_s: float) -> None:
        """A request to the service has just been answered."""
        ...


class NoTraces:
    """Nobody asked for any."""

    def wave_begins(self, wave: str) -> None:
        """Nothing is traced."""

    def wave_ends(self, wave: str) -> None:
        """Nothing is traced."""

    def attempt(self, wave: str, index: int, answer: Answered, outcome: str) -> None:
        """Nothing is traced."""

    def request(self, method: str, route: str, status: int, took_s: float) -> None:
        """Nothing is traced."""

    async def close(self) -> None:
        """Nothing has to be closed."""


class OpenTelemetry:
    """A `Tracer` over OpenTelemetry's SDK, which is loaded by making one. Raises ImportError where it is not there."""

    def __init__(self, environ: Mapping[str, str], now: Callable[[], float]) -> None:
        trace = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        exporter = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        self._api = importlib.import_module("opentelemetry.trace")
        for name in _HEADERS:
            for pair in environ.get(name, "").split(","):
                register_secret(pair.partition("=")[2].strip(), in_part=False)
        _hear_trouble()
        service = {"service.name": environ.get("OTEL_SERVICE_NAME", "batcher"), "service.version": __version__}
        self._provider = trace.TracerProvider(resource=resources.Resource.create(service), shutdown_on_exit=False)
        self._provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("batcher", __version__)
        self._now = now
        self._waves: dict[str, Any] = {}

    def wave_begins(self, wave: str) -> None:
        """Begin the span of *wave*."""
        self._waves[wave] = self._tracer.start_span("wave", context=None, attributes={"batcher.wave": wave})

    def wave_ends(self, wave: str) -> None:
        """End the span of *wave*."""
        span = self._waves.pop(wave, None)
        if span is not None:
            span.end()

    def attempt(self, wave: str, index: int, answer: Answered, outcome: str) -> None:
        """Put a span of a create request below its wave's. Times are those of the request itself."""
        parent = self._waves.get(wave)
        if parent is None:
            return
        known = {
            "batcher.wave": wave,
            "batcher.entry": index,
            "batcher.outcome": outcome,
            "http.response.status_code": answer.http_status,
            "batcher.request_id": answer.request_id,
        }
        span = self._tracer.start_span(
            "create-compare-task",
            context=self._api.set_span_in_context(parent),
            kind=self._api.SpanKind.CLIENT,
            start_time=_ns(answer.sent_at),
            attributes={name: value for name, value in known.items() if value is not None},
        )
        if outcome not in _SOUND:
            span.set_status(self._api.StatusCode.ERROR, outcome)
        span.end(end_time=_ns(answer.sent_at + (answer.took_s or 0.0)))

    def request(self, method: str, route: str, status: int, took_s: float) -> None:
        """Put in a span of a request to the service."""
        now = self._now()
        span = self._tracer.start_span(
            f"{method} {route}".strip(),
            context=None,
            kind=self._api.SpanKind.SERVER,
            start_time=_ns(now - took_s),
            attributes={"http.request.method": method, "http.route": route, "http.response.status_code": status},
        )
        if status >= 500:
            span.set_status(self._api.StatusCode.ERROR)
        span.end(end_time=_ns(now))

    async def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        for span in self._waves.values():
            span.end()
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def flush() -> None:
            self._provider.shutdown()
            try:
                loop.call_soon_threadsafe(done.set)
            except RuntimeError:
                return  # nobody waits any more

        threading.Thread(target=flush, name="traces", daemon=True).start()
        try:
            async with asyncio.timeout(_FLUSH_S):
                await done.wait()
        except TimeoutError:
            log.warning("traces.lost", reason=f"the collector did not take the last of them within {_FLUSH_S:g} s")


def tracer_for(environ: Mapping[str, str] | None, now: Callable[[], float]) -> "OpenTelemetry | NoTraces":
    """The tracer that the variables ask for. *now* is Unix seconds."""
    environ = os.environ if environ is None else environ
    wanted = any(environ.get(name) for name in _ENDPOINTS)
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        wanted = False
    if not wanted:
        return NoTraces()
    try:
        return OpenTelemetry(environ, now)
    except ImportError:
        log.warning("traces.unavailable", reason="OpenTelemetry is not installed: pip install 'drs-batcher[traces]'")
        return NoTraces()


class _TelemetryTrouble(logging.Handler):
    """What OpenTelemetry complains of, in our own log, now and then."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._told_at: float | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, unless something was told a while ago."""
        now = SystemClock.monotonic()
        if self._told_at is None or now - self._told_at > _TOLD_AGAIN_S:
            self._told_at = now
            log.warning("traces.lost", reason=mask_text(record.getMessage()))


def _hear_trouble() -> None:
    theirs = logging.getLogger("opentelemetry")
    theirs.propagate = False
    if not any(isinstance(handler, _TelemetryTrouble) for handler in theirs.handlers):
        theirs.addHandler(_TelemetryTrouble())


def _ns(at: float) -> int:
    return int(at * 1e9)
