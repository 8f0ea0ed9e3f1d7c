"""From settings to the projects of a discovery, and to a reader for each."""

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct

from batcher.clock import Clock
from batcher.discover.reader import FleetReader
from batcher.drs.auth.find import CredentialFinder
from batcher.drs.auth.iam import Project
from batcher.drs.auth.projects import find_project_id, visible_projects
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.endpoints import endpoint_of_region, region_of_endpoint
from batcher.drs.fleet import FleetCloud
from batcher.errors import UserError
from batcher.follow.connect import connected
from batcher.life.entry import Scope
from batcher.scopes import fleet_of, open_transport
from batcher.settings import RunSettings


class ProjectChoice(Struct, frozen=True, kw_only=True):
    """The projects that the operator names: every one of *project_ids* at every endpoint where it can be; without
    any, the project of each region, or with *all_projects* each that the credential may see there."""

    endpoints: tuple[str, ...]
    project_ids: tuple[str, ...] = ()
    all_projects: bool = False


def endpoints_of(regions: Iterable[str]) -> tuple[str, ...]:
    """The DRS endpoints of *regions*, each once. Raises `UserError`."""
    try:
        return tuple(dict.fromkeys(endpoint_of_region(region) for region in regions))
    except ValueError as error:
        raise UserError(f"--region: {error}.") from None


async def scopes_of(where: ProjectChoice, settings: RunSettings, sources: CredentialSources) -> tuple[Scope, ...]:
    """The projects to discover, as they were named. Asks IAM only where it must. Raises `UserError`."""
    if where.project_ids and len(where.endpoints) == 1:
        return _numbered((where.endpoints[0], project_id) for project_id in where.project_ids)
    found: list[tuple[str, str]] = []
    async with open_transport(settings) as transport:
        finder = CredentialFinder(sources, transport)
        for endpoint in where.endpoints:
            if not where.project_ids and not where.all_projects:
                found.append((endpoint, await find_project_id(finder, endpoint, region_of_endpoint(endpoint))))
                continue
            visible = _of_region(await visible_projects(finder, endpoint), endpoint)
            if where.all_projects:
                found += ((endpoint, project.id) for project in visible)
            else:
                found += ((endpoint, project.id) for project in visible if project.id in where.project_ids)
    missing = sorted(set(where.project_ids) - {project_id for _, project_id in found})
    if missing:
        raise UserError(
            f"IAM does not say in which of the regions project {missing[0]} is: discover one region at a time."
        )
    if not found:
        raise UserError("IAM shows this credential no project of these regions: name one with --project-id.")
    return _numbered(found)


def _of_region(projects: Sequence[Project], endpoint: str) -> Sequence[Project]:
    """Those of *projects* that lie in the region of *endpoint*; their names begin with the region's."""
    region = region_of_endpoint(endpoint)
    if region is None:
        return projects
    return [project for project in projects if project.name == region or project.name.startswith(f"{region}_")]


def _numbered(names: Iterable[tuple[str, str]]) -> tuple[Scope, ...]:
    return tuple(Scope(number, *name) for number, name in enumerate(dict.fromkeys(names)))


@asynccontextmanager
async def readers_of(
    scopes: Sequence[Scope], settings: RunSettings, sources: CredentialSources, clock: Clock
) -> AsyncIterator[dict[Scope, FleetReader]]:
    """A reader for each of *scopes*, while the context lasts. Raises `UserError`."""
    rng = random.Random()
    async with connected(scopes, settings, clock, sources=sources, make=fleet_of) as reads:
        readers = {}
        for scope, one in reads.items():
            assert isinstance(one.cloud, FleetCloud)  # noqa: S101 - it was asked for
            readers[scope] = FleetReader(one.cloud, one, clock, rng)
        yield readers
