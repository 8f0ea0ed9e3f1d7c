"""What is logged at once while a wave runs, and what can wait for the next line."""

import asyncio

import pytest
from rich.console import Console

from batcher.cli.progress import Progress
from batcher.wave.governor import TURNED_AWAY
from batcher.wave.status import ScopeStatus, WaveStatus


class Lines:
    """Counts the lines of a log."""

    def __init__(self) -> None:
        self.said: list[dict[str, object]] = []

    def info(self, event: str, **keys: object) -> None:
        """Keep the line."""
        self.said.append(keys)


@pytest.mark.parametrize(
    ("paused_s", "reason", "lines"),
    [(0.9, TURNED_AWAY, 1), (0.0, TURNED_AWAY, 1), (42.0, TURNED_AWAY, 2), (0.0, "paused by the operator", 2)],
)
async def test_a_moments_pause_is_no_line_of_its_own(
    paused_s: float, reason: str, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that lasts is said at once; one that is over before it is read is left to the ten-second line."""
    monkeypatch.setattr("batcher.cli.progress.REFRESH_S", 0.0)
    pause: tuple[float | None, str | None] = (None, None)

    def snapshot() -> WaveStatus:
        scope = ScopeStatus(
            endpoint="https://drs.example.invalid",
            project_id="p",
            entries=9,
            settled=0,
            in_flight=0,
            rate_text="5/s",
            paused_until_s=pause[0],
            reason=pause[1],
        )
        return WaveStatus(entries=9, scopes=(scope,))

    log = Lines()
    async with Progress(snapshot, Console(file=None, force_terminal=False), log=log):
        for _ in range(5):
            await asyncio.sleep(0)
        pause = (paused_s, reason)
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(log.said) == lines
