"""The project of a region, asked of IAM where nobody has named it."""

from msgspec.structs import replace

from batcher.drs.auth.access_key import AccessKey
from batcher.drs.auth.find import CredentialFinder, GivenToken, as_user_error
from batcher.drs.auth.iam import (
    PROJECTS_A_PAGE,
    Passing,
    Project,
    TokenScope,
    domain_scope,
    listed_projects,
    project_scope,
    projects_request,
)
from batcher.drs.auth.login import LoginCredential
from batcher.drs.auth.places import Item
from batcher.drs.auth.token import TokenCredential
from batcher.drs.cloud import Credential, Refusal
from batcher.drs.endpoints import region_of_endpoint
from batcher.drs.paging import Paging, ReadState
from batcher.errors import UserError

_REFUSED = 3  # the exit code for a refused credential
_MAX_PAGES = 100
_OR_NAME_IT = "Or name the project: --project-id ID"


async def find_project_id(finder: CredentialFinder, endpoint: str, region: str | None = None) -> str:
    """The id of the one project that the credential for *endpoint* may mean.

    It is the one of a name that the environment has (`HW_PROJECT_NAME`, …), or of the region's name: of the
    endpoint's own region, else of *region*, else of the environment's. Where none is known, it is the only one there
    is. Raises `UserError`: it lists what was found instead.
    """
    named, hint = finder.places.plain(Item.PROJECT), finder.places.plain(Item.REGION)
    wanted = named.value if named else region_of_endpoint(endpoint) or region or (hint.value if hint else None)
    with as_user_error(f"asking IAM which project is meant at {endpoint}", or_else=_OR_NAME_IT):
        credential, iam_endpoint = _for_iam(finder, endpoint, wanted)
    refusal = await credential.prepare()
    if refusal is None and isinstance(credential, LoginCredential) and credential.project_id is not None:
        return credential.project_id
    projects = refusal or await _projects(finder, credential, iam_endpoint, wanted)
    if isinstance(projects, Refusal):
        or_else = "" if projects.http_status == 401 else f". {_OR_NAME_IT}"
        raise UserError(f"{projects.error_msg}{or_else}.", exit_code=_REFUSED)
    if len(projects) == 1:
        return projects[0].id
    called = f"named {wanted}" if wanted else "at all"
    if not projects:
        raise UserError(f"IAM at {iam_endpoint} shows this credential no project {called}. Name it: --project-id ID.")
    listed = "\n".join(f"  {project.id}  {project.name}" for project in projects)
    raise UserError(f"IAM shows this credential several projects. Choose one with --project-id:\n{listed}")


async def visible_projects(finder: CredentialFinder, endpoint: str) -> tuple[Project, ...]:
    """Every project that the credential for *endpoint* may see, in all regions of its IAM. Raises `UserError`."""
    with as_user_error(f"asking IAM which projects there are at {endpoint}", or_else=_OR_NAME_IT):
        credential, iam_endpoint = _for_iam(finder, endpoint, None)
    projects = await credential.prepare() or await _projects(finder, credential, iam_endpoint, None)
    if isinstance(projects, Refusal):
        raise UserError(f"{projects.error_msg}. {_OR_NAME_IT}.", exit_code=_REFUSED)
    return projects


def _for_iam(finder: CredentialFinder, endpoint: str, wanted: str | None) -> tuple[Credential, str]:
    """The credential for *endpoint*, as IAM takes it, and where that IAM is. Raises `SecretUnusable`."""
    found = finder.look(endpoint, None)
    iam_endpoint = finder.iam_endpoint(found, endpoint)
    match found.parts:
        case GivenToken(source):
            return TokenCredential(source), iam_endpoint
        case AccessKey() as key:
            return finder.signer(key, None), iam_endpoint
    login = finder.login(found, endpoint)
    scope: TokenScope = project_scope(name=wanted) if wanted else domain_scope(login.user)
    return LoginCredential(login, scope), iam_endpoint


async def _projects(
    finder: CredentialFinder, credential: Credential, iam_endpoint: str, wanted: str | None
) -> tuple[Project, ...] | Refusal:
    """All pages of IAM's list."""
    paging: Paging[Project] = Paging(most_pages=_MAX_PAGES)
    while paging.state is ReadState.ON:
        bare = projects_request(iam_endpoint, wanted, paging.number)
        answer = await finder.transport.send(replace(bare, headers={**bare.headers, **credential.headers(bare)}))
        listed = listed_projects(answer)
        if isinstance(listed, Passing):
            return listed.refusal
        if isinstance(listed, Refusal):
            return listed
        paging.add({project.id: project for project in listed}, None, full=len(listed) >= PROJECTS_A_PAGE)
    return tuple(paging.found.values())
