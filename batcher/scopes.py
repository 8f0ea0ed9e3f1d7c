"""From settings to scopes: the way to the cloud, what entries get that they do not say, the project of a region."""

import asyncio
from dataclasses import replace

from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.places import Item
from batcher.drs.auth.projects import find_project_id
from batcher.drs.auth.sources import CredentialSources, nearby
from batcher.drs.endpoints import endpoint_of_region, normalise_endpoint
from batcher.drs.transport import AiohttpTransport
from batcher.errors import UserError
from batcher.manifest import Entry, Manifest, RunDefaults
from batcher.settings import RunSettings

_UNNAMED = "to-be-asked-of-iam"


def open_transport(settings: RunSettings, *, scopes: int = 1) -> AiohttpTransport:
    """The way to the cloud that *settings* ask for, with connections enough for so many scopes."""
    return AiohttpTransport(
        limit=settings.concurrency * 2 * max(1, scopes),
        connect_timeout_s=settings.connect_timeout,
        total_timeout_s=settings.timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )


def run_defaults(settings: RunSettings, sources: CredentialSources | None = None) -> RunDefaults:
    """What *settings* give to entries that do not say it themselves. Raises `UserError`.

    Region and project that they leave open are taken from where other tools have them, as credentials are.
    """
    region, project_id = settings.region, settings.project_id
    if region is None and settings.endpoint is None:
        region = nearby(Item.REGION, sources)
    if project_id is None:
        project_id = nearby(Item.PROJECT_ID, sources)
    endpoint = None
    try:
        if region is not None:
            endpoint = endpoint_of_region(region)
        elif settings.endpoint is not None:
            endpoint = normalise_endpoint(settings.endpoint, insecure_http=settings.insecure_http)
    except ValueError as error:
        raise UserError(str(error)) from error
    return RunDefaults(
        endpoint=endpoint,
        project_id=project_id,
        x_language=settings.language,
        insecure_http=settings.insecure_http,
    )


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
    async with open_transport(settings) as transport:
        return await find_project_id(CredentialFinder(sources, transport), endpoint, settings.region)


def _without_project(manifest: Manifest, defaults: RunDefaults, now: float) -> set[str]:
    """The endpoints of entries for which nobody names a project."""
    entries = manifest.read(replace(defaults, project_id=_UNNAMED), now=now, allow_duplicates=True)
    return {entry.endpoint for entry in entries if isinstance(entry, Entry) and entry.project_id == _UNNAMED}
