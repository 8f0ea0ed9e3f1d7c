"""What is logged at once while a wave runs, and what can wait for the next line."""

import asyncio
import io

import pytest
from structlog.testing import capture_logs

from batcher.channel.governor import TURNED_AWAY
from batcher.cli.show.progress import progress
from batcher.cli.show.terminal import Screen
from batcher.wave.status import ScopeStatus, WaveStatus


def wave(*, paused_s: float | None = None, reason: str | None = None, settled: int = 0) -> WaveStatus:
    """A wave of one scope."""
    scope = ScopeStatus(
        endpoint="https://drs.example.invalid",
        project_id="p",
        entries=9,
        settled=settled,
        in_flight=0,
        rate_text="5/s",
        paused_until_s=paused_s,
        reason=reason,
    )
    return WaveStatus(entries=9, created=settled, scopes=(scope,))


async def lines_about(*statuses: WaveStatus) -> list[int]:
    """How many entries were done by each line that is logged while a wave goes through *statuses*."""
    status = statuses[0]
    with capture_logs() as lines:
        async with progress(lambda: status, Screen(io.StringIO())):
            for status in statuses:  # noqa: B007 - the snapshot reads it
                for _ in range(5):
                    await asyncio.sleep(0)
    return [line["done"] for line in lines]


@pytest.fixture(autouse=True)
def _looked_at_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.cli.show.progress.REFRESH_S", 0.0)


@pytest.mark.parametrize(
    ("paused_s", "reason", "lines"),
    [(0.9, TURNED_AWAY, []), (0.0, TURNED_AWAY, []), (42.0, TURNED_AWAY, [2]), (0.0, "paused by the operator", [2])],
)
async def test_a_moments_pause_is_no_line_of_its_own(paused_s: float, reason: str, lines: list[int]) -> None:
    """One that lasts is said at once; one that is over before it is read is left to the ten-second line."""
    assert await lines_about(wave(), wave(settled=2, paused_s=paused_s, reason=reason)) == lines


async def test_nothing_is_logged_until_something_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """How a wave begins is in the start text; a line every ten seconds has what came since."""
    assert await lines_about(wave(), wave()) == []
    monkeypatch.setattr("batcher.cli.show.progress.LOG_EVERY_S", 0.0)
    assert await lines_about(wave(), wave(), wave(settled=3), wave(settled=3), wave(settled=4)) == [3, 4]
