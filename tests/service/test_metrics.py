"""Metrics: what is counted agrees with the simulated cloud's ledger, labels are few, and promtool is content."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batcher import RunSettings, Wave
from batcher.clock import SystemClock
from batcher.drs.outcome import Accepted, ErrorKind, Fate, Half, Made, Trouble
from batcher.service.meters import MOST_SCOPES, OTHER, OUTCOMES, Meters, outcome_of
from batcher.service.metrics import MetricsReading, ScopeReading, text
from batcher.service.traffic import Traffic
from batcher.simulator.faults import parse_profile
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.status import ScopeStatus, WaveStatus

FAULTS = "creates:reset-after=10%,reset-before=5%,throttled=10%,500-before=5%"
CONFIG = Path(__file__).parents[2] / "config"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")


def reading(
    meters: Meters | None = None, traffic: Traffic | None = None, runs: Iterable[WaveStatus] = ()
) -> MetricsReading:
    return MetricsReading(
        meters=meters or Meters(SystemClock()),
        traffic=traffic or Traffic(),
        runs=runs,
        waves={"running": 1, "ended": 7},
        scopes={
            ("https://drs.example", 'p"\\\n1'): ScopeReading(limit_per_s=5.0, in_flight=2, is_paused=True),
            ("https://drs.example", "p2"): ScopeReading(limit_per_s=None, in_flight=0, is_paused=False),
        },
        notices={("portal", "sent"): 3},
        streams=4,
        sessions=5,
    )


def samples(told: bytes) -> dict[tuple[str, str], float]:
    """Each sample by its name and its labels' values."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(told.decode())
        for sample in family.samples
    }


def status(*scopes: ScopeStatus) -> WaveStatus:
    return WaveStatus(entries=9, created=2, waiting=1, in_doubt=3, scopes=scopes)


def scope(number: int = 0, sent: int = 0, reason: str | None = None) -> ScopeStatus:
    return ScopeStatus(
        endpoint="e",
        project_id=f"p{number}",
        entries=1,
        settled=0,
        in_flight=0,
        rate_text="5/s",
        sent=sent,
        reason=reason,
    )


@pytest.fixture
def busy() -> MetricsReading:
    """Something of everything."""
    meters, traffic = Meters(SystemClock()), Traffic()
    meters.journal_of("w1", None)  # type: ignore[arg-type]
    meters.look("w1", status(scope(sent=4, reason="an outage")), {"consistent": 0})
    meters.look("w1", status(scope(sent=6)), {"consistent": 3})
    meters.latency.add(0.3)
    meters.writes.add(0.002)
    meters.attempts["created"] += 5
    traffic.add("GET", "/v1/waves/{id}", 200, 0.01)
    traffic.add("BREW", "", 405, 0.0)
    return reading(meters, traffic, [status(scope())])


def test_what_is_told(busy: MetricsReading) -> None:
    told = samples(text(busy)[0])
    assert told["batcher_waves", "running"] == 1
    assert told["batcher_attempts_total", "created"] == 5
    assert told["batcher_attempts_total", "unknown"] == 0  # it is there before it happens, so that increase() sees it
    assert told["batcher_scope_requests_total", "e,p0"] == 6
    assert told["batcher_scope_pauses_total", "e,p0"] == 1
    assert told["batcher_verdicts_total", "consistent"] == 3
    assert told["batcher_entries_open", ""] == 7
    assert told["batcher_entries_in_doubt", ""] == 3
    assert told["batcher_scope_limit_per_second", 'https://drs.example,p"\\\n1'] == 5
    assert ("batcher_scope_limit_per_second", "https://drs.example,p2") not in told
    assert told["batcher_attempt_duration_seconds_bucket", "0.25"] == 0
    assert told["batcher_attempt_duration_seconds_bucket", "0.5"] == 1
    assert told["batcher_attempt_duration_seconds_bucket", "+Inf"] == 1
    assert told["batcher_http_requests_total", "GET,/v1/waves/{id},200"] == 1
    assert told["batcher_http_requests_total", "other,,405"] == 1
    assert told["batcher_notifications", "sent,portal"] == 3


