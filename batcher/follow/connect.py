"""From settings to the clouds of some scopes, for the commands that only look."""

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from batcher import logs
from batcher.channel.channel import ChannelLimits, Channels
from batcher.channel.passes import Pass
from batcher.clock import Clock
from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.cloud import Credential
from batcher.life.entry import Scope
from batcher.rates import Rate
from batcher.scopes import CloudOf, cloud_of, open_transport
from batcher.settings import RunSettings

CredentialFor = Callable[[Scope], Credential]


@asynccontextmanager
async def connected(
    scopes: Iterable[Scope],
    settings: RunSettings,
    clock: Clock,
    *,
    sources: CredentialSources | None = None,
    credential_for: CredentialFor | None = None,
    make: CloudOf = cloud_of,
) -> AsyncIterator[dict[Scope, Pass]]:
    """What the look-ups of each of *scopes* go through, while the context lasts; *make* makes the cloud of each.

    Raises `UserError`.
    """
    logs.stay_modest()
    named = tuple(scopes)
    async with open_transport(settings, scopes=len(named), to=[scope.endpoint for scope in named]) as transport:
        finder = CredentialFinder(sources or CredentialSources(), transport)
        if credential_for is not None:
            credentials = {(scope.endpoint, scope.project_id): credential_for(scope) for scope in named}
        else:
            credentials = await finder.find_in_thread((scope.endpoint, scope.project_id) for scope in named)
        limits = ChannelLimits(
            rate=None,
            read_rate=look_up_limit(settings),
            concurrency=settings.concurrency,
            give_up_after_s=None,
            slack_s=0.0,
        )
        channels = Channels(clock, random.Random(), limits, private=True)
        reads = {}
        for scope in named:
            cloud = make(
                finder.transport,
                endpoint=scope.endpoint,
                project_id=scope.project_id,
                credential=credentials[scope.endpoint, scope.project_id],
                x_language=settings.language,
            )
            reads[scope] = channels.to(scope.endpoint, scope.project_id).enter(cloud, wave="")
        yield reads


def look_up_limit(settings: RunSettings) -> Rate | None:
    """The limit of look-ups. To find the cloud's own takes many requests: who only looks keeps to the default."""
    pace = settings.read_pace
    if pace == "auto":
        default: Rate = RunSettings.model_fields["rate"].default
        return default
    return None if pace == "off" else pace
