"""`GET /metrics`: where the service stands, in Prometheus' text format, or OpenMetrics where it is asked for.

Every label has few values: states, statuses, outcomes, verdicts, routes, the names of notification targets, and scopes,
of which at most a hundred have names of their own. No label names a wave, a person or a job.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from batcher._version import __version__
from batcher.buckets import Buckets, Counted
from batcher.service.meters import CREATED, OUTCOMES, PARTIAL, Meters, Scope
from batcher.service.traffic import Traffic
from batcher.wave.status import WaveStatus


class ScopeReading(Struct, frozen=True, kw_only=True):
    """One scope over all waves that run in it."""

    limit_per_s: float | None  # None: there is none
    in_flight: int
    is_paused: bool


class MetricsReading(Struct, frozen=True, kw_only=True):
    """All that is told, at one moment. *runs* are the waves that run here, *waves* all there are, by state."""

    meters: Meters
    traffic: Traffic
    runs: Iterable[WaveStatus]
    waves: Mapping[str, int]
    scopes: Mapping[Scope, ScopeReading]
    notices: Mapping[tuple[str, str], int]
    streams: int
    sessions: int


_process = CollectorRegistry()
ProcessCollector(registry=_process)


def text(reading: MetricsReading, accept: str = "") -> tuple[bytes, str]:
    """The text of *reading* in the format that *accept* asks for, and its content type."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_MetricsCollector(reading))
    return encode(registry), content_type


class _MetricsCollector:
    """What prometheus_client asks for."""

    def __init__(self, reading: MetricsReading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        yield InfoMetricFamily("batcher_build", "The version that serves.", {"version": __version__})
        yield from _waves(self._reading)
        yield from _entries(self._reading)
        yield from _attempts(self._reading)
        yield from _scopes(self._reading)
        yield from _itself(self._reading)
        yield from _process.collect()


def _waves(reading: MetricsReading) -> Iterator[Metric]:
    waves = GaugeMetricFamily("batcher_waves", "Waves by state; queued ones wait for their turn.", labels=["state"])
    for state, count in sorted(reading.waves.items()):
        waves.add_metric([state], count)
    yield waves


def _entries(reading: MetricsReading) -> Iterator[Metric]:
    meters = reading.meters
    settled = CounterMetricFamily(
        "batcher_entries_settled", "Entries that got their result while this process ran.", labels=["status"]
    )
    for status in (CREATED, PARTIAL, "failed", "unsettled"):
        settled.add_metric([status], meters.settled[status])
    yield settled
    verdicts = CounterMetricFamily(
        "batcher_verdicts", "Entries whose comparison got its verdict while this process ran.", labels=["verdict"]
    )
    for verdict in ("consistent", "inconsistent", "failed", "timeout", "cancelled", "unknown"):
        verdicts.add_metric([verdict], meters.verdicts[verdict])
    yield verdicts
    runs = list(reading.runs)
    for name, what, count in (
        ("open", "Entries of running waves without a result: the queue.", sum(run.open for run in runs)),
        ("waiting", "Entries of running waves that wait for their next attempt.", sum(run.waiting for run in runs)),
        ("in_doubt", "Entries that may have been sent and are being looked up.", sum(run.in_doubt for run in runs)),
    ):
        yield GaugeMetricFamily(f"batcher_entries_{name}", what, value=count)
    yield GaugeMetricFamily(
        "batcher_oldest_doubt_age_seconds",
        "For how long the outcome of a request has been unknown at most; 0: none is.",
        value=meters.oldest_doubt_s,
    )


def _attempts(reading: MetricsReading) -> Iterator[Metric]:
    meters = reading.meters
    attempts = CounterMetricFamily(
        "batcher_attempts",
        "Create requests that ended, by what became of them.",
        labels=["outcome"],
    )
    for outcome in (CREATED, PARTIAL, *OUTCOMES.values()):
        attempts.add_metric([outcome], meters.attempts[outcome])
    yield attempts
    yield _histogram("batcher_attempt_duration_seconds", "From sending a create request to its end.", meters.latency)
    yield _histogram(
        "batcher_journal_write_duration_seconds", "Until what was written to a journal was on disk.", meters.writes
    )


def _scopes(reading: MetricsReading) -> Iterator[Metric]:
    labels = ["endpoint", "project_id"]
    limit = GaugeMetricFamily(
        "batcher_scope_limit_per_second",
        "Create requests a second that are allowed now; absent: no limit.",
        labels=labels,
    )
    flight = GaugeMetricFamily("batcher_scope_in_flight", "Create requests under way.", labels=labels)
    paused = GaugeMetricFamily("batcher_scope_paused", "1 where nothing is sent for the time being.", labels=labels)
    requests = CounterMetricFamily("batcher_scope_requests", "Create requests that were sent.", labels=labels)
    pauses = CounterMetricFamily("batcher_scope_pauses", "How often a scope paused.", labels=labels)
    for scope, now in sorted(reading.scopes.items()):
        if now.limit_per_s is not None:
            limit.add_metric(scope, now.limit_per_s)
        flight.add_metric(scope, now.in_flight)
        paused.add_metric(scope, now.is_paused)
    meters = reading.meters
    for scope in sorted(meters.requests.keys() | meters.pauses.keys() | reading.scopes.keys()):
        requests.add_metric(scope, meters.requests[scope])
        pauses.add_metric(scope, meters.pauses[scope])
    yield from (limit, flight, paused, requests, pauses)


def _itself(reading: MetricsReading) -> Iterator[Metric]:
    traffic = reading.traffic
    requests = CounterMetricFamily(
        "batcher_http_requests", "Requests to the service.", labels=["method", "route", "status"]
    )
    for (method, route, status), count in sorted(traffic.requests.items()):
        requests.add_metric([method, route, str(status)], count)
    yield requests
    yield _histogram("batcher_http_request_duration_seconds", "Requests to the service; streams last.", traffic.took)
    yield GaugeMetricFamily("batcher_http_streams", "Open event streams and followed lines.", value=reading.streams)
    yield GaugeMetricFamily("batcher_sessions", "Browsers that are logged in.", value=reading.sessions)
    notices = GaugeMetricFamily(
        "batcher_notifications", "Notifications kept, by target and state.", labels=["target", "state"]
    )
    for (target, state), count in sorted(reading.notices.items()):
        notices.add_metric([target, state], count)
    yield notices


def _histogram(name: str, what: str, counts: Buckets) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, what)
    counted: Counted = counts.counted()
    running, buckets = 0, []
    for bound, count in zip((*map(str, counted.bounds), "+Inf"), counted.counts, strict=True):
        running += count
        buckets.append((bound, float(running)))
    family.add_metric([], buckets=buckets, sum_value=counted.sum_s)
    return family
