"""Verdicts that a `watch` finds on a wave in a database that nobody follows there: kept there, for all machines.

No lease is needed for that: a verdict is on the comparisons of one result, says which, and is kept once. They are read
from the file that the watch writes, so a verdict is never in the database and not in the file.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import msgspec

from batcher.clock import Clock
from batcher.follow.verdict import identity_of
from batcher.journal.errors import JournalFailed
from batcher.journal.files import WaveFiles
from batcher.journal.postgres.verdicts import FoundVerdict, KeptVerdict, PostgresVerdicts
from batcher.life.result import Result

_EVERY_S = 2.0
_MOST = 200  # in a statement: while it runs nothing of the wave is settled


class _FoundHalf(msgspec.Struct):
    compare_task_id: str | None


class _FoundLine(msgspec.Struct):
    """What is read of a verdict line."""

    key: str
    index: int
    verdict: str
    final: bool
    object_level_compare_result: _FoundHalf | None
    data_level_compare_result: _FoundHalf | None

    @property
    def identity(self) -> tuple[str, tuple[str | None, ...]]:
        """What it is on, as `verdict.identity` has it."""
        halves = (self.object_level_compare_result, self.data_level_compare_result)
        return self.key, tuple(half.compare_task_id for half in halves if half is not None)


_line_of = msgspec.json.Decoder(_FoundLine).decode


class FoundVerdicts:
    """Keeps in *verdicts* of the database what is final in the verdicts file beside *results*.

    *kept* counts those that were new there; *failure* says why no more are kept, where that is so.
    """

    def __init__(self, verdicts: PostgresVerdicts, results: Path, clock: Clock) -> None:
        self._verdicts = verdicts
        self._path = WaveFiles.of(results).verdicts
        self._clock = clock
        self._inode = 0  # of the file that was read up to *_at*
        self._at = 0
        self.kept = 0
        self.failure: str | None = None

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        """Keep what is found while the context lasts, and at its end."""
        ending = asyncio.Event()
        task = asyncio.create_task(self._go_on_until(ending), name="keep verdicts")
        try:
            yield
        finally:
            ending.set()
            await task

    async def _go_on_until(self, ending: asyncio.Event) -> None:
        while not ending.is_set():
            waits = [asyncio.ensure_future(ending.wait()), asyncio.ensure_future(self._clock.sleep(_EVERY_S))]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
            await asyncio.to_thread(self.go_on)

    def go_on(self) -> None:
        """Keep what was found since. Blocks. What fails is told by *failure*, and stops the watch in nothing."""
        if self.failure is not None:
            return
        try:
            new = self._new()
            while lines := list(islice(new, _MOST)):
                self._keep(lines)
        except JournalFailed as error:
            self.failure = error.reason
        except (OSError, msgspec.MsgspecError) as error:
            self.failure = f"{self._path} cannot be read: {error}"

    def _new(self) -> Iterator[tuple[_FoundLine, bytes]]:
        """The final verdicts that came since; all where the file is another one by now."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:
                self._inode, self._at = inode, 0
            file.seek(self._at)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return  # it is being written
                self._at += len(raw)
                line = _line_of(raw)
                if line.final:
                    yield line, raw

    def _keep(self, lines: Sequence[tuple[_FoundLine, bytes]]) -> None:
        """Keep those of *lines* that are on what the database has for their entries."""
        there = self._verdicts.undecided_of([line.index for line, _ in lines])
        found: dict[int, FoundVerdict] = {}  # by the result's number: the first, where a file was put together by hand
        for line, raw in lines:
            seq, body = there.get(line.index, (0, None))
            if body is not None and identity_of(Result.model_validate_json(body)) == line.identity:
                found.setdefault(seq, FoundVerdict(seq, KeptVerdict(line.index, line.verdict, raw)))
        if found:
            self.kept += self._verdicts.record_found([*found.values()])
