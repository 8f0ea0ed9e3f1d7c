"""What the operator may change of a running wave: pause, resume, rate and concurrency, each said, logged and
remembered.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from batcher import zone
from batcher.channel.governor import limit_of
from batcher.clock import Clock, utc
from batcher.rates import parse_pace
from batcher.text import printable
from batcher.wave.context import log

if TYPE_CHECKING:
    from batcher.wave.lane import Lane
    from batcher.wave.status import WaveStatus

MOST_CONCURRENT = 1000
_QUOTED = 100  # characters of what was asked
_PAUSED = "by the operator, until `batcher control RESULTS resume`"


class Controls:
    """What the operator may change while a wave runs, in all its scopes at once."""

    def __init__(self, lanes: "Sequence[Lane]", clock: Clock) -> None:
        self._lanes = lanes
        self._clock = clock
        self._changed: list[str] = []
        self._paused_s = 0.0  # by pauses that are over
        self._paused_at: float | None = None  # since when it is; None: it is not

    @property
    def paused_s(self) -> float:
        """Seconds for which the wave was paused so far."""
        return self._paused_s + (0.0 if self._paused_at is None else self._clock.monotonic() - self._paused_at)

    @property
    def changed(self) -> tuple[str, ...]:
        """What was changed so far, for people, oldest first."""
        return tuple(self._changed)

    def pause(self) -> str:
        """Create nothing until `resume`. What is in flight is settled."""
        for lane in self._lanes:
            lane.channel_pass.hold(_PAUSED)
        if self._paused_at is None:
            self._paused_at = self._clock.monotonic()
        return self._note("paused")

    def resume(self) -> str:
        """Go on after `pause`."""
        for lane in self._lanes:
            lane.channel_pass.hold(None)
        self._paused_s, self._paused_at = self.paused_s, None
        return self._note("resumed")

    def set_rate(self, text: str) -> str:
        """Create at another pace, written as `--rate` is. Raises `ValueError` with the mend."""
        pace = parse_pace(text)
        for lane in self._lanes:
            lane.channel_pass.set_limit(limit_of(pace))
        return self._note(f"rate {pace} in each scope")

    def set_read_rate(self, text: str) -> str:
        """Look up at another pace, written as `--read-rate` is. Raises `ValueError` with the mend."""
        pace = parse_pace(text)
        for lane in self._lanes:
            lane.channel_pass.set_read_limit(limit_of(pace))
        return self._note(f"read rate {pace} in each scope")

    def set_priority(self, priority: int) -> str:
        """Go before the waves of a lower priority, and after those of a higher one, in the scopes that they share."""
        for lane in self._lanes:
            lane.channel_pass.set_priority(priority)
        return self._note(f"priority {priority}")

    def set_concurrency(self, text: str) -> str:
        """Let so many requests of each scope be in flight. Raises `ValueError` with the mend."""
        told = text.strip()
        if re.fullmatch("[0-9]{1,4}", told) is None or not 1 <= int(told) <= MOST_CONCURRENT:
            said = printable(told, _QUOTED)
            raise ValueError(f"concurrency {said} is none: write a number from 1 to {MOST_CONCURRENT}")
        for lane in self._lanes:
            lane.set_concurrency(int(told))
        return self._note(f"concurrency {int(told)} in each scope")

    def _note(self, what: str) -> str:
        log.warning("wave.changed", what=what)
        self._changed.append(f"{what} (at {zone.clock_text(utc(self._clock.now()))})")
        return what


def orders(
    controls: Controls, status: "Callable[[], WaveStatus]", stop: Callable[[], None]
) -> Callable[[str, str | None], dict[str, Any]]:
    """The handler of the control socket: does what was asked, and answers with where the wave stands then."""

    def handle(do: str, value: str | None) -> dict[str, Any]:
        match do, value:
            case "status", None:
                said = None
            case "pause", None:
                said = controls.pause()
            case "resume", None:
                said = controls.resume()
            case "stop", None:
                stop()
                said = "stopping: what is in flight is settled, and the same command goes on later"
            case "rate", str():
                said = _valued("rate", value, controls.set_rate)
            case "concurrency", str():
                said = controls.set_concurrency(value)
            case _:
                asked = printable(f"{do} {value or 'without a value'}", _QUOTED)
                raise ValueError(f"cannot {asked}: see batcher control --help")
        return {"said": said, "status": to_builtins(status())}

    return handle


def _valued(name: str, value: str, change: Callable[[str], str]) -> str:
    try:
        return change(value)
    except ValueError as error:
        raise ValueError(f"{name} {printable(value, _QUOTED)} {error}") from None
