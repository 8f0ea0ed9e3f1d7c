"""Deadlines as people write them."""

import time as clock
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from batcher.settings.deadline import Deadline


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is that of Berlin."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # 13:00 in Berlin


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30m", 1800),
        ("90", 90),
        ("1h30m", 5400),
        ("13:30", 1800),
        ("13:00:30", 30),
        ("6:00", 17 * 3600),
        ("13:00", 24 * 3600),
        ("2026-11-25T14:00:00+01:00", 3600),
        ("2026-11-25T13:00:00Z", 3600),
        ("2020-01-01T00:00:00Z", 0),
    ],
)
def test_seconds_left(text: str, seconds: float) -> None:
    """A duration from the start, the next such time of day, or a moment."""
    assert Deadline.parse(text).seconds_from(NOON) == seconds


@pytest.mark.usefixtures("berlin")
def test_a_time_of_day_follows_the_zone_through_its_changes() -> None:
    """In the night in which the clocks go forward, six o'clock comes an hour sooner."""
    evening = datetime(2026, 3, 28, 22, 0, tzinfo=timezone(timedelta(hours=1)))
    assert Deadline.parse("06:00").seconds_from(evening) == 7 * 3600


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("25:00", "no time of day"),
        ("soon", "no deadline"),
        ("0", "no time to send"),
        ("2026-11-25T13:00:00", "no zone"),
        ("2026-13-45", "no time"),
        ("-5m", "no deadline"),
    ],
)
def test_what_is_none_says_how_to_write_one(text: str, why: str) -> None:
    """Every refusal names the mend."""
    with pytest.raises(ValueError, match=f"{why}.*write a duration"):
        Deadline.parse(text)


@pytest.mark.parametrize("text", ["30m", "06:00", "13:00:30", "2026-11-25T14:00:00+01:00"])
def test_its_text_reads_back_the_same(text: str) -> None:
    """What is shown can be typed."""
    deadline = Deadline.parse(text)
    assert str(deadline) == text
    assert Deadline.parse(str(deadline)) == deadline
