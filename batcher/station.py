"""What a process has once, for all its waves: the way to the cloud, credentials, a channel a scope, the clock.

    async with Station(region="eu-west-101", project_id="…", rate="10/s") as station:
        one, two = station.wave("one.csv", "one.jsonl"), station.wave("two.csv", "two.jsonl", priority=10)
        async with one, two:
            await asyncio.gather(one.run(), two.run())

A `Wave` that is opened alone has all of that to itself.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from batcher.api import Wave
from batcher.channel.connections import Connections, CredentialFor
from batcher.channel.left_over import left_over
from batcher.clock import Clock, SystemClock
from batcher.drs.auth.sources import CredentialSources
from batcher.journal.beside import asked_of
from batcher.journal.files import WaveFiles
from batcher.life.entry import Scope
from batcher.settings import RunSettings, load
from batcher.settings.credentials import credential_sources
from batcher.settings.policy import policy_of

MOST_PRIORITY = 100


class Station:
    """Waves of one process, over which the limits hold; an async context manager.

    *settings* are those of `batcher run`; or give them as keywords. What they say of the cloud is for all waves: the
    limits of each scope (`rate`, `read_rate`, `concurrency`) over all of them, proxy, authorities and time-outs, how
    long an outage may last. For *credentials*, *credential_for* and *address_of* see `Wave`. *beside* are the results
    files of waves that earlier processes ran on the same jobs, and that are not opened here: no wave takes what they
    made for its own. *sharing* is another station of the process, with other settings: the two share what belongs to a
    scope, so that its limits hold over both, while waves of the two are in a scope one after the other.
    """

    def __init__(
        self,
        settings: RunSettings | None = None,
        *,
        credentials: CredentialSources | None = None,
        credential_for: CredentialFor | None = None,
        address_of: Callable[[Scope], str] | None = None,
        clock: Clock | None = None,
        beside: Iterable[Path | str] = (),
        sharing: "Station | None" = None,
        **keywords: Any,
    ) -> None:
        if settings is not None and keywords:
            raise TypeError("give settings, or keywords, not both")
        config = None
        if settings is None:
            loaded = load(keywords)
            settings, config = loaded.settings, loaded.config
        self.settings = settings
        self.connections: Connections = Connections(
            settings,
            sources=credentials or credential_sources(settings, config),
            clock=clock or SystemClock(),
            rng=random.Random(),
            credential_for=credential_for,
            address_of=address_of,
            sharing=None if sharing is None else sharing.connections.channels,
        )
        self.connections.resumed |= dict.fromkeys(WaveFiles.of(Path(results)).journal for results in beside)

    async def __aenter__(self) -> Self:
        await self.connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the waves before: what they send goes through here."""
        await self.connections.__aexit__(kind, error, trace)

    def wave(
        self,
        manifest: Path | str,
        results: Path | str | None,
        *,
        settings: RunSettings | None = None,
        priority: int = 0,
        **options: Any,
    ) -> Wave:
        """A wave among the others, to be entered as any `Wave`; *options* are those of `Wave`.

        *settings* are the station's unless given. A `rate`, `read_rate` or `concurrency` of its own bounds the wave
        below what the scope allows to all; what the station's settings say of the way to the cloud counts for it as
        well. Of what waits in a scope, the wave of the highest *priority* (-100 to 100) goes first, among equals the
        oldest; none starves. Raises `ValueError` for another priority.
        """
        if not -MOST_PRIORITY <= priority <= MOST_PRIORITY:
            raise ValueError(f"priority {priority} is none: give a number from -{MOST_PRIORITY} to {MOST_PRIORITY}")
        return Wave(
            manifest,
            results,
            settings=settings or self.settings,
            connections=self.connections,
            priority=priority,
            **options,
        )

    async def take_note(self, journal: Path) -> None:
        """Before any wave is opened: have the channels know what an earlier process left of the wave in *journal*.

        What it sent lately counts for the limits. For a job that it left in doubt no other wave sends anything until
        the request can land no more, or until that wave is opened here. Raises `JournalUnusable`.
        """
        now, policy = self.connections.clock.now(), policy_of(self.settings)
        left = await asyncio.to_thread(asked_of, journal, partial(left_over, name=str(journal), now=now, policy=policy))
        if left is not None:
            left.tell(self.connections.channels, policy)

    def try_again(self, endpoint: str | None = None, project_id: str | None = None) -> None:
        """The next wave may show a credential that was refused once more, in the scopes that are named (None: all).

        Without that it is not tried again while it is the same: too many bad signatures lock a key.
        """
        for (at, project), channel in self.connections.channels.items().items():
            if endpoint in (None, at) and project_id in (None, project):
                channel.try_again()
