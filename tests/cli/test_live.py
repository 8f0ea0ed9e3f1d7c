"""What a live line says: where it stands, what is waited for, and an end only where one can be told."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from batcher import zone
from batcher.cli.show.following import Forecast, follow_lines
from batcher.cli.show.progress import waits_text
from batcher.follow.follower import FollowStatus
from batcher.follow.verdict import Verdict
from batcher.wave.status import ScopeStatus, WaveStatus

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _utc() -> None:
    zone.choose("utc")


def waits(
    *, reason: str | None = None, doubts_end_in_s: float = 0.0, ready: int = 0, place: int = 0, **wave: Any
) -> str | None:
    scope = ScopeStatus(
        endpoint="https://drs.example.invalid",
        project_id="p",
        entries=100,
        settled=0,
        in_flight=0,
        rate_text="5/s",
        reason=reason,
        held_for_readiness=ready,
        held_for_place=place,
        doubts_end_in_s=doubts_end_in_s,
    )
    return waits_text(WaveStatus(entries=100, waiting=ready + place, scopes=(scope,), **wave), NOON)


def test_it_says_what_is_waited_for() -> None:
    assert waits(ready=3, place=50) == "waiting: 3 for their jobs to get ready, 50 for a place among the running"
    assert waits(in_doubt=2, doubts_end_in_s=100) == "waiting: 2 in doubt until 12:01:40 UTC"
    assert waits() == "waiting: the pace, 5/s"


def test_it_says_nothing_of_the_pace_where_the_scope_is_paused_or_all_is_on_its_way() -> None:
    assert waits(reason="most attempts fail") is None
    assert waits(created=90, in_flight=10) is None


def following(decided: int, *, silent: bool = False) -> FollowStatus:
    verdicts = Counter({Verdict.CONSISTENT: decided})
    return FollowStatus(entries=100, verdicts=verdicts, running=100 - decided, looks=7, silent=silent)


def test_a_following_is_forecast_from_what_was_decided_since_it_began() -> None:
    forecast = Forecast()
    assert forecast.left_s(following(40), 1000.0) is None
    assert forecast.left_s(following(42), 1010.0) is None  # too few to tell
    assert forecast.left_s(following(60), 1020.0) == 40.0
    assert forecast.left_s(following(60, silent=True), 1020.0) is None
    assert forecast.left_s(following(100), 1040.0) is None


def test_a_following_has_a_bar_and_its_lines_fit() -> None:
    shown = follow_lines(following(50), 61.0, 80).plain.splitlines()
    assert shown[0].endswith("  50/100 decided  about 1m01s left")
    assert shown[0].count("━") == shown[0].count("─")
    assert shown[1] == "consistent 50  50 running  7 looks"
    assert all(len(line) <= 40 for line in follow_lines(following(50, silent=True), 61.0, 40).plain.splitlines())
