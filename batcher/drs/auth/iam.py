"""IAM's two calls that we need: a token for a user name and password, and the projects a credential may see."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from msgspec import Struct

from batcher.drs.answer import Answer
from batcher.drs.auth.explain import explain, refusal_text
from batcher.drs.auth.secret import HiddenBytes, Secret
from batcher.drs.cloud import HttpRequest, Refusal
from batcher.drs.error_body import read_object, retry_after, text
from batcher.drs.failures import classify_call
from batcher.drs.outcome import ErrorKind, Fate, Foreign, Trouble

_JSON = {"Content-Type": "application/json;charset=utf8", "Accept": "application/json"}


class User(Struct, frozen=True, kw_only=True):
    """An IAM user. *domain* is the account's name, or its id where *domain_is_id*."""

    name: str
    domain: str
    domain_is_id: bool = False

    @property
    def domain_ref(self) -> dict[str, str]:
        """The domain as IAM's bodies name it."""
        return {"id" if self.domain_is_id else "name": self.domain}


class IssuedToken(Struct, frozen=True, kw_only=True):
    """A token as IAM issued it. *lifetime_s* is from its issue to its end, so that no clock of ours plays a part;
    None where the answer does not tell. *project_id* is what it is for; None: for a domain."""

    token: Secret
    lifetime_s: float | None
    project_id: str | None = None


class Passing(Struct, frozen=True):
    """IAM could not be asked just now; *refusal* is for when that does not pass. *wait_s* is what IAM asked for."""

    refusal: Refusal
    wait_s: float | None = None


class Project(Struct, frozen=True):
    """A project of IAM's list: in the main project of a region, *name* is the region's."""

    id: str
    name: str


TokenScope = Mapping[str, Any]


def project_scope(*, project_id: str | None = None, name: str | None = None) -> TokenScope:
    """A token for one project: by its id, or by its name, which for a region's own project is the region's."""
    return {"project": {"id": project_id} if project_id is not None else {"name": name}}


def domain_scope(user: User) -> TokenScope:
    """A token for the user's account as a whole."""
    return {"domain": user.domain_ref}


def token_request(iam_endpoint: str, user: User, password: Secret, scope: TokenScope) -> HttpRequest:
    """POST /v3/auth/tokens, without the long catalogue in the answer."""
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": user.name, "password": password.reveal(), "domain": user.domain_ref}},
    }
    return HttpRequest(
        method="POST",
        url=f"{iam_endpoint}/v3/auth/tokens?nocatalog=true",
        headers=_JSON,
        body=HiddenBytes(orjson.dumps({"auth": {"identity": identity, "scope": scope}})),
    )


def issued_token(answer: Answer) -> IssuedToken | Refusal | Passing:
    """What IAM's answer to `token_request` says."""
    value = answer.headers.get("x-subject-token", "").strip()
    if answer.http_status != 201 or not value:
        return refusal(answer, login=True)
    body = read_object(answer.body) or {}
    token = body.get("token")
    token = token if isinstance(token, Mapping) else {}
    project = token.get("project")
    begin, end = _time(token.get("issued_at")), _time(token.get("expires_at"))
    return IssuedToken(
        token=Secret(value),
        lifetime_s=end - begin if begin is not None and end is not None and end > begin else None,
        project_id=text(project.get("id")) if isinstance(project, Mapping) else None,
    )


def projects_request(iam_endpoint: str, name: str | None, page: int) -> HttpRequest:
    """GET /v3/projects: those of the name, or all."""
    query = {**({"name": name} if name else {}), "page": page, "per_page": PROJECTS_A_PAGE}
    return HttpRequest(method="GET", url=f"{iam_endpoint}/v3/projects?{urlencode(query)}", headers=_JSON, body=b"")


PROJECTS_A_PAGE = 1000


def listed_projects(answer: Answer) -> tuple[Project, ...] | Refusal | Passing:
    """What IAM's answer to `projects_request` says; an answer that is no sound list is a refusal."""
    body = read_object(answer.body)
    listed = body.get("projects") if body is not None and answer.http_status == 200 else None
    if not isinstance(listed, list):
        return refusal(answer)
    found = ((text(item.get("id")), text(item.get("name"))) for item in listed if isinstance(item, Mapping))
    return tuple(Project(project_id, name or "") for project_id, name in found if project_id is not None)


def refusal(answer: Answer, *, login: bool = False) -> Refusal | Passing:
    """Why IAM's answer is not what was asked for: for good, or `Passing`. By (status, code), never by text."""
    status = answer.http_status
    trouble = classify_call(answer)
    if trouble is None:
        said = f"status {status} without what was asked for"
        return Refusal(f"IAM gave an answer that cannot be read: {said}. Check that it is IAM's address", None, status)
    if status is None or trouble.foreign is not None:
        return _not_reached(answer, trouble)
    code, told = trouble.error_code, trouble.error_msg
    said = ": ".join(filter(None, (code, told)))
    if trouble.fate is Fate.TURNED_AWAY or status in _PASSING:
        way_out = "Run the same command again later"
        msg = f"IAM cannot answer just now ({said}). {way_out}"
        return Passing(Refusal(msg, code, status, passing=True), retry_after(answer))
    if trouble.kind in (ErrorKind.NOT_FOUND, ErrorKind.PROTOCOL):
        return Refusal(f"IAM does not serve what was asked for ({said}). Check that it is IAM's address", code, status)
    why = explain(error_code=code, error_msg=told, kind=trouble.kind, login=login)
    return Refusal(refusal_text(why, code, told), code, status, why.cause)


def _not_reached(answer: Answer, trouble: Trouble) -> Refusal | Passing:
    """Nobody answered, or somebody else than IAM. A login that somebody refuses is not tried again: it may be IAM's
    own refusal, in another form, and wrong passwords lock the user."""
    status = answer.http_status
    way_out = "Check the network, the proxy and the IAM endpoint, then run the same command again"
    msg = f"IAM could not be reached: {trouble.error_msg}. {way_out}"
    if trouble.foreign is Foreign.BARRED or status == 401:
        return Refusal(msg, None, status)
    return Passing(Refusal(msg, None, status, passing=True), retry_after(answer))


_PASSING = frozenset({408, 500, 502, 503, 504})


def _time(value: object) -> float | None:
    """IAM's `2026-01-02T00:00:00.000000Z` in Unix seconds."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.timestamp() if moment is not None and moment.tzinfo is not None else None
