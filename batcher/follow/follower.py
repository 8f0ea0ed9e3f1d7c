"""Following a wave: a follower for each of its scopes, and one line in the verdicts file for each entry."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Protocol

from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.outcome import Trouble
from batcher.errors import UserError
from batcher.follow.due_queue import DueQueue
from batcher.follow.followed_entry import FollowedEntry, line_of
from batcher.follow.new_verdict import NewVerdict
from batcher.follow.scope_follower import ScopeFollower
from batcher.follow.spill_file import SpillFile
from batcher.follow.verdict import Verdict
from batcher.logger import in_scope
from batcher.pace.polling import PollPolicy
from batcher.wave.stop import Stop

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowEnd:
    """How a following ended. *stop* is why it ended before the last verdict."""

    verdicts: Path
    status: FollowStatus
    stop: Stop | None
    halted: Mapping[ScopeName, Trouble]


class VerdictSink(Protocol):
    """Takes verdicts: the verdicts file, or a database."""

    def write(self, *lines: NewVerdict) -> None:
        """Take *lines*. Raises `UserError`."""
        ...


class Follower:
    """Follows entries to their verdicts, and writes these down as they fall.

    *on_verdict* is told of every entry that has its final verdict, *on_comparison* of every entry of which one
    comparison has ended and the other has not. Nothing is written before `begin`. Calls raise `VerdictsError` and
    `SpillFailed`.
    """

    def __init__(
        self,
        file: VerdictSink,
        spill: SpillFile,
        polling: PollPolicy,
        clock: Clock,
        rng: random.Random,
        *,
        at_once: int = 16,
        on_verdict: Callable[[FollowedEntry], None] = lambda _: None,
        on_comparison: Callable[[FollowedEntry], None] = lambda _: None,
    ) -> None:
        self._file = file
        self._clock = clock
        self._on_verdict = on_verdict
        self._make_follower = partial(
            ScopeFollower, spill, polling, clock, rng, self._ended, on_comparison=on_comparison, at_once=at_once
        )
        self._followers: dict[ScopeName, ScopeFollower] = {}
        self._readers: Mapping[ScopeName, ScopeReader] | None = None
        self._ended_early = DueQueue(spill, 1.0)  # before `begin`: there was nothing to look at
        self._entries = 0
        self._verdicts: Counter[Verdict] = Counter()

    def has(self, verdict: Verdict) -> None:
        """One entry more has its *verdict* already, in the file."""
        self._entries += 1
        self._verdicts[verdict] += 1

    def add(self, entry: FollowedEntry) -> None:
        """Follow *entry* from now on; one without open comparisons ends at once."""
        self._entries += 1
        scope = (entry.endpoint, entry.project_id)
        if self._readers is None:
            if entry.open_comparisons:
                self._watch(scope).add(entry)
            else:
                self._ended_early.put(entry, 0.0)
        elif entry.open_comparisons and scope in self._readers:
            self._watch(scope).add(entry)
        else:
            self._ended(entry)

    @property
    def scopes(self) -> tuple[ScopeName, ...]:
        """The scopes in which there is something to look at."""
        return tuple(self._followers)

    def begin(self, readers: Mapping[ScopeName, ScopeReader]) -> None:
        """The scopes are looked at by *readers* from now on; `run` does it."""
        self._readers = readers
        while (entry := self._ended_early.take(inf)) is not None:
            self._ended(entry)
            self._ended_early.done(entry)
        for scope in readers:
            self._watch(scope)

    def _watch(self, scope: ScopeName) -> ScopeFollower:
        if scope not in self._followers:
            self._followers[scope] = self._make_follower()
        return self._followers[scope]

    def complete(self) -> None:
        """No more entries will be added."""
        for follower in self._followers.values():
            follower.complete()

    async def run(self) -> None:
        """Follow until every entry has its verdict or its scope has halted."""
        try:
            async with asyncio.TaskGroup() as group:
                for scope, reader in (self._readers or {}).items():
                    group.create_task(_followed(scope, self._followers[scope], reader))
        except ExceptionGroup as failed:
            raise first_of(failed, UserError) or failed from None

    def finish(self, why: str) -> None:
        """Write a line that is not final for every entry without a verdict. *why* says why the following ended."""
        for follower in self._followers.values():
            halted = follower.halted
            said = why if halted is None else halted.error_msg or halted.kind.value
            for entry in follower.unfinished():
                line = line_of(entry, self._clock.now(), stopped=said)
                self._verdicts[line.verdict] += 1
                self._file.write(line)

    @property
    def halted(self) -> Mapping[ScopeName, Trouble]:
        """The scopes that the cloud lets in no more, and why."""
        return {name: follower.halted for name, follower in self._followers.items() if follower.halted is not None}

    def status(self) -> FollowStatus:
        """Where the following stands now."""
        return FollowStatus(
            entries=self._entries,
            verdicts=Counter(self._verdicts),
            running=sum(follower.open for follower in self._followers.values()),
            looks=sum(reader.looks for reader in (self._readers or {}).values()),
            silent=any(follower.silent for follower in self._followers.values()),
        )

    def _ended(self, entry: FollowedEntry) -> None:
        line = line_of(entry, self._clock.now())
        self._file.write(line)
        self._verdicts[line.verdict] += 1
        self._on_verdict(entry)


async def _followed(scope: ScopeName, follower: ScopeFollower, reader: ScopeReader) -> None:
    endpoint, project_id = scope
    in_scope(endpoint or "-", project_id or "-")
    await follower.run(reader)


def first_of(group: BaseExceptionGroup[Exception], kind: type[Exception]) -> Exception | None:
    """The first exception of *kind* in *group*, however deep."""
    for error in group.exceptions:
        if isinstance(error, kind):
            return error
        if isinstance(error, BaseExceptionGroup) and (found := first_of(error, kind)) is not None:
            return found
    return None