def test_openmetrics_where_it_is_asked_for(busy: MetricsReading) -> None:
    told, content_type = text(busy, "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert told.endswith(b"# EOF\n")


@needs_promtool
def test_promtool_is_content(busy: MetricsReading) -> None:
    told, content_type = text(busy)
    assert content_type.startswith("text/plain")
    checked = subprocess.run(["promtool", "check", "metrics"], input=told, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_labels_are_few_whatever_is_handed_in() -> None:
    meters = Meters(SystemClock())
    for wave in range(5):
        meters.journal_of(f"w{wave}", None)  # type: ignore[arg-type]
        meters.look(f"w{wave}", status(*(scope(number=100 * wave + n, sent=1) for n in range(100))))
        meters.end(f"w{wave}")
    assert len(meters.requests) == MOST_SCOPES + 1
    assert meters.requests[OTHER] == 500 - MOST_SCOPES
    assert meters.requests.total() == 500


def test_what_earlier_runs_did_is_not_counted_again() -> None:
    meters = Meters(SystemClock())
    for _ in range(2):  # the second is another run of the same wave
        meters.journal_of("w1", None)  # type: ignore[arg-type]
        meters.look("w1", status(scope(sent=1)), {"consistent": 10})
        meters.look("w1", status(scope(sent=3)), {"consistent": 10})
        meters.look("w1", status(scope(sent=3)), {"consistent": 12})
        meters.end("w1")
    assert meters.requests.total() == 6
    assert meters.verdicts.total() == 4


def test_an_outcome_is_that_of_the_half_that_matters_more() -> None:
    def trouble(fate: Fate) -> Trouble:
        return Trouble(fate=fate, kind=ErrorKind.SERVER)

    assert outcome_of({Half.OBJECT: Made("1"), Half.DATA: Made("2")}) == "created"
    assert outcome_of({Half.OBJECT: Made("1"), Half.DATA: trouble(Fate.REFUSED)}) == "partial"
    assert outcome_of({Half.OBJECT: Made("1"), Half.DATA: trouble(Fate.MAYBE)}) == "unknown"
    assert outcome_of({Half.OBJECT: Made("1"), Half.DATA: Accepted()}) == "unknown"
    for fate in Fate:
        assert outcome_of({Half.OBJECT: trouble(fate)}) == OUTCOMES[fate]


async def test_what_is_counted_agrees_with_the_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wave with throttling, lost answers and refusals, by the simulated cloud's own ledger."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BATCHER_TOKEN", "simulated-token")
    manifest = tmp_path / "jobs.csv"
    manifest.write_text(
        "job_id,object_level_compare_type\n" + "".join(f"job-{number},objects\n" for number in range(60))
    )
    meters = Meters(SystemClock())
    async with Simulator(ServiceConfig(seed=5, latency_s=(0.0, 0.01), faults=parse_profile(FAULTS))) as simulator:
        settings = RunSettings(endpoint=simulator.url, project_id="p", rate="200/s", landing_time=0.5, timeout=0.5)
        wave = Wave(
            manifest,
            tmp_path / "results.jsonl",
            settings=settings,
            wrap_journal=lambda journal: meters.journal_of("w1", journal),
        )
        async with wave:
            await wave.run()
            end = wave.status()
            meters.look("w1", end)
        creates = [
            event
            for event in simulator.ledger
            if isinstance(event, RequestSeen) and event.call == "create-compare-task"
        ]
    assert meters.attempts.total() == end.attempts
    assert len(creates) <= end.attempts
    assert meters.attempts["turned_away"] == end.throttled
    assert meters.requests.total() == end.attempts
    assert meters.attempts["unknown"] > 0, "no answer was lost: the test would show nothing"
    assert meters.settled == {"created": end.created} | ({"failed": end.failed} if end.failed else {})
    assert end.created + end.failed == 60
    assert meters.latency.counted().total == end.attempts
    assert meters.oldest_doubt_s == 0
    meters.end("w1")


# What stands in config/ -----------------------------------------------------------------------------------------


def named(expression: str) -> set[str]:
    """The metrics that *expression* reads."""
    return set(re.findall(r"\b(?:batcher|process)_\w+", expression))


def known(busy: MetricsReading) -> set[str]:
    return {name for name, _ in samples(text(busy)[0])}


def test_the_dashboard_reads_what_is_told(busy: MetricsReading) -> None:
    dashboard = json.loads((CONFIG / "grafana-dashboard.json").read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    read = set().union(*(named(target["expr"]) for panel in panels for target in panel["targets"]))
    assert read <= known(busy)
    assert {name for name in known(busy) if name.startswith("batcher_scope")} <= read
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


def test_the_alerts_read_what_is_told(busy: MetricsReading) -> None:
    rules = (CONFIG / "prometheus-alerts.yml").read_text(encoding="utf-8")
    assert named(rules) <= known(busy)


@needs_promtool
def test_each_alert_is_raised_by_its_trouble_and_by_nothing_else(tmp_path: Path) -> None:
    shutil.copy(CONFIG / "prometheus-alerts.yml", tmp_path)
    shutil.copy(Path(__file__).with_name("alerts.yml"), tmp_path)
    for words in (["check", "rules", "prometheus-alerts.yml"], ["test", "rules", "alerts.yml"]):
        ended = subprocess.run(["promtool", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    alerts = set(re.findall(r"- alert: (\w+)", (tmp_path / "prometheus-alerts.yml").read_text()))
    raised = re.findall(r"alertname: (\w+)\n\s+exp_alerts", (tmp_path / "alerts.yml").read_text())
    assert set(raised) == alerts
