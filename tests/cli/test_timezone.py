"""The zone of the times that people read: one setting for every command, while the files stay UTC."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batcher import zone
from batcher.settings.deadline import Deadline
from tests.cli.commands import lines_of
from tests.cli.conftest import Batcher, Cloud

RESULTS = Path("results.jsonl")
KOLKATA = r"\d\d:\d\d:\d\d(\.\d+)? \+05:30"


def test_every_command_shows_times_in_the_zone_and_the_files_stay_utc(
    batcher: Batcher, cloud: Cloud, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud(creates=("throttled",))
    ran = batcher("run", manifest, "-o", RESULTS, "--timezone", "Asia/Kolkata")
    assert re.search(rf"^{KOLKATA} warning turned away by the cloud's limit", ran.err, re.MULTILINE)
    assert re.search(r"to \d\d:\d\d:\d\d \+05:30, ", ran.err)
    assert "UTC" not in ran.err
    for line in lines_of(RESULTS):
        assert line["submitted_at"].endswith("Z")
    shown = ("explain", RESULTS, "--index", "0"), ("report", RESULTS)
    for command in shown:
        assert re.search(KOLKATA, batcher(*command, "--timezone", "Asia/Kolkata").out)
        assert " UTC" in batcher(*command, "--timezone", "utc").out
    monkeypatch.setenv("BATCHER_TIMEZONE", "Asia/Kolkata")
    assert all(re.search(KOLKATA, batcher(*command).out) for command in shown)
    monkeypatch.delenv("BATCHER_TIMEZONE")
    Path("batcher.toml").write_text('timezone = "UTC"\n[profiles.far]\ntimezone = "Asia/Kolkata"\n', encoding="utf-8")
    assert all(" UTC" in batcher(*command).out for command in shown)
    monkeypatch.setenv("BATCHER_PROFILE", "far")
    assert all(re.search(KOLKATA, batcher(*command).out) for command in shown)


def test_lines_of_the_log_name_their_scope_and_json_stays_utc(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud(creates=("throttled",))
    ran = batcher("run", manifest, "-o", RESULTS, "--timezone", "Asia/Kolkata", "--log-format", "json")
    told = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    line = next(line for line in told if line["event"] == "limit.exceeded")
    assert line["at"].endswith("Z")
    assert line["scope"].endswith("@" + simulator.url.removeprefix("http://"))


@pytest.mark.parametrize(
    ("name", "mend"), [("Europe/Berln", "did you mean Europe/Berlin?"), ("Asia", "write local, utc"), ("../zone", "")]
)
@pytest.mark.parametrize("command", [("check", "wave.csv"), ("explain", "results.jsonl", "--index", "0")])
def test_a_zone_that_is_none_is_bad_usage(batcher: Batcher, command: tuple[str, ...], name: str, mend: str) -> None:
    ended = batcher(*command, "--timezone", name)
    assert ended.code == 2
    assert "is no time zone known here" in ended.err
    assert mend in ended.err


def test_what_both_ends_of_a_span_share_is_said_once() -> None:
    zone.choose("Europe/Berlin")
    began, ended = datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert zone.span_text(ended, ended) == "2026-10-25 02:30:00 to 02:30:00 +01:00"
    # In the hour that comes twice the time of day alone would say nothing.
    assert zone.span_text(began, ended) == "2026-10-25 02:30:00 +02:00 to 02:30:00 +01:00"


def test_a_deadline_is_read_in_the_same_zone() -> None:
    noon = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    assert Deadline.parse("18:00").seconds_from(noon, zone.zone_of("Asia/Kolkata")) == 30 * 60
    assert Deadline.parse("17:30").seconds_from(noon, zone.zone_of("Asia/Kolkata")) == 24 * 3600
    # The clocks go forward in the night between.
    evening = datetime(2026, 3, 28, 21, 0, tzinfo=UTC)
    assert Deadline.parse("06:00").seconds_from(evening, zone.zone_of("Europe/Berlin")) == 7 * 3600


def test_the_start_says_when_a_deadline_falls(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    """Whoever reads it sees whether the time of day was taken as it was meant."""
    cloud()
    ended = batcher("run", manifest, "-o", RESULTS, "--timezone", "Asia/Kolkata", "--deadline", "23:59:59")
    assert re.search(r"nothing new after 23:59:59 \+05:30 \(in [0-9hms.]+\)", ended.err)
