"""From settings to scopes: the way to the cloud, the cloud itself, the project of a region."""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from batcher import open_files
from batcher.clock import SystemClock
from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.cloud import Cloud, Credential, Transport
from batcher.drs.transport import AiohttpTransport
from batcher.drs.v3.client import DrsClient
from batcher.manifest import Entry, Manifest, RunDefaults
from batcher.run_defaults import UNNAMED_PROJECT, run_defaults
from batcher.settings import RunSettings

if TYPE_CHECKING:
    from batcher.drs.fleet import FleetCloud

__all__ = ["cloud_of", "fleet_of", "open_transport", "project_at", "run_defaults", "with_project"]


class CloudOf(Protocol):
    """Makes the cloud of one scope, (endpoint, project id)."""

    def __call__(
        self, transport: Transport, *, endpoint: str, project_id: str, credential: Credential, x_language: str | None
    ) -> Cloud:
        """The cloud of that scope. *x_language* is for requests that name no language of their own."""
        ...


def cloud_of(
    transport: Transport,
    *,
    endpoint: str,
    project_id: str,
    credential: Credential,
    x_language: str | None = None,
    hasty_at_first: bool = False,
) -> Cloud:
    """The cloud of one scope. Which version of the API is spoken is said here, and nowhere else.

    With *hasty_at_first*, reads wait less long for their answer until one has come.
    """
    return DrsClient(
        transport,
        endpoint=endpoint,
        project_id=project_id,
        credential=credential,
        x_language=x_language,
        hasty_at_first=hasty_at_first,
    )


def fleet_of(
    transport: Transport, *, endpoint: str, project_id: str, credential: Credential, x_language: str | None = None
) -> "FleetCloud":
    """As `cloud_of`, for who also reads the scope's jobs."""
    from batcher.drs.v3.fleet_client import FleetClient  # no wave reads a fleet

    return FleetClient(
        transport, endpoint=endpoint, project_id=project_id, credential=credential, x_language=x_language
    )


def open_transport(
    settings: RunSettings, *, scopes: int = 1, to: Iterable[str] = (), now: Callable[[], float] = SystemClock.now
) -> AiohttpTransport:
    """The way to the cloud that *settings* ask for, with connections enough for so many scopes.

    *to* are the endpoints: raises `UserError` where a proxy that is named for one of them cannot be used. *now* gives
    Unix seconds, for when requests left.
    """
    transport = AiohttpTransport(
        limit=open_files.room(settings.concurrency * 2 * max(1, scopes)),
        connect_timeout_s=min(settings.connect_timeout, settings.timeout),
        total_timeout_s=settings.timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
        now=now,
    )
    transport.check(to)
    return transport


async def with_project(
    manifest: Manifest, defaults: RunDefaults, settings: RunSettings, sources: CredentialSources, now: float
) -> RunDefaults:
    """*defaults* with the region's project, asked of IAM, if *manifest* has entries for which nobody names one.

    Where those are in several regions nothing is asked: each entry must say its own. Raises `UserError`.
    """
    if defaults.project_id is not None:
        return defaults
    endpoints = await asyncio.to_thread(_without_project, manifest, defaults, now)
    if len(endpoints) != 1:
        return defaults
    return replace(defaults, project_id=await project_at(endpoints.pop(), settings, sources))


async def project_at(endpoint: str, settings: RunSettings, sources: CredentialSources) -> str:
    """The id of the project that the credential for *endpoint* means, asked of IAM. Raises `UserError`."""
    from batcher.drs.auth.projects import find_project_id  # most waves name theirs

    async with open_transport(settings, to=[endpoint]) as transport:
        return await find_project_id(CredentialFinder(sources, transport), endpoint, settings.region)


def _without_project(manifest: Manifest, defaults: RunDefaults, now: float) -> set[str]:
    """The endpoints of entries for which nobody names a project."""
    entries = manifest.read(replace(defaults, project_id=UNNAMED_PROJECT), now=now, allow_duplicates=True)
    return {entry.endpoint for entry in entries if isinstance(entry, Entry) and entry.project_id == UNNAMED_PROJECT}
