"""Following a wave: a watch for each of its scopes, and one line in the verdicts file for each entry."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from batcher.channel.reader import Reader
from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.follow.followed import Followed, followed, line_of
from batcher.follow.verdict import Verdict, VerdictLine
from batcher.follow.verdicts_file import VerdictsError, VerdictsFile
from batcher.follow.watch import Watch
from batcher.life.entry import PlannedEntry
from batcher.life.result import Result
from batcher.pace.patience import Patience

ScopeName = tuple[str | None, str | None]  # (endpoint, project_id), as result lines have them


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowStatus:
    """Where the following stands."""

    entries: int
    verdicts: Mapping[Verdict, int]
    running: int
    looks: int  # requests sent
    silent: bool  # the cloud does not answer

    @property
    def decided(self) -> int:
        """Entries with a verdict."""
        return sum(self.verdicts.values())


class Follower:
    """Follows entries to their verdicts, and writes these down as they fall.

    *on_verdict* sees every line that is final, *on_part* every entry of which one comparison has ended and the other
    has not. Entries whose verdict is in the file already are not asked about again.
    """

    def __init__(
        self,
        readers: Mapping[ScopeName, Reader],
        file: VerdictsFile,
        patience: Patience,
        clock: Clock,
        rng: random.Random,
        *,
        at_once: int = 16,
        on_verdict: Callable[[VerdictLine], None] = lambda _: None,
        on_part: Callable[[Followed], None] = lambda _: None,
    ) -> None:
        self._file = file
        self._clock = clock
        self._on_verdict = on_verdict
        self._readers = readers
        self._watches = {
            name: Watch(reader, patience, clock, rng, self._ended, on_part=on_part, at_once=at_once)
            for name, reader in self._readers.items()
        }
        self._entries = 0
        self._verdicts: Counter[Verdict] = Counter()

    def add(self, result: Result, plan: PlannedEntry | None = None) -> None:
        """Follow the entry of *result*; *plan* is what the journal has of it. Raises `VerdictsError`."""
        self._entries += 1
        if (kept := self._file.kept.get(result.index)) is not None:
            self._verdicts[kept.verdict] += 1
            self._on_verdict(kept)
            return
        entry = followed(result, plan)
        watch = self._watches.get((result.endpoint, result.project_id))
        if watch is None or not entry.open_parts:
            self._ended(entry)
        else:
            watch.add(entry)

    def complete(self) -> None:
        """No more entries will be added."""
        for watch in self._watches.values():
            watch.complete()

    async def run(self) -> None:
        """Follow until every entry has its verdict or its scope has halted. Raises `VerdictsError`."""
        try:
            async with asyncio.TaskGroup() as group:
                for watch in self._watches.values():
                    group.create_task(watch.run())
        except ExceptionGroup as failed:
            raise first_of(failed, VerdictsError) or failed from None

    def finish(self, why: str) -> None:
        """Write a line that is not final for every entry without a verdict. *why* says why the following ended."""
        for watch in self._watches.values():
            halted = watch.halted
            for entry in watch.unfinished:
                said = why if halted is None else halted.error_msg or halted.kind.value
                line = line_of(entry, self._clock.now(), stopped=said)
                self._verdicts[line.verdict] += 1
                self._file.write(line)

    @property
    def halted(self) -> Mapping[ScopeName, Trouble]:
        """The scopes that the cloud lets in no more, and why."""
        return {name: watch.halted for name, watch in self._watches.items() if watch.halted is not None}

    def status(self) -> FollowStatus:
        """Where it stands now."""
        return FollowStatus(
            entries=self._entries,
            verdicts=Counter(self._verdicts),
            running=sum(watch.open for watch in self._watches.values()),
            looks=sum(reader.looks for reader in self._readers.values()),
            silent=any(watch.silent for watch in self._watches.values()),
        )

    def _ended(self, entry: Followed) -> None:
        line = line_of(entry, self._clock.now())
        self._file.write(line)
        self._verdicts[line.verdict] += 1
        self._on_verdict(line)


def first_of(group: BaseExceptionGroup[Exception], kind: type[Exception]) -> Exception | None:
    """The first exception of *kind* in *group*, however deep."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := first_of(error, kind)) is not None:
            return found
    return None
