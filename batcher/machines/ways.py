"""The ways to the cloud that a machine has: for each profile its settings, its credentials and its connections.

The profiles share what belongs to a scope: its limits hold over all of them, and it is one cloud.
"""

import random
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from msgspec import Struct

from batcher.channel.connections import Connections
from batcher.clock import Clock
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.endpoints import endpoint_of_region, normalise_endpoint
from batcher.errors import UserError
from batcher.life.entry import Scope
from batcher.machines.sweep import Named
from batcher.settings import Loaded
from batcher.settings.credentials import credential_sources

_LIMITS = ("rate", "read_rate", "concurrency")
"""What a scope allows: where this machine's settings do not say it, what its waves were submitted with."""


class Way(Struct, frozen=True, kw_only=True):
    """One way: the *profile* of that name, None for the config file's top level, its settings and connections."""

    profile: str | None
    loaded: Loaded
    connections: Connections


class Ways:
    """The ways of this machine, by their order; an async context manager."""

    def __init__(
        self,
        profiles: Sequence[tuple[str | None, Loaded]],
        *,
        clock: Clock,
        rng: random.Random,
        sources: CredentialSources | None = None,
        of_wave: bool = False,
    ) -> None:
        """*profiles* are their names and settings, one at least. *sources* are those of the credentials, where they are
        not those of each profile. *of_wave*: the settings are those that a wave was handed in with, so what they
        allow is the wave's, to be changed by orders, and not this machine's. Raises `SettingsError`."""
        self.clock = clock
        self.rng = rng
        self._stack = AsyncExitStack()
        self._ways: list[Way] = []
        for profile, loaded in profiles:
            sharing = self._ways[0].connections.channels if self._ways else None
            own = sources or credential_sources(loaded.settings, loaded.config)
            connections = Connections(
                loaded.settings,
                sources=own,
                clock=clock,
                rng=rng,
                sharing=sharing,
                of_waves=[name for name in _LIMITS if of_wave or name not in loaded.origins],
            )
            self._ways.append(Way(profile=profile, loaded=loaded, connections=connections))

    async def __aenter__(self) -> Self:
        for way in self._ways:
            await self._stack.enter_async_context(way.connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def to(self, named: Named) -> Way:
        """The way to the scope *named*: the first that has a credential for it, those that name it before others.

        Raises `UserError`, which says for each way why it leads there not.
        """
        scope = Scope(number=0, endpoint=named[0], project_id=named[1])
        why: dict[str, list[str]] = {}
        for way in sorted(self._ways, key=lambda way: _rank(way, named)):
            try:
                normalise_endpoint(named[0], insecure_http=way.loaded.settings.insecure_http)
                await way.connections.credentials([scope], of=1)
            except (UserError, ValueError) as error:
                why.setdefault(str(error), []).append(way.profile or "")
            else:
                return way
        if len(why) == 1:
            raise UserError(next(iter(why)))
        raise UserError("\n".join(f"profile {', '.join(profiles)}: {text}" for text, profiles in why.items()))

    async def described(self, scopes: Iterable[Named]) -> dict[Named, str]:
        """Which credential each of *scopes* has here, for people: of one that has none, what that means."""
        said: dict[Named, str] = {}
        for named in dict.fromkeys(scopes):
            try:
                way = await self.to(named)
                found = await way.connections.credentials([Scope(0, *named)], of=1)
            except UserError as error:
                said[named] = f"nothing is sent from here: {error.message}"
            else:
                said |= {scope: credential.describe() for scope, credential in found.items()}
        return said


def _rank(way: Way, named: Named) -> int:
    """How well *way* fits the scope *named*, 0 best: it names its project, its endpoint, neither, or another."""
    settings = way.loaded.settings
    endpoint, project_id = named
    at = settings.endpoint or (endpoint_of_region(settings.region) if settings.region else None)
    if at is not None and at != endpoint:
        return 3
    if settings.project_id is not None:
        return 0 if settings.project_id == project_id else 3
    return 1 if at is not None else 2
