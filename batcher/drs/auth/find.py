"""Which credential a scope uses: the first that is complete, place by place."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from batcher.clock import SystemClock
from batcher.drs.auth.key_guard import KeyGuard
from batcher.drs.auth.other_cloud import another_cloud
from batcher.drs.auth.places import CredentialPlace, Item, PlainValue
from batcher.drs.auth.secret import SecretSource, SecretUnusable
from batcher.drs.auth.sources import CredentialPlaces, CredentialSources
from batcher.drs.auth.token import TokenCredential
from batcher.drs.cloud import Credential, Transport
from batcher.drs.endpoints import iam_endpoint_of, is_loopback, normalise_endpoint, region_of_endpoint
from batcher.errors import UserError
from batcher.text import counted

if TYPE_CHECKING:  # a run has one kind of credential, and what serves the others is not loaded
    from batcher.drs.auth.access_key import AccessKey, AccessKeyCredential
    from batcher.drs.auth.iam import User
    from batcher.drs.auth.login import Login, Sleep


class GivenToken(Struct, frozen=True):
    """A token that is given."""

    source: SecretSource


class UserAtIam(Struct, frozen=True):
    """An IAM user, and where the password is."""

    user: "User"
    source: SecretSource


class FoundCredential(Struct, frozen=True):
    """The parts of a credential, the place they were found in, and the IAM endpoint that stands there too."""

    parts: "GivenToken | AccessKey | UserAtIam"
    place: CredentialPlace
    iam_endpoint: PlainValue | None


_KINDS: tuple[tuple[Item, ...], ...] = (
    (Item.TOKEN,),
    (Item.AK, Item.SK),
    (Item.USERNAME, Item.PASSWORD, Item.DOMAIN),
)


class CredentialFinder:
    """Finds the credentials of a run's scopes; scopes that use the same one share it.

    Requests go out through `transport`, which keeps access keys from being locked.
    """

    def __init__(
        self,
        sources: CredentialSources,
        transport: Transport,
        *,
        now: Callable[[], float] = SystemClock.now,
        sleep: "Sleep" = asyncio.sleep,
    ) -> None:
        self.transport = KeyGuard(transport)
        self.places = CredentialPlaces(sources)
        self._sources = sources
        self._now, self._sleep = now, sleep
        self._found: dict[str, FoundCredential | None] = {}  # by the place's title
        self._logins: dict[tuple[object, ...], Login] = {}

    def find(self, endpoint: str, project_id: str) -> Credential:
        """The credential of the scope (*endpoint*, *project_id*). Raises `UserError`: it lists where was looked."""
        return self.find_all([(endpoint, project_id)])[endpoint, project_id]

    def find_all(self, scopes: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Credential]:
        """Those of all *scopes*, (endpoint, project id) each. Raises `UserError` with everything that is wrong."""
        found: dict[tuple[str, str], Credential] = {}
        wrong: dict[str, list[str]] = {}
        for endpoint, project_id in scopes:
            try:
                found[endpoint, project_id] = self._credential(endpoint, project_id)
            except SecretUnusable as error:
                wrong.setdefault(str(error), []).append(f"project {project_id} at {endpoint}")
        if wrong:
            raise UserError("\n".join(_no_credential(_first_few(names), why) for why, names in wrong.items()))
        return found

    async def find_in_thread(self, scopes: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Credential]:
        """As `find_all`, beside the event loop: a secret may come from a pipe, and signals must not wait for it."""
        return await asyncio.to_thread(self.find_all, list(scopes))

    def _credential(self, endpoint: str, project_id: str) -> Credential:
        found = self.look(endpoint, project_id)
        match found.parts:
            case GivenToken(source):
                return TokenCredential(source)
            case UserAtIam():
                from batcher.drs.auth.iam import project_scope
                from batcher.drs.auth.login import LoginCredential

                scope = project_scope(project_id=project_id)
                return LoginCredential(self.login(found, endpoint), scope, now=self._now)
            case key:
                return self.signer(key, project_id)

    def signer(self, key: "AccessKey", project_id: str | None) -> "AccessKeyCredential":
        """Signs for the project; None: for IAM itself."""
        from batcher.drs.auth.access_key import AccessKeyCredential

        return AccessKeyCredential(key, project_id, self.transport, now=self._now)

    def look(self, endpoint: str, project_id: str | None) -> FoundCredential:
        """The first complete credential.

        Raises `SecretUnusable`, also where the environment speaks of another cloud.
        """
        named = self._sources.endpoints
        if named is not None and endpoint not in named and (other := another_cloud(endpoint, self._sources.environ)):
            raise SecretUnusable(other)
        halves: list[str] = []
        for place in self.places.of(endpoint, project_id):
            if place.title not in self._found:
                self._found[place.title] = self._in(place)
            if (found := self._found[place.title]) is not None:
                self._check_host(found, endpoint)
                return found
            half = tuple(_half(place))
            if half and place.strict:
                raise SecretUnusable("; ".join(half) + ". Give what is missing, or take away what is there")
            halves += half
        raise SecretUnusable(self._nothing(endpoint, project_id, halves))

    def login(self, found: FoundCredential, endpoint: str) -> "Login":
        """The log-in of a user, shared by whoever logs in as the same one. Raises `SecretUnusable`."""
        from batcher.drs.auth.login import Login

        assert isinstance(found.parts, UserAtIam)  # noqa: S101 - the caller has looked
        user, password = found.parts.user, found.parts.source
        iam_endpoint = self.iam_endpoint(found, endpoint)
        key = (iam_endpoint, user, password.current())
        if key not in self._logins:
            self._logins[key] = Login(self.transport, iam_endpoint, user, password, sleep=self._sleep)
        return self._logins[key]

    def iam_endpoint(self, found: FoundCredential, endpoint: str) -> str:
        """The scope's IAM: as a flag, its profile, our variable or the credential's place has it, or by region.

        Raises `SecretUnusable` where nothing tells.
        """
        places = self.places
        of_profile = found.place.strict and not any(found.place is one for one in (places.own, places.file))
        first = (places.flags, found.place, places.own) if of_profile else (places.flags, places.own)
        said = next((plain for place in first if (plain := place.plain(Item.IAM_ENDPOINT))), found.iam_endpoint)
        if said is not None:
            try:
                return _normalise_iam_endpoint(said.value, insecure_http=self._sources.insecure_http)
            except ValueError as error:
                raise SecretUnusable(f"{said.origin}: {error}") from None
        derived = _derived_iam_endpoint(endpoint)
        if derived is None:
            raise SecretUnusable(
                f"the region table does not know {endpoint}, so its IAM is not known either, and a credential is not "
                "sent to a guess. Name it with --iam-endpoint or BATCHER_IAM_ENDPOINT"
            )
        return derived

    def _in(self, place: CredentialPlace) -> FoundCredential | None:
        """What *place* has, if it is complete; a token before a key before a user."""
        iam_endpoint = self._plain(place, Item.IAM_ENDPOINT)
        token = place.secret(Item.TOKEN)
        if token is not None:
            return FoundCredential(GivenToken(token), place, iam_endpoint)
        ak, sk = place.secret(Item.AK), place.secret(Item.SK)
        if ak is not None and sk is not None:
            from batcher.drs.auth.access_key import AccessKey

            return FoundCredential(AccessKey(ak, sk, place.secret(Item.SECURITY_TOKEN)), place, iam_endpoint)
        password = place.secret(Item.PASSWORD)
        name, domain = self._plain(place, Item.USERNAME), self._plain(place, Item.DOMAIN)
        domain_id = place.plain(Item.DOMAIN_ID) if domain is None else None
        if password is None or name is None or (of := domain or domain_id) is None:
            return None
        from batcher.drs.auth.iam import User

        user = User(name=name.value, domain=of.value, domain_is_id=domain is None)
        return FoundCredential(UserAtIam(user, password), place, iam_endpoint)

    def _plain(self, place: CredentialPlace, item: Item) -> PlainValue | None:
        """*item* at *place*; what is ours may leave it to the config file."""
        return place.plain(item) or (self.places.file.plain(item) if place.strict else None)

    def _check_host(self, found: FoundCredential, endpoint: str) -> None:
        """What could be used by whoever receives it goes to hosts that the operator or the region table names."""
        own = self._sources.endpoints
        if not isinstance(found.parts, GivenToken | UserAtIam) or own is None or endpoint in own:
            return
        if region_of_endpoint(endpoint) or is_loopback(urlsplit(endpoint).hostname or ""):
            return
        raise SecretUnusable(
            f"nobody but the file names {endpoint}, and the region table does not know it, so the credential found "
            f"({found.place.title}) is not sent there. If it is right, say so yourself: "
            f"--endpoint {endpoint}, or a profile for this project with that endpoint"
        )

    def _nothing(self, endpoint: str, project_id: str | None, halves: list[str]) -> str:
        lines = ["none found. Looked for, in this order:"]
        lines += [f"  {place.title}: {_looked_for(place)}" for place in self.places.of(endpoint, project_id)]
        lines += [f"Half of one is there: {half}." for half in halves]
        lines.append("Set one of them, for example BATCHER_TOKEN_FILE=FILE, or HUAWEICLOUD_SDK_AK and _SK")
        return "\n".join(lines)


def _derived_iam_endpoint(endpoint: str) -> str | None:
    """The IAM that belongs to the DRS *endpoint* (normalised); None where the region table does not know it.

    A host that is not in the table is not guessed at: a password would go to whoever owns it. On loopback one
    address serves both, as the simulator does.
    """
    region = region_of_endpoint(endpoint)
    if region is not None:
        return iam_endpoint_of(region)
    return endpoint if is_loopback(urlsplit(endpoint).hostname or "") else None


def _normalise_iam_endpoint(url: str, *, insecure_http: bool = False) -> str:
    """*url* as scheme, host and port. Other tools' names end in `/v3`, which is dropped. Raises `ValueError`."""
    text = url.strip().rstrip("/")
    return normalise_endpoint(text.removesuffix("/v3"), insecure_http=insecure_http)


