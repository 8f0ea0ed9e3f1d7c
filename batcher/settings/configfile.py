"""The config file: found, read, and checked for what does not belong in it."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from batcher.drs.auth.option_names import OPTION_NAMES
from batcher.homes import expanded, is_file
from batcher.masking import is_secret_name
from batcher.nearest import nearest
from batcher.settings.errors import SettingsError
from batcher.settings.model import RunSettings
from batcher.settings.names import CONFIG_NAME, CREDENTIAL_NAMES, variable_name


class ConfigFile(msgspec.Struct, frozen=True, kw_only=True):
    """A config file as read: the settings of its top level and of the chosen profile.

    *credentials* says where those for all scopes are; *profiles* are all sections, whole, since one that names a
    project holds that project's credentials whether it is chosen or not. *notifications* are whom the service tells,
    and what: `batcher.service.notices.targets` reads them.
    """

    path: Path
    text: str
    top: Mapping[str, Any]
    profile: Mapping[str, Any]
    profile_name: str | None
    credentials: Mapping[str, Any]
    profiles: Mapping[str, Mapping[str, Any]]
    notifications: Mapping[str, Mapping[str, Any]] = {}

    def origin(self, name: str) -> str | None:
        """Where *name* is set: "batcher.toml, line 7"; None where it is not."""
        if name in self.profile:
            return _place(self.path, self.text, f"profiles.{self.profile_name}", name)
        return _place(self.path, self.text, None, name) if name in self.top else None


def find_config(named: Path | str | None = None) -> Path | None:
    """The config file to read: the one *named*, else `./batcher.toml`, else the user's own, else None."""
    if named is not None:
        path = expanded(named)
        if not path.exists() or path.is_dir():
            raise SettingsError([f"config file {path}: {'is a folder' if path.is_dir() else 'does not exist'}."])
        return path
    candidates = (Path(CONFIG_NAME), user_config())
    return next((path for path in candidates if path is not None and is_file(path)), None)


def user_config() -> Path | None:
    """Where the user's own config file lies, whether it exists or not; None for a user without a home."""
    try:
        return platformdirs.user_config_path("batcher") / CONFIG_NAME
    except RuntimeError:  # there is no home
        return None


def read_config(path: Path | None, *, profile: str | None = None) -> ConfigFile | None:
    """The config file at *path*, checked for what does not belong in it. Raises `SettingsError`."""
    if path is None:
        if profile is not None:
            raise SettingsError(
                [
                    f"profile {profile!r}: there is no config file to find it in. Name one with --config, "
                    f"or write ./{CONFIG_NAME}{f' or {own}' if (own := user_config()) else ''}."
                ]
            )
        return None
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SettingsError([f"config file {path}: cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError as error:
        raise SettingsError([f"config file {path}: is not UTF-8 (at byte {error.start}). Save it as UTF-8."]) from None
    import tomllib  # only who has a config file waits for it

    try:
        data = tomllib.loads(text)
    except ValueError as error:  # what TOML is not, or an integer of thousands of digits
        raise SettingsError([f"config file {path}: is not valid TOML: {error}."]) from None
    profiles, notifications = data.pop("profiles", {}), data.pop("notifications", {})
    findings = list(_wrong_keys(path, text, None, data))
    if not isinstance(profiles, dict) or not all(isinstance(section, dict) for section in profiles.values()):
        mend = "profiles are sections: write [profiles.NAME] and its settings below"
        raise SettingsError([f"config file {path}: {mend}."])
    if not isinstance(notifications, dict) or not all(isinstance(each, dict) for each in notifications.values()):
        mend = "notifications are sections: write [notifications.NAME] and what it is told below"
        raise SettingsError([f"config file {path}: {mend}."])
    for name, section in profiles.items():
        findings += _wrong_keys(path, text, f"profiles.{name}", section)
    if profile is not None and profile not in profiles:
        near = nearest(profile, profiles)
        there = f"It has {', '.join(profiles)}." if profiles else "It has none."
        findings.append(
            f"profile {profile!r}: config file {path} has no section [profiles.{profile}]. "
            + (f"Did you mean {near!r}? " if near else "")
            + there
        )
    if findings:
        raise SettingsError(findings)
    chosen = profiles[profile] if profile is not None else {}
    return ConfigFile(
        path=path,
        text=text,
        top=_settings(data),
        profile=_settings(chosen),
        profile_name=profile,
        credentials={key: value for key, value in {**data, **chosen}.items() if key in OPTION_NAMES},
        profiles=profiles,
        notifications=notifications,
    )


def _settings(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in OPTION_NAMES}


def _wrong_keys(path: Path, text: str, section: str | None, values: Mapping[str, Any]) -> Iterator[str]:
    for key in values:
        if key in RunSettings.model_fields or key in OPTION_NAMES:
            continue
        place = _place(path, text, section, key)
        if key.upper() in CREDENTIAL_NAMES or is_secret_name(key):
            yield (
                f"{place}: {key} is a credential and has no place in a config file. Take it out, and set "
                f"{variable_name(key)} in the environment instead, or name the file it is in: {key}_file = …"
            )
            continue
        near = nearest(key, (*RunSettings.model_fields, *OPTION_NAMES))
        mend = f"Did you mean {near!r}?" if near else "docs/configuration.md has all settings."
        yield f"{place}: there is no setting {key!r}. {mend}"


def _place(path: Path, text: str, section: str | None, key: str) -> str:
    """ "batcher.toml, line 7", or the key's section where the line cannot be told (dotted or inline tables)."""
    current: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            current = re.sub(r"[\s\"']", "", header[1])
        elif current == section and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
            return f"{path}, line {number}"
        if current == key and section is None:
            return f"{path}, line {number}"
    return f"{path}, [{section}]" if section else str(path)
