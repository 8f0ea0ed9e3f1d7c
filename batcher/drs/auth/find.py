"""Which credential a scope uses: the first that is complete, place by place."""

import asyncio
import getpass
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from batcher.drs.auth.access_key import AccessKey, AccessKeyCredential
from batcher.drs.auth.iam import User
from batcher.drs.auth.iam_endpoint import derived_iam_endpoint, normalise_iam_endpoint
from batcher.drs.auth.key_guard import KeyGuard
from batcher.drs.auth.login import Login, LoginCredential, Sleep
from batcher.drs.auth.options import NO_OPTIONS, CredentialOptions, ScopeProfile, flag
from batcher.drs.auth.places import (
    BATCHER_NAMES,
    OPENSTACK_NAMES,
    SDK_NAMES,
    TERRAFORM_NAMES,
    EnvironmentPlace,
    Item,
    OptionsPlace,
    Place,
    Plain,
    SdkProfilePlace,
)
from batcher.drs.auth.secret import GivenSecret, SecretSource, Unusable
from batcher.drs.auth.token import TokenCredential
from batcher.drs.cloud import Credential, Transport
from batcher.drs.endpoints import is_loopback, region_of_endpoint
from batcher.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSources:
    """Everything credentials may come from. *options* are flags, *file_options* what the config file says for all
    scopes, *profiles* its sections for single projects; *environ*, *home*, *stdin* are this process's by default.

    *endpoints* are those that the operator named himself (None: all): a token or a password of his is not sent to a
    host that only a manifest names, unless the region table knows it.
    """

    options: CredentialOptions = NO_OPTIONS
    file_options: CredentialOptions = NO_OPTIONS
    file_title: str = "the config file"
    profiles: tuple[ScopeProfile, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    home: Path = field(default_factory=Path.home)
    stdin: TextIO | None = None
    endpoints: frozenset[str] | None = None
    insecure_http: bool = False


def find_credential(
    *, endpoint: str, project_id: str, transport: Transport, sources: CredentialSources | None = None
) -> Credential:
    """The credential of one scope; for several, make one `CredentialFinder`. Raises `UserError`."""
    return CredentialFinder(sources or CredentialSources(), transport).find(endpoint, project_id)


@dataclass(frozen=True, slots=True)
class _Token:
    source: SecretSource
    place: Place


@dataclass(frozen=True, slots=True)
class _Key:
    key: AccessKey
    place: Place


@dataclass(frozen=True, slots=True)
class _User:
    user: User
    password: SecretSource
    iam_endpoint: Plain | None
    place: Place


_Found = _Token | _Key | _User

_SECRETS_OF_KINDS: tuple[tuple[Item, ...], ...] = (
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
        now: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.transport = KeyGuard(transport)
        self._sources = sources
        self._now, self._sleep = now, sleep
        self._stdin: tuple[str, GivenSecret] | None = None
        self._found: dict[str, _Found | None] = {}
        self._logins: dict[tuple[object, ...], Login] = {}

    def find(self, endpoint: str, project_id: str) -> Credential:
        """The credential of the scope (*endpoint*, *project_id*). Raises `UserError`: it lists where was looked."""
        scope = f"project {project_id} at {endpoint}"
        try:
            found = self._first(scope, endpoint, project_id)
            if isinstance(found, _Key):
                return AccessKeyCredential(found.key, project_id, self.transport, now=self._now)
            self._check_host(found, endpoint)
            if isinstance(found, _Token):
                return TokenCredential(found.source)
            return LoginCredential(self._login(found, endpoint), project_id, now=self._now)
        except Unusable as error:
            raise UserError(f"no credential for {scope}: {error}.") from None

    def _first(self, scope: str, endpoint: str, project_id: str) -> _Found:
        halves: list[str] = []
        for place in self._places(endpoint, project_id):
            if place.title not in self._found:
                self._found[place.title] = self._in(place)
            if (found := self._found[place.title]) is not None:
                return found
            half = tuple(_half(place))
            if half and place.strict:
                raise Unusable("; ".join(half) + ". Give what is missing, or take away what is there")
            halves += half
        raise UserError(self._nothing(scope, endpoint, project_id, halves))

    def _places(self, endpoint: str, project_id: str) -> Iterator[Place]:
        """Where to look, first things first."""
        sources, environ = self._sources, self._sources.environ
        yield self._options("flags", sources.options, flag)
        for profile in sources.profiles:
            if profile.project_id == project_id and profile.endpoint in (None, endpoint):
                yield self._options(profile.origin, profile.options, str)
        yield EnvironmentPlace(
            title="BATCHER_…", environ=environ, names=BATCHER_NAMES, stdin=self._read_stdin, files=True, strict=True
        )
        yield self._file_place()
        yield self._environment("the official SDK's variables", SDK_NAMES)
        yield _sdk_profile(sources)
        yield self._environment("Terraform's variables", TERRAFORM_NAMES)
        yield self._environment("OpenStack's variables", OPENSTACK_NAMES)

    def _options(self, title: str, options: CredentialOptions, spell: Callable[[str], str]) -> OptionsPlace:
        return OptionsPlace(
            title=title, options=options, environ=self._sources.environ, stdin=self._read_stdin, spell=spell
        )

    def _file_place(self) -> OptionsPlace:
        return self._options(self._sources.file_title, self._sources.file_options, str)

    def _environment(self, title: str, names: Mapping[Item, tuple[str, ...]]) -> EnvironmentPlace:
        return EnvironmentPlace(title=title, environ=self._sources.environ, names=names, stdin=self._read_stdin)

    def _in(self, place: Place) -> _Found | None:
        """What *place* has, if it is complete; a token before a key before a user."""
        token = place.secret(Item.TOKEN)
        if token is not None:
            return _Token(token, place)
        ak, sk = place.secret(Item.AK), place.secret(Item.SK)
        if ak is not None and sk is not None:
            return _Key(AccessKey(ak, sk, place.secret(Item.SECURITY_TOKEN)), place)
        password = place.secret(Item.PASSWORD)
        name, domain = self._plain(place, Item.USERNAME), self._plain(place, Item.DOMAIN)
        domain_id = place.plain(Item.DOMAIN_ID) if domain is None else None
        if password is None or name is None or (of := domain or domain_id) is None:
            return None
        user = User(name=name.value, domain=of.value, domain_is_id=domain is None)
        return _User(user, password, self._plain(place, Item.IAM_ENDPOINT), place)

    def _plain(self, place: Place, item: Item) -> Plain | None:
        """*item* at *place*; what is ours may leave it to the config file."""
        return place.plain(item) or (self._file_place().plain(item) if place.strict else None)

    def _login(self, found: _User, endpoint: str) -> Login:
        iam_endpoint = self._iam_endpoint(found.iam_endpoint, endpoint)
        key = (iam_endpoint, found.user, found.password.current())
        if key not in self._logins:
            self._logins[key] = Login(self.transport, iam_endpoint, found.user, found.password, sleep=self._sleep)
        return self._logins[key]

    def _iam_endpoint(self, given: Plain | None, endpoint: str) -> str:
        """The *given* one, ours before that, else the one that belongs to the DRS *endpoint*."""
        for plain in (self._own_iam_endpoint(), given):
            if plain is not None:
                try:
                    return normalise_iam_endpoint(plain.value, insecure_http=self._sources.insecure_http)
                except ValueError as error:
                    raise Unusable(f"{plain.origin}: {error}") from None
        derived = derived_iam_endpoint(endpoint)
        if derived is None:
            raise Unusable(
                f"the region table does not know {endpoint}, so its IAM is not known either, and a password is not "
                "sent to a guess. Name it with --iam-endpoint or BATCHER_IAM_ENDPOINT"
            )
        return derived

    def _own_iam_endpoint(self) -> Plain | None:
        if self._sources.options.iam_endpoint:
            return Plain(self._sources.options.iam_endpoint, flag("iam_endpoint"))
        value = self._sources.environ.get("BATCHER_IAM_ENDPOINT", "").strip()
        return Plain(value, "BATCHER_IAM_ENDPOINT") if value else None

    def _check_host(self, found: _Token | _User, endpoint: str) -> None:
        own = self._sources.endpoints
        if own is None or endpoint in own or region_of_endpoint(endpoint) or _on_loopback(endpoint):
            return
        if any(profile.endpoint == endpoint for profile in self._sources.profiles):
            return
        raise Unusable(
            f"only the manifest names {endpoint}, and the region table does not know it, so what {found.place.title} "
            f"has is not sent there. If it is right, say so yourself: --endpoint {endpoint}, or a profile for this "
            "project with that endpoint"
        )

    def _read_stdin(self, option: str) -> GivenSecret:
        if self._stdin is None:
            stream = self._sources.stdin or sys.stdin
            value = getpass.getpass(f"{option}: ") if stream.isatty() else stream.read()
            self._stdin = option, GivenSecret(value, f"standard input ({option})")
        if self._stdin[0] != option:
            raise Unusable(f"{self._stdin[0]} and {option} cannot both be read from standard input")
        return self._stdin[1]

    def _nothing(self, scope: str, endpoint: str, project_id: str, halves: list[str]) -> str:
        lines = [f"no credential for {scope}. Looked for, in this order:"]
        lines += [f"  {place.title}: {_looked_for(place)}" for place in self._places(endpoint, project_id)]
        lines += [f"Half of one is there: {half}." for half in halves]
        lines.append("Set one of them, for example BATCHER_TOKEN_FILE=FILE, or HUAWEICLOUD_SDK_AK and _SK.")
        return "\n".join(lines)


def _half(place: Place) -> Iterator[str]:
    """Credentials of which *place* has a part: what is there and what is not."""
    for kind in _SECRETS_OF_KINDS:
        there = [item for item in kind if _has(place, item)]
        missing = [item for item in kind if item not in there]
        if there and missing and place.name(missing[0]) is not None:
            names = [" and ".join(str(place.name(item)) for item in items) for items in (there, missing)]
            yield f"{place.title} has {names[0]}, but not {names[1]}"


def _has(place: Place, item: Item) -> bool:
    if item in (Item.USERNAME, Item.DOMAIN):
        return place.plain(item) is not None or (item is Item.DOMAIN and place.plain(Item.DOMAIN_ID) is not None)
    return place.secret(item) is not None


def _looked_for(place: Place) -> str:
    kinds = ([place.name(item) for item in kind] for kind in _SECRETS_OF_KINDS)
    return "; ".join(" with ".join(map(str, names)) for names in kinds if all(names))


def _sdk_profile(sources: CredentialSources) -> SdkProfilePlace:
    named = sources.environ.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE")
    path = Path(named).expanduser() if named else sources.home / ".huaweicloud" / "credentials"
    return SdkProfilePlace(path=path, named=bool(named))


def _on_loopback(endpoint: str) -> bool:
    return is_loopback(urlsplit(endpoint).hostname or "")
