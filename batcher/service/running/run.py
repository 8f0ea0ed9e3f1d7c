"""One run of one wave in this process: from its opening to an outcome, steered meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from msgspec import Struct

from batcher import exits
from batcher.api import Wave
from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.gate.accepted import read_acceptances
from batcher.gate.result import evaluate
from batcher.gate.wave_entries import entries_of
from batcher.homes import expanded
from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.life.result import Status
from batcher.logger import get_logger
from batcher.manifest import finding_line
from batcher.service.models import State
from batcher.settings import RunSettings
from batcher.wave.engine import WaveEnd
from batcher.wave.opening import BadManifest
from batcher.wave.sink import SinkFailed
from batcher.wave.status import WaveStatus
from batcher.wave.stop import Stop, StopKind

log = get_logger("batcher.service")

_AGAIN_S = 30.0  # until a wave whose files cannot be written is tried again
_DISK = frozenset({StopKind.JOURNAL, StopKind.RESULTS})


class RunOutcome(Struct, frozen=True, kw_only=True):
    """How a run ended. *again_s*: seconds until it is to go on by itself; None: it is not."""

    state: State
    exit_code: int | None
    reason: str | None
    counts: Mapping[str, int] | None = None
    verdicts: Mapping[str, int] | None = None
    again_s: float | None = None


class Run:
    """A run of *wave*, which is not open yet; its results go to *results*. *on_open* is awaited before anything is
    sent."""

    def __init__(self, wave: Wave, results: Path, on_open: Callable[[], Awaitable[None]]) -> None:
        self._wave = wave
        self._results = results
        self._on_open = on_open
        self._is_held = False
        self._changes: dict[str, str] = {}
        self.is_cut = False  # the service ends; the wave goes on with its next start
        self._asked: str | None = None  # why somebody stopped it

    # --- steering it ------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Create nothing until `resume`."""
        if not self._is_held:
            self._is_held = True
            if self._wave.is_open:
                self._wave.hand.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._is_held:
            self._is_held = False
            if self._wave.is_open:
                self._wave.hand.resume()

    def stop(self, reason: str) -> None:
        """Stop it in order."""
        self._asked = self._asked or reason
        self._wave.stop(Stop(StopKind.ASKED, reason))

    def cut(self) -> None:
        """The service ends: settle what is in flight, and leave the rest to its next start."""
        self.is_cut = True
        self._wave.stop(Stop(StopKind.SUSPENDED, "the service is ending; the wave goes on when it starts again"))

    def abandon(self) -> None:
        """Leave at once; what is in flight is looked up by the next run."""
        self._wave.abandon()

    def change(self, changes: Mapping[str, str]) -> None:
        """Run at another `rate`, `read_rate`, `concurrency` or `priority` from now on. Raises `ValueError`."""
        self._changes |= changes
        if self._wave.is_open:
            self._apply()

    def _apply(self) -> None:
        changes, self._changes = self._changes, {}
        controls = self._wave.hand
        set_by = {
            "rate": controls.set_rate,
            "read_rate": controls.set_read_rate,
            "concurrency": controls.set_concurrency,
        }
        for name, value in changes.items():
            if name == "priority":
                controls.set_priority(int(value))
            else:
                set_by[name](value)

    # --- looking at it ----------------------------------------------------------------------------------

    @property
    def settings(self) -> RunSettings:
        """The settings it was begun with."""
        return self._wave.settings

    def status(self) -> WaveStatus | None:
        """Where the wave stands; None before it is open."""
        return self._wave.status() if self._wave.is_open else None

    def following(self) -> FollowStatus | None:
        """Where the following of its comparisons stands; None where nothing is followed."""
        return self._wave.following() if self._wave.is_open else None

    # --- running it -------------------------------------------------------------------------------------

    async def play(self) -> RunOutcome:
        """Run it to its end. Whatever goes wrong is told in the outcome."""
        try:
            async with self._wave as wave:
                await self._on_open()
                if self._is_held:
                    wave.hand.pause()
                self._apply()
                end = await wave.run()
                followed = await wave.follow()
            return await self._outcome(end, followed)
        except (JournalFailed, SinkFailed, OSError) as error:
            return self._again(str(error))
        except BadManifest as error:
            first = finding_line(error.findings[0])
            return self._stopped(exits.USAGE, f"the manifest is no longer sound, as it was when it came in: {first}")
        except NotAJournal as error:
            return self._stopped(exits.USAGE, str(error))
        except UserError as error:
            if self._asked is not None:
                return self._stopped(exits.STOPPED, self._asked)
            if error.exit_code == exits.STOPPED:
                return self._again(error.message)
            log.error("service.wave_refused", wave=self._results.parent.name, error=error.message)
            return self._stopped(error.exit_code, in_brief(error.message))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("service.wave_failed", wave=self._results.parent.name, exc_info=error)
            return self._stopped(
                exits.DEFECT, f"a defect in batcher: {error!r}. What is on disk is safe: start it again"
            )

    async def _outcome(self, end: WaveEnd, followed: FollowEnd | None) -> RunOutcome:
        code, reason = end.exit_code, _reason(end)
        counts = {status.value: getattr(end.status, status.value) for status in Status}
        verdicts = None
        if followed is not None:
            verdicts = {verdict.value: count for verdict, count in followed.status.verdicts.items()}
            if code in (exits.CREATED, exits.INCOMPLETE):
                code = await asyncio.to_thread(self._judged, followed) or code
                reason = reason or (None if followed.stop is None else followed.stop.text)
        if end.stop is not None and end.stop.kind in _DISK:
            again = self._again(end.stop.text)
            return RunOutcome(
                state=again.state, exit_code=None, reason=again.reason, counts=counts, verdicts=verdicts,
                again_s=again.again_s,
            )  # fmt: skip
        is_early = end.stop is not None or bool(end.halted) or (followed is not None and followed.stop is not None)
        return RunOutcome(
            state=State.STOPPED if is_early else State.ENDED,
            exit_code=code,
            reason=reason,
            counts=counts,
            verdicts=verdicts,
        )

    def _judged(self, followed: FollowEnd) -> int:
        """What the gate makes of it, as an exit code."""
        if followed.halted:
            return exits.STOPPED
        accepted = self._wave.settings.allow_inconsistent
        acceptances = () if accepted is None else read_acceptances(expanded(accepted))
        return evaluate(entries_of([self._results]), acceptances, utc_now().date()).exit_code

    def _again(self, reason: str) -> RunOutcome:
        text = f"{reason}. It is tried again by itself"
        return RunOutcome(state=State.QUEUED, exit_code=None, reason=text, again_s=_AGAIN_S)

    def _stopped(self, exit_code: int, reason: str) -> RunOutcome:
        return RunOutcome(state=State.STOPPED, exit_code=exit_code, reason=reason)


def in_brief(text: str) -> str:
    """*text* in a line, for whoever looks at the wave: what the operator's machine was searched for is in its log."""
    short = text.partition("\n")[0].partition(" Looked for, in this order:")[0]
    return text if short == text else f"{short} The service's log says more."


def _reason(end: WaveEnd) -> str | None:
    if end.stop is not None:
        return end.stop.text
    said = [f"{scope}: {trouble.error_msg or trouble.kind.value}" for scope, trouble in end.halted.items()]
    return "; ".join(said) or None
