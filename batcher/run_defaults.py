"""What a run gives to entries that do not say it themselves; found without a way to the cloud."""

from batcher.drs.auth.places import Item
from batcher.drs.auth.sources import CredentialSources, nearby
from batcher.drs.endpoints import endpoint_of_region, is_project_id, normalise_endpoint
from batcher.errors import UserError
from batcher.manifest import RunDefaults
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
