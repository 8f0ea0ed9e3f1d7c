"""What the service tells others by itself, and whom: the sections `[notifications.NAME]` of its config file.

    [notifications.portal]                        # a webhook, signed as Standard Webhooks says
    url = "https://portal.example/hooks/waves"    # or url_file, url_env, where the address itself is a secret
    secret_file = "/run/secrets/portal-hook"      # or secret_env: whsec_…
    events = ["wave.ended", "wave.stopped"]       # by default all

    [notifications.team]                          # a chat or mail, by apprise (pip install 'drs-batcher[chat]')
    apprise_file = "/run/secrets/team-chat"       # or apprise_env: an address of apprise's a line

Addresses come from here alone, never through the API: nobody who may only submit waves can have the service call an
address of theirs.
"""

import os
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from batcher.drs.auth.secret import Hidden, SecretUnusable, read_text
from batcher.errors import BatcherError, UserError
from batcher.homes import expanded
from batcher.masking import register_secret, register_url
from batcher.nearest import nearest
from batcher.notify import chat
from batcher.notify.standard import key_of
from batcher.settings.errors import SettingsError
from batcher.settings.values import NotifyUrl


class Event(StrEnum):
    """What is told."""

    ENDED = "wave.ended"  # every entry has its result
    STOPPED = "wave.stopped"  # it ended early: by somebody, or for a reason that it names
    UNSETTLED = "wave.unsettled"  # it ended, and somebody has to look at some entries
    NO_GO = "wave.no_go"  # the gate's ruling over its verdicts
    APPROVAL_ASKED = "wave.approval_asked"  # it is held until somebody else approves it


class Target(Struct, frozen=True, kw_only=True):
    """Who is told: a webhook, with its *key*, or the addresses of a chat (*apprise*). Both are secrets."""

    name: str
    events: frozenset[Event]
    url: Hidden | None = None
    key: Hidden | None = None  # as it was written, whsec_…
    apprise: Hidden | None = None  # an address a line


_FIELDS = {"url", "url_file", "url_env", "secret_file", "secret_env", "apprise_file", "apprise_env", "events"}
_SECRET_PATH = 20  # characters of a path that may be a secret; "v1/waves" is none, and stands in every log line
_url = TypeAdapter(NotifyUrl)


def targets_of(
    sections: Mapping[str, Mapping[str, Any]], place: Path | str, environ: Mapping[str, str] | None = None
) -> list[Target]:
    """The targets that the *sections* of the config file at *place* name. Raises `SettingsError` with every finding."""
    environ = os.environ if environ is None else environ
    targets, findings = [], []
    for name, section in sections.items():
        try:
            targets.append(_target(name, section, environ))
        except Misnamed as error:
            findings.append(f"{place}, [notifications.{name}]: {error}")
    if findings:
        raise SettingsError(findings)
    return targets


class Misnamed(BatcherError):
    """What is wrong with one section, with the mend."""


def _target(name: str, section: Mapping[str, Any], environ: Mapping[str, str]) -> Target:
    for field in section:
        if field not in _FIELDS:
            near = nearest(field, _FIELDS)
            raise Misnamed(
                f"there is no {field!r}. " + (f"Did you mean {near!r}?" if near else f"It has {_listed(_FIELDS)}.")
            )
    events = _events(section.get("events"))
    apprise = _secret(section, "apprise", environ)
    url = _secret(section, "url", environ) or _plain(section.get("url"))
    if (apprise is None) == (url is None):
        raise Misnamed("name either a webhook (url and secret_file) or a chat (apprise_file).")
    if apprise is not None:
        if (line := _unknown_chat(apprise)) is not None:
            raise Misnamed(
                f"apprise does not know the address in line {line} of its list; its own documentation has all."
            )
        return Target(name=name, events=events, apprise=apprise)
    key = _secret(section, "secret", environ)
    if key is None:
        raise Misnamed("a webhook is signed: name the file or the variable of its secret, secret_file or secret_env.")
    assert url is not None  # noqa: S101 - looked at above
    _register_address(url)
    try:
        _url.validate_python(url)
    except ValidationError as error:
        raise Misnamed(f"its address {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None
    register_secret(key)
    try:
        key_of(key)
    except ValueError as error:
        raise Misnamed(f"its secret {error}.") from None
    return Target(name=name, events=events, url=url, key=key)


def _unknown_chat(apprise: str) -> int | None:
    for line in apprise.splitlines():
        _register_address(line)
    try:
        return chat.unknown(apprise)
    except UserError as error:
        raise Misnamed(f"{error.message}.") from None


def _events(given: object) -> frozenset[Event]:
    if given is None:
        return frozenset(Event)
    if not isinstance(given, list) or not given:
        raise Misnamed(f"events is a list of {_listed(Event)}.")
    known = {event.value: event for event in Event}
    for each in given:
        if each not in known:
            near = nearest(str(each), known)
            raise Misnamed(
                f"there is no event {each!r}. " + (f"Did you mean {near!r}?" if near else f"It has {_listed(known)}.")
            )
    return frozenset(known[each] for each in given)


def _register_address(address: str) -> None:
    """Mask *address* and what is secret in it, but not its beginning, which is that of every other."""
    address = address.strip()
    register_secret(address, in_part=False)
    register_url(address)
    path = address.partition("://")[2].partition("/")[2]
    if len(path) >= _SECRET_PATH:
        register_secret(path, in_part=False)


def _secret(section: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> Hidden | None:
    """What stands in the file or the variable that *section* names for *name*."""
    file, variable = section.get(f"{name}_file"), section.get(f"{name}_env")
    if file is not None and variable is not None:
        raise Misnamed(f"{name}_file and {name}_env are both there: keep one of the two.")
    if file is None and variable is None:
        return None
    if not isinstance(file if variable is None else variable, str):
        raise Misnamed(f"{name}_file and {name}_env are texts.")
    if variable is not None:
        text, origin = environ.get(variable, "").strip(), f"the variable {variable} ({name}_env)"
    else:
        try:
            text = read_text(expanded(str(file)), f"file {file} ({name}_file)").strip()
        except SecretUnusable as error:
            raise Misnamed(f"{error}.") from None
        origin = f"file {file} ({name}_file)"
    if not text:
        raise Misnamed(f"{origin} is empty.")
    return Hidden(text)


def _plain(url: object) -> Hidden | None:
    """An address that stands in the config file itself. With many services its path is the secret nevertheless."""
    if url is None:
        return None
    if not isinstance(url, str):
        raise Misnamed("url is a text.")
    return Hidden(url.strip())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(str(name) for name in names))
