"""All places where a run's credentials may be, in the order in which they are looked at."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

from msgspec import field

from batcher.drs.auth.option_names import flag
from batcher.drs.auth.options import NO_OPTIONS, CredentialOptions, ScopeProfile
from batcher.drs.auth.places import (
    BATCHER_NAMES,
    OPENSTACK_NAMES,
    SDK_NAMES,
    TERRAFORM_NAMES,
    CredentialPlace,
    EnvironmentPlace,
    Item,
    OptionsPlace,
    PlainValue,
    SdkProfilePlace,
)
from batcher.drs.auth.secret import GivenSecret, SecretUnusable
from batcher.drs.discreet import Discreet
from batcher.errors import UserError
from batcher.homes import expanded, home


class CredentialSources(Discreet, frozen=True, kw_only=True):
    """Everything credentials may come from. *options* are flags, *file_options* what the config file says for all
    scopes, *profiles* its sections for single projects; *environ*, *home*, *stdin* are this process's by default.

    *endpoints* are those that the operator named himself (None: all): a token or a password of his is not sent to a
    host that only a manifest names, unless the region table knows it.
    """

    hidden = frozenset({"environ"})

    options: CredentialOptions = NO_OPTIONS
    file_options: CredentialOptions = NO_OPTIONS
    file_title: str = "config file"
    profiles: tuple[ScopeProfile, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    home: Path | None = field(default_factory=home)
    stdin: TextIO | None = None
    endpoints: frozenset[str] | None = None
    insecure_http: bool = False


class CredentialPlaces:
    """The places of *sources*. Standard input is read at most once, for the one option that asks for it."""

    def __init__(self, sources: CredentialSources) -> None:
        self._sources = sources
        self._stdin: tuple[str, GivenSecret] | None = None
        self.flags = self._options("flags", sources.options, flags=True)
        self.file = self._options(sources.file_title, sources.file_options)
        self.own = EnvironmentPlace(
            title="environment",
            environ=sources.environ,
            names=BATCHER_NAMES,
            stdin=self._read_stdin,
            files=True,
            strict=True,
        )

    def of(self, endpoint: str | None, project_id: str | None) -> Iterator[CredentialPlace]:
        """Those for one scope, first things first; None for a project means that it is not known yet."""
        yield self.flags
        for profile in self._sources.profiles:
            if profile.project_id == project_id and profile.endpoint in (None, endpoint):
                yield self._options(profile.origin, profile.options)
        yield self.own
        yield self.file
        yield from self._of_others()

    def plain(self, item: Item) -> PlainValue | None:
        """The first *item* that any place for all scopes has."""
        places: tuple[CredentialPlace, ...] = (self.flags, self.own, self.file, *self._of_others())
        return next((found for place in places if (found := place.plain(item)) is not None), None)

    def _of_others(self) -> Iterator[CredentialPlace]:
        yield self._environment("official SDK", SDK_NAMES)
        named = self._sources.environ.get("HUAWEICLOUD_SDK_CREDENTIALS_FILE")
        if named:
            yield SdkProfilePlace(path=expanded(named), named=True)
        elif self._sources.home is not None:
            yield SdkProfilePlace(path=self._sources.home / ".huaweicloud" / "credentials", named=False)
        yield self._environment("Terraform", TERRAFORM_NAMES)
        yield self._environment("OpenStack", OPENSTACK_NAMES)

    def _environment(self, title: str, names: Mapping[Item, tuple[str, ...]]) -> EnvironmentPlace:
        return EnvironmentPlace(title=title, environ=self._sources.environ, names=names, stdin=self._read_stdin)

    def _options(self, title: str, options: CredentialOptions, *, flags: bool = False) -> OptionsPlace:
        return OptionsPlace(
            title=title,
            options=options,
            environ=self._sources.environ,
            stdin=self._read_stdin,
            spell=flag if flags else str,
        )

    def _read_stdin(self, option: str) -> GivenSecret:
        if self._stdin is None:
            import getpass  # hardly anybody types a secret

            stream = self._sources.stdin or sys.stdin
            value = getpass.getpass(f"{option}: ") if stream.isatty() else stream.read()
            self._stdin = option, GivenSecret(value, f"standard input ({option})")
        if self._stdin[0] != option:
            raise SecretUnusable(f"{self._stdin[0]} and {option} cannot both be read from standard input")
        return self._stdin[1]


def nearby(item: Item, sources: CredentialSources | None = None) -> str | None:
    """A region or project that *sources*, by default the environment, have for other tools too. Raises `UserError`."""
    try:
        found = CredentialPlaces(sources or CredentialSources()).plain(item)
    except SecretUnusable as error:
        raise UserError(f"{error}.") from None
    return None if found is None else found.value
