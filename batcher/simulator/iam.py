"""The simulated IAM and the gateway's door: tokens, projects by name, signatures. Time is handed in."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from batcher.simulator.chance import draw_hex
from batcher.simulator.replies import Reply, refusal
from batcher.simulator.signatures import SKEW_S, Claim, SignedRequest, is_signed_with, read_claim, signed_at

AuthMode = Literal["off", "token", "aksk", "any"]

FAILURES_TO_LOCK = 5
LOCKED_S = 300.0


@dataclass(frozen=True, slots=True)
class SimulatedUser:
    """Somebody who may have tokens, and see the projects of *domain*."""

    password: str
    domain: str = "simulated-domain"


@dataclass(frozen=True, slots=True)
class SimulatedAccessKey:
    """A secret key; a temporary one has a *security_token* and ends at *expires_at* (Unix seconds)."""

    secret_key: str
    security_token: str | None = None
    expires_at: float | None = None


DEMO_USER = "simulated-user"
DEMO_ACCESS_KEY = "SIMULATEDACCESSKEY00"


def _demo_users() -> dict[str, SimulatedUser]:
    return {DEMO_USER: SimulatedUser("simulated-password")}


def _demo_keys() -> dict[str, SimulatedAccessKey]:
    return {DEMO_ACCESS_KEY: SimulatedAccessKey("simulated-secret-key-of-no-value")}


@dataclass(frozen=True, slots=True, kw_only=True)
class IamConfig:
    """Who is let in. *mode* `off` takes every request, with whatever credential or none.

    *tokens* are good for ever and for every project, beside those that IAM gives out. *project_ids* are the
    projects of a name; a name that is not in there has one, made from the name.
    """

    mode: AuthMode = "off"
    tokens: frozenset[str] = frozenset({"simulated-token"})
    token_life_s: float = 24 * 3600.0
    users: Mapping[str, SimulatedUser] = field(default_factory=_demo_users)
    keys: Mapping[str, SimulatedAccessKey] = field(default_factory=_demo_keys)
    project_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IamReply:
    """An answer of IAM. *subject_token* becomes the header that carries a new token."""

    status: int
    body: bytes
    trace_id: str
    subject_token: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers IAM sends with it, `Date` aside."""
        headers = {"Content-Type": "application/json", "X-IAM-Trace-Id": self.trace_id}
        if self.subject_token is not None:
            headers["X-Subject-Token"] = self.subject_token
        return headers


@dataclass(frozen=True, slots=True)
class _Token:
    project_id: str
    expires_at: float


@dataclass(slots=True)
class _Failures:
    """Bad signatures in a row under one key."""

    in_a_row: int = 0
    locked_until: float = 0.0


