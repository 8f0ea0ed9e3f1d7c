"""What a run gives to entries that do not say it themselves; found without a way to the cloud."""

from collections.abc import Iterator

from msgspec.structs import replace

from batcher.drs.auth.places import Item
from batcher.drs.auth.sources import CredentialSources, nearby
from batcher.drs.endpoints import endpoint_of_region, is_project_id, normalise_endpoint
from batcher.errors import UserError
from batcher.manifest import Entry, Finding, Manifest, RunDefaults
from batcher.manifest.grouped import once
from batcher.masking import mask_text
from batcher.settings import RunSettings
from batcher.text import printable

UNNAMED_PROJECT = "asked of IAM"
"""Stands for the project where nobody names one, until IAM is asked. No id of a project has a space."""


def run_defaults(settings: RunSettings, sources: CredentialSources | None = None) -> RunDefaults:
    """What *settings* give to entries that do not say it themselves. Raises `UserError`.

    Region and project that they leave open are taken from where other tools have them, as credentials are.
    """
    region, project_id = settings.region, settings.project_id
    if region is None and settings.endpoint is None:
        region = nearby(Item.REGION, sources)
    if project_id is None:
        project_id = nearby(Item.PROJECT_ID, sources)
        if project_id is not None and not is_project_id(project_id):
            said = printable(mask_text(project_id), 70)
            raise UserError(
                f"the environment's project {said!r} is no project id: give the right one with --project-id."
            )
    endpoint = None
    try:
        if settings.endpoint is not None:
            endpoint = normalise_endpoint(settings.endpoint, insecure_http=settings.insecure_http)
        elif region is not None:
            endpoint = endpoint_of_region(region)
    except ValueError as error:
        raise UserError(str(error)) from error
    return RunDefaults(
        endpoint=endpoint,
        project_id=project_id,
        x_language=settings.language,
        insecure_http=settings.insecure_http,
    )


def checked(
    manifest: Manifest, defaults: RunDefaults, *, now: float, allow_duplicates: bool = False
) -> Iterator[Entry | Finding]:
    """Each entry of *manifest*, and every finding, as `batcher check` has them. Touches no network.

    Where nobody names a project, that of the one region in use stands as `UNNAMED_PROJECT`: IAM is asked for it later.
    """
    given = defaults if defaults.project_id else replace(defaults, project_id=UNNAMED_PROJECT)
    unnamed: set[str] = set()
    for item in once(manifest.read(given, now=now, allow_duplicates=allow_duplicates)):
        if isinstance(item, Entry) and item.project_id == UNNAMED_PROJECT:
            unnamed.add(item.endpoint)
        yield item
    if len(unnamed) > 1:  # IAM is asked for the project of one region only
        for item in once(manifest.read(defaults, now=now, allow_duplicates=True)):
            if not isinstance(item, Entry) and item.field == "project_id":
                yield item
