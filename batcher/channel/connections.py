"""What a process has once, of all that leads to the cloud: the transport, the credentials, and a channel a scope.

One wave may have it to itself, or many share it: then its limits, its way (proxy, authorities, time-outs) and its
credentials are those of the process, and each wave gets passes to the channels of its scopes.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from batcher import open_files
from batcher.channel.channel import ChannelLimits, Channels
from batcher.channel.governor import limit_of
from batcher.channel.other_journals import OtherJournals
from batcher.channel.passes import Pass
from batcher.clock import Clock
from batcher.drs.auth.find import CredentialFinder, GivenToken, UserAtIam
from batcher.drs.auth.none import NO_CREDENTIAL
from batcher.drs.auth.secret import SecretUnusable
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.cloud import Credential
from batcher.life.entry import Scope
from batcher.logger import get_logger
from batcher.scopes import cloud_of, open_transport
from batcher.settings import RunSettings
from batcher.settings.policy import policy_of

log = get_logger("batcher.wave")

CredentialFor = Callable[[Scope], Credential]
_MANY = 64  # scopes for which a process that serves many waves has connections, at least
_Named = tuple[str, str]  # (endpoint, project_id)


class Connections:
    """A process's transport, credentials and channels, as an async context manager.

    *private*: one wave has them to itself. *of_waves* names the limits that are those of the waves in a scope (see
    `ChannelLimits`), in place of what *settings* say. *credential_for* gives each scope its credential; by default it
    is looked for in *sources*. *sharing* are channels that others in the process have, which these share. *address_of*
    gives the address to send a scope's requests to, where that is not its endpoint.
    """

    def __init__(
        self,
        settings: RunSettings,
        *,
        sources: CredentialSources,
        clock: Clock,
        rng: random.Random,
        credential_for: CredentialFor | None = None,
        address_of: Callable[[Scope], str] | None = None,
        sharing: Channels | None = None,
        private: bool = False,
        of_waves: Iterable[str] = (),
    ) -> None:
        policy = policy_of(settings)
        limits = ChannelLimits(
            rate=limit_of(settings.pace),
            read_rate=limit_of(settings.read_pace),
            concurrency=settings.concurrency,
            give_up_after_s=policy.give_up_after_s,
            slack_s=policy.slack_s,
            of_waves=frozenset(of_waves),
        )
        self.settings = settings
        self.sources = sources
        self.clock = clock
        self.is_private = private
        self.credential_for = credential_for
        self.channels = (
            Channels(clock, rng, limits, private=private) if sharing is None else sharing.with_limits(limits)
        )
        self._address_of = address_of or _own_endpoint
        self._stack = AsyncExitStack()
        self._finder: CredentialFinder | None = None
        self._check: Callable[[Iterable[str]], None] | None = None
        self._opening = asyncio.Lock()
        self._credentials: dict[_Named, Credential] = {}
        self.resumed: dict[Path, None] = {}  # journals of waves that were begun before they were opened here

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channels.close()
        await self._stack.aclose()

    def of(self, settings: RunSettings) -> RunSettings:
        """*settings* of a wave, with what belongs to the process as the process has it."""
        if self.is_private:
            return settings
        mine = self.settings
        return settings.model_copy(
            update={
                "timeout": mine.timeout,
                "connect_timeout": mine.connect_timeout,
                "ca_bundle": mine.ca_bundle,
                "proxy": mine.proxy,
                "give_up_after": mine.give_up_after,
            }
        )

    async def credentials(self, scopes: Collection[Scope], *, of: int) -> Mapping[_Named, Credential]:
        """The credentials of *scopes*, of as many a wave has in all. Raises `UserError` where there is none."""
        finder = await self._open(of, scopes)
        wanted = {_named(scope): scope for scope in scopes if _named(scope) not in self._credentials}
        if self.credential_for is not None:
            self._credentials |= {named: self.credential_for(scope) for named, scope in wanted.items()}
        else:
            self._credentials |= await finder.find_in_thread(wanted)
        return {_named(scope): self._credentials[_named(scope)] for scope in scopes}

    async def enter(
        self,
        scopes: Collection[Scope],
        settings: RunSettings,
        credentials: Mapping[_Named, Credential],
        *,
        wave: str,
        priority: int = 0,
        age: float = 0.0,
        concurrency: int,
        beside: Collection[Path] = (),
    ) -> dict[Scope, Pass]:
        """A pass to the channel of each of *scopes*, for *wave*, its journal; those without a credential send nothing.

        *beside* are journals of other waves that earlier processes ran on the same jobs.
        """
        finder = await self._open(len(scopes), ())
        marks = await asyncio.to_thread(self._marks, finder, list(credentials))
        others = None if self.is_private else OtherJournals(Path(wave), beside, self.resumed)
        passes = {}
        for scope in scopes:
            named = _named(scope)
            channel = self.channels.to(*named)
            cloud = cloud_of(
                finder.transport,
                endpoint=self._address_of(scope),
                project_id=scope.project_id,
                credential=credentials.get(named, NO_CREDENTIAL),
                x_language=settings.language,
                hasty_at_first=True,
            )
            passes[scope] = channel.enter(
                cloud,
                wave=wave,
                priority=priority,
                age=age,
                rate=limit_of(settings.pace),
                read_rate=limit_of(settings.read_pace),
                concurrency=concurrency,
                credential=marks.get(named, channel.mark),
                others=others,
            )
        return passes

    async def _open(self, scopes: int, to: Iterable[Scope]) -> CredentialFinder:
        """Open the way, once. Raises `UserError` where it cannot lead to one of *to*."""
        addresses = [self._address_of(scope) for scope in to]
        async with self._opening:
            if self._finder is None or self._check is None:
                many = scopes if self.is_private else max(scopes, _MANY)
                way = open_transport(self.settings, scopes=many, to=addresses, now=self.clock.now)
                transport = await self._stack.enter_async_context(way)
                self._check = transport.check
                self._finder = CredentialFinder(self.sources, transport)
            else:
                self._check(addresses)
            return self._finder

    def _marks(self, finder: CredentialFinder, scopes: Iterable[_Named]) -> dict[_Named, object]:
        """What tells each credential from another: it is equal where the secrets are."""
        if self.credential_for is not None:
            return dict.fromkeys(scopes, "given")
        return {named: _mark(finder, *named) for named in scopes}


def width(concurrency: int, scopes: int) -> int:
    """Requests in flight at once in each scope: as the settings have it, or as many as files may be open."""
    wanted = concurrency * 2 * scopes
    if (room := open_files.room(wanted)) == wanted:
        return concurrency
    instead = max(1, room // (2 * scopes))
    log.warning("wave.concurrency_lowered", instead=instead, of=concurrency)
    return instead


def tell_found(described: Iterable[str], *, as_text: bool) -> None:
    """Log which credentials are used, each with how many scopes it is for; *as_text*, the start text says it."""
    for used, count in Counter(described).items():
        if as_text:
            log.debug("credential.found", used=used, scopes=count)
        else:
            log.info("credential.found", used=used, scopes=count)


def _mark(finder: CredentialFinder, endpoint: str, project_id: str) -> object:
    try:
        match finder.look(endpoint, project_id).parts:
            case GivenToken(source):
                return source.current()
            case UserAtIam(user, source):
                return user, source.current()
            case key:
                return key.current()
    except SecretUnusable:
        return None


def _named(scope: Scope) -> _Named:
    return scope.endpoint, scope.project_id


def _own_endpoint(scope: Scope) -> str:
    return scope.endpoint