class SimulatedIam:
    """Gives out tokens, and says whether a request is let in. *tokens_given* counts them, for tests."""

    def __init__(self, config: IamConfig, rng: random.Random) -> None:
        self.config = config
        self.tokens_given = 0
        self._seed = rng.getrandbits(64)
        self._tokens: dict[str, _Token] = {}
        self._failures: dict[str, _Failures] = {}
        self._asked = 0

    # Tokens and projects ------------------------------------------------------------------------------

    def create_token(self, now: float, body: bytes) -> IamReply:
        """POST /v3/auth/tokens: a token for user, password and domain, scoped to one project."""
        try:
            auth = orjson.loads(body)["auth"]
            identity = auth["identity"]
            user = identity["password"]["user"]
            name, password, domain = user["name"], user["password"], user["domain"]["name"]
            well_formed = identity["methods"] == ["password"]
            scope = auth.get("scope", {}).get("project", {})
            project_id, project_name = scope.get("id"), scope.get("name")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            well_formed = False
        if not well_formed:
            return self._error(400, "Request body is invalid: IAM.1101")
        known = self.config.users.get(name)
        if self.config.mode != "off" and (known is None or known != SimulatedUser(password, domain)):
            return self._error(401, "The username or password is wrong.")
        if project_id is None and project_name is not None:
            found = self._projects_named(project_name)
            if len(found) != 1:
                return self._error(400, f"There are {len(found)} projects named {project_name}.")
            project_id = found[0]
        self.tokens_given += 1
        token = "SIM" + "".join(draw_hex(self._seed, "token", self.tokens_given, part) for part in range(8))
        expires_at = now + self.config.token_life_s
        self._tokens[token] = _Token(project_id or "", expires_at)
        answer = {
            "token": {
                "methods": ["password"],
                "expires_at": _iam_time(expires_at),
                "issued_at": _iam_time(now),
                "user": {"name": name, "domain": {"name": domain}},
                "roles": [{"name": "drs_admin", "id": "0"}],
                **({"project": {"id": project_id, "name": project_name or project_id}} if project_id else {}),
            }
        }
        return IamReply(status=201, body=orjson.dumps(answer), trace_id=self._trace_id(), subject_token=token)

    def find_projects(self, name: str) -> IamReply:
        """GET /v3/projects?name=…: the projects of that name; without a name, all that are configured, or one."""
        names = [name] if name else list(self.config.project_ids) or [""]
        projects = [
            {"id": project_id, "name": one, "domain_id": draw_hex(0, "domain"), "enabled": True}
            for one in names
            for project_id in self._projects_named(one)
        ]
        answer = {"projects": projects, "links": {"self": "", "previous": None, "next": None}}
        return IamReply(status=200, body=orjson.dumps(answer), trace_id=self._trace_id())

    def expire_tokens(self) -> None:
        """Let every token that was given out end now, as when a password is changed."""
        self._tokens.clear()

    def _projects_named(self, name: str) -> tuple[str, ...]:
        return self.config.project_ids.get(name, (draw_hex(0, "project", name),))

    def _trace_id(self) -> str:
        self._asked += 1
        return draw_hex(self._seed, "trace", self._asked)

    def _error(self, status: int, message: str) -> IamReply:
        title = {400: "Bad Request", 401: "Unauthorized"}[status]
        error: dict[str, Any] = {"error": {"message": message, "code": status, "title": title}}
        return IamReply(status=status, body=orjson.dumps(error), trace_id=self._trace_id())

    # The door -----------------------------------------------------------------------------------------

    def let_in(self, now: float, request: SignedRequest, project_id: str | None, request_id: str) -> Reply | None:
        """None: let in; otherwise the gateway's refusal. *project_id* None: a request to IAM itself."""
        mode = self.config.mode
        if mode == "off":
            return None
        claim = read_claim(request.headers.get("authorization", ""))
        if claim is not None and mode in ("aksk", "any"):
            return self._signed(now, request, claim, request_id)
        token = request.headers.get("x-auth-token")
        if token is not None and mode in ("token", "any"):
            return self._with_token(now, token, project_id, request_id)
        wanted = {"token": "X-Auth-Token header", "aksk": "AK/SK signature", "any": "X-Auth-Token header or signature"}
        return _unauthorized(request_id, f"{wanted[mode]} is missing")

    def _with_token(self, now: float, token: str, project_id: str | None, request_id: str) -> Reply | None:
        if token in self.config.tokens:
            return None
        known = self._tokens.get(token)
        if known is None:
            return _unauthorized(request_id, "decrypt token fail")
        if now >= known.expires_at:
            return _unauthorized(request_id, "token expired")
        if project_id is not None and known.project_id != project_id:
            return refusal(request_id, 403, "DRS.M00261", "The project ID is invalid for this token.")
        return None

    def _signed(self, now: float, request: SignedRequest, claim: Claim, request_id: str) -> Reply | None:
        key = self.config.keys.get(claim.access_key)
        if key is None:
            return _unauthorized(request_id, "AK is not existed")
        failures = self._failures.setdefault(claim.access_key, _Failures())
        if now < failures.locked_until:
            return _unauthorized(request_id, "the AK has been locked: verify ak sk signature fail reach the limit")
        date = signed_at(request)
        if date is None or abs(now - date) > SKEW_S:
            return _unauthorized(request_id, "signature expired")
        if key.security_token != request.headers.get("x-security-token"):
            return _unauthorized(request_id, "the security token does not fit the AK")
        if key.expires_at is not None and now >= key.expires_at:
            return _unauthorized(request_id, "signature expired: the temporary AK has ended")
        if not is_signed_with(key.secret_key, request, claim):
            failures.in_a_row += 1
            if failures.in_a_row >= FAILURES_TO_LOCK:
                self._failures[claim.access_key] = _Failures(locked_until=now + LOCKED_S)
            return _unauthorized(request_id, "verify aksk signature fail")
        failures.in_a_row = 0
        return None


def _unauthorized(request_id: str, reason: str) -> Reply:
    return refusal(request_id, 401, "APIGW.0301", f"Incorrect IAM authentication information: {reason}")


def _iam_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
