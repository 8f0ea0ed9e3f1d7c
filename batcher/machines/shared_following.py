"""The following of a shared wave as `batcher run --wait` has it: verdicts are brought from the database to their file,
whoever finds them, until all are there."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.durations import duration_text
from batcher.follow.follower import FollowEnd, FollowStatus, ScopeName
from batcher.follow.verdict import Verdict
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.verdicts import note_settled
from batcher.machines.shared_status import WaveSighting
from batcher.machines.verdicts_export import VerdictsExport
from batcher.machines.wave_part import WavePart
from batcher.wave.stop import Stop, StopKind


class SharedFollowing:
    """Brings the verdicts on the wave with that *number* to the file beside *results*.

    *timeout_s* is for how long, from when every entry is settled; None: to the last. *is_of_wave*: those who follow it
    elsewhere are told from when that counts for them.
    """

    def __init__(
        self,
        keeper: PostgresKeeper,
        number: int,
        results: Path,
        timeout_s: float | None,
        clock: Clock,
        *,
        is_of_wave: bool = True,
    ) -> None:
        """Blocks. Raises `UserError`."""
        self._keeper = keeper
        self._number = number
        self._export = VerdictsExport(keeper.verdicts(number), results)
        self._timeout_s = timeout_s
        self._clock = clock
        self._settled_at: float | None = None  # monotonic: when every entry was seen to be
        self._is_noted = not is_of_wave

    def go_on(self) -> None:
        """Bring what was found since. Blocks. Raises `VerdictsError`, `JournalFailed`."""
        self._export.go_on()
        if self._settled_at is not None and self._timeout_s is not None and not self._is_noted:
            note_settled(self._keeper.link, self._number)
            self._is_noted = True

    def why_over(self, sight: WaveSighting) -> Stop | None:
        """Why nothing is followed any more, before the last verdict; None: something is. Every entry is settled."""
        now = self._clock.monotonic()
        if self._settled_at is None:
            self._settled_at = now
        if sight.standing.orders.stop is not None:
            return sight.stop()
        is_own = self._timeout_s is not None and now - self._settled_at >= self._timeout_s
        if is_own:
            return Stop(StopKind.WATCH_TIMEOUT, f"--watch-timeout {duration_text(self._timeout_s or 0)} is over")
        if not sight.standing.followed:
            return Stop(StopKind.WATCH_TIMEOUT, "the --watch-timeout of the wave is over")
        return None

    def finish(self, sight: WaveSighting, stop: Stop | None, halted: Mapping[ScopeName, Trouble]) -> None:
        """Bring the last, and a line that is not final for what has none. Blocks. Raises `UserError`,
        `JournalFailed`."""
        self._export.go_on()
        if sight.is_decided and self._export.count != sight.decided:
            self._export.anew()  # something was taken back and settled anew meanwhile
        if not sight.is_decided:
            why = stop.text if stop is not None else next((t.error_msg or t.kind.value for t in halted.values()), "")
            self._export.finish(self._clock.now(), why or "the scope was stopped")

    def end(
        self, sight: WaveSighting, stop: Stop | None, halted: Mapping[ScopeName, Trouble], parts: Iterable[WavePart]
    ) -> FollowEnd:
        """How the following ended."""
        return FollowEnd(verdicts=self._export.path, status=self.status(sight, parts), stop=stop, halted=dict(halted))

    def status(self, sight: WaveSighting, parts: Iterable[WavePart]) -> FollowStatus:
        """Where the following stands; *parts* are those of the wave that this process runs."""
        standing = sight.standing
        here = [status for part in parts if (status := part.following()) is not None]
        return FollowStatus(
            entries=standing.settled,
            verdicts={Verdict(name): count for name, count in standing.verdicts.items()},
            running=max(0, standing.settled - sight.decided),
            looks=sum(status.looks for status in here),
            silent=any(status.silent for status in here),
        )

    def close(self) -> None:
        """Let go of the file. Raises `VerdictsError`."""
        self._export.close()