@contextmanager
def as_user_error(what: str, *, or_else: str) -> Iterator[None]:
    """Turns `SecretUnusable` into the error that a user gets; *or_else* is another way out."""
    try:
        yield
    except SecretUnusable as error:
        raise UserError(f"{_no_credential(what, str(error))} {or_else}.") from None


def _no_credential(what: str, why: str) -> str:
    return f"no credential for {what}: {why}."


def _first_few(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {counted(len(names) - 1, 'more scope')}"


def _half(place: CredentialPlace) -> Iterator[str]:
    """Credentials of which *place* has a part: what is there and what is not."""
    for kind in _KINDS:
        there = [item for item in kind if _has(place, item)]
        missing = [item for item in kind if item not in there]
        if there and missing and place.name(missing[0]) is not None:
            has, lacks = (" and ".join(str(place.name(item)) for item in items) for items in (there, missing))
            yield f"{place.title}: {has} is there, but not {lacks}"


def _has(place: CredentialPlace, item: Item) -> bool:
    if item is Item.DOMAIN and place.plain(Item.DOMAIN_ID) is not None:
        return True
    if item in (Item.USERNAME, Item.DOMAIN):
        return place.plain(item) is not None
    return place.secret(item) is not None


def _looked_for(place: CredentialPlace) -> str:
    kinds = ([place.name(item) for item in kind] for kind in _KINDS)
    return "; ".join(" + ".join(map(str, names)) for names in kinds if all(names))
