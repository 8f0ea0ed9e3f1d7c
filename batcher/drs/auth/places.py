"""Where credentials are looked for, place by place: our flags and variables, then what other tools left there."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from batcher.drs.auth.options import CredentialOptions
from batcher.drs.auth.secret import FileSecret, GivenSecret, SecretSource, SecretUnusable
from batcher.drs.discreet import Discreet
from batcher.homes import expanded, is_file


class Item(StrEnum):
    """What a credential is put together from."""

    TOKEN = "token"  # noqa: S105 - a name
    AK = "ak"
    SK = "sk"
    SECURITY_TOKEN = "security_token"  # noqa: S105 - a name
    USERNAME = "username"
    PASSWORD = "password"  # noqa: S105 - a name
    DOMAIN = "domain"
    DOMAIN_ID = "domain_id"
    IAM_ENDPOINT = "iam_endpoint"
    PROJECT_ID = "project_id"
    PROJECT = "project"  # a project's name
    REGION = "region"


SECRETS = (Item.TOKEN, Item.AK, Item.SK, Item.SECURITY_TOKEN, Item.PASSWORD)


class PlainValue(Struct, frozen=True):
    """A value that is no secret, and where it is from."""

    value: str
    origin: str


class CredentialPlace(Protocol):
    """One place. *strict*: what is there is meant for us, so that half a credential is an error, not passed over."""

    @property
    def title(self) -> str:
        """The place, for people."""
        ...

    @property
    def strict(self) -> bool:
        """Whether half a credential is an error here."""
        ...

    def name(self, item: Item) -> str | None:
        """What *item* would be called there, for people; None: there is no such thing there."""
        ...

    def secret(self, item: Item) -> SecretSource | None:
        """The secret *item*. Raises `SecretUnusable` where it is named but cannot be had."""
        ...

    def plain(self, item: Item) -> PlainValue | None:
        """The plain value *item*. Raises `SecretUnusable` where it can be none."""
        ...


StandardInput = Callable[[str], GivenSecret]  # asked for by an option's name; read once


class OptionsPlace(Discreet, frozen=True, kw_only=True):
    """Flags, or a section of the config file: *spell* says how a field is written there."""

    hidden = frozenset({"environ", "stdin", "spell"})

    title: str
    options: CredentialOptions
    environ: Mapping[str, str]
    stdin: StandardInput
    spell: Callable[[str], str]
    strict: bool = True

    def name(self, item: Item) -> str | None:
        """The options that name it."""
        if item in SECRETS:
            return f"{self.spell(item + '_file')}|env"
        return self.spell(item) if hasattr(self.options, item) else None

    def secret(self, item: Item) -> SecretSource | None:
        """From the file or variable that is named."""
        variable: str | None = getattr(self.options, f"{item}_env", None)
        path: Path | None = getattr(self.options, f"{item}_file", None)
        if variable is not None and path is not None:
            both = f"{self.spell(item + '_env')} and {self.spell(item + '_file')}"
            raise SecretUnusable(f"{both} are both given. Keep the one you mean")
        if path is not None:
            return _from_file(path, self.spell(item + "_file"), self.stdin)
        if variable is None:
            return None
        value = self.environ.get(variable)
        if not value:
            raise SecretUnusable(
                f"{self.spell(item + '_env')} names the environment variable {_shown(variable)}, which is not set"
            )
        return GivenSecret(value, f"environment variable {variable} ({self.spell(item + '_env')})")

    def plain(self, item: Item) -> PlainValue | None:
        """From the option of that name."""
        value: str | None = getattr(self.options, item, None)
        return _sound(PlainValue(value, self.spell(item))) if value else None


class EnvironmentPlace(Discreet, frozen=True, kw_only=True):
    """The variables of one tool. *names* has, for each item, those it may be under, the first one set counting.
    With *files*, each secret may be in a file instead, named by the variable with `_FILE` at its end."""

    hidden = frozenset({"environ", "stdin"})

    title: str
    environ: Mapping[str, str]
    names: Mapping[Item, tuple[str, ...]]
    stdin: StandardInput
    files: bool = False
    strict: bool = False

    def name(self, item: Item) -> str | None:
        """The variables it may be under."""
        names = self.names.get(item, ())
        if self.files and item in SECRETS:
            names = tuple(f"{name}[_FILE]" for name in names)
        return "|".join(names) or None

    def secret(self, item: Item) -> SecretSource | None:
        """From the first of its variables that is set."""
        for name in self.names.get(item, ()):
            path = self.environ.get(name + "_FILE") if self.files else None
            if path and self.environ.get(name):
                raise SecretUnusable(f"{name} and {name}_FILE are both set. Keep the one you mean")
            if path:
                return _from_file(Path(path), f"{name}_FILE", self.stdin)
            if value := self.environ.get(name):
                return GivenSecret(value, name)
        return None

    def plain(self, item: Item) -> PlainValue | None:
        """From the first of its variables that is set."""
        found = ((name, self.environ.get(name, "").strip()) for name in self.names.get(item, ()))
        return next((_sound(PlainValue(value, name)) for name, value in found if value), None)


class SdkProfilePlace(Struct, frozen=True, kw_only=True):
    """The official SDK's own file of credentials, section `[basic]`. A file that is not there is no trouble,
    unless the environment names it (*named*)."""

    path: Path
    named: bool
    strict: bool = False

    @property
    def title(self) -> str:
        """The file's name."""
        return str(self.path)

    def name(self, item: Item) -> str | None:
        """The key under which the profile holds *item*."""
        return f"{item} in [{_SECTION}]" if item in _SDK_KEYS else None

    def secret(self, item: Item) -> SecretSource | None:
        """From its key; read again when the file changes."""
        if item not in _SDK_KEYS or not self._value(item):
            return None
        return FileSecret(self.path, f"{item} in {self.path}", lambda text: _ini(text, self.path).get(item, ""))

    def plain(self, item: Item) -> PlainValue | None:
        """From its key."""
        value = self._value(item) if item in _SDK_KEYS else ""
        return _sound(PlainValue(value, f"{item} in {self.path}")) if value else None

    def _value(self, item: Item) -> str:
        if not is_file(self.path):
            if self.named:
                raise SecretUnusable(f"HUAWEICLOUD_SDK_CREDENTIALS_FILE names {self.path}, which is no file")
            return ""
        try:
            text = self.path.read_text("utf-8-sig")
        except OSError as error:
            raise SecretUnusable(f"{self.path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SecretUnusable(f"{self.path} is not UTF-8 text") from None
        return _ini(text, self.path).get(item, "").strip()


_SECTION = "basic"
_SDK_KEYS = (Item.AK, Item.SK, Item.SECURITY_TOKEN, Item.PROJECT_ID, Item.IAM_ENDPOINT)


def _ini(text: str, path: Path) -> Mapping[str, str]:
    """The section of the SDK's file; nothing of the text gets into an error."""
    import configparser  # few have such a file

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next((n for n, _ in getattr(error, "errors", ())), None)
        place = f"{path}, line {line}" if line else str(path)
        raise SecretUnusable(f"{place}: is not of the form [{_SECTION}] with lines KEY = VALUE") from None
    return dict(parser[_SECTION]) if parser.has_section(_SECTION) else {}


def _sound(plain: PlainValue) -> PlainValue:
    if not plain.value.isprintable():
        raise SecretUnusable(
            f"{plain.origin} holds control characters or bytes that are no UTF-8. Mend it, or take it away"
        )
    return plain


def _from_file(path: Path, option: str, stdin: StandardInput) -> SecretSource:
    if str(path) == "-":
        return stdin(option)
    path = expanded(path)
    return FileSecret(path, f"file {path} ({option})")


def _shown(variable: str) -> str:
    """The name of a variable; somebody may have written the secret itself there, which must not show."""
    return variable if re.fullmatch(r"[A-Za-z]{1,12}|[A-Za-z]+(_[A-Za-z0-9]+){1,6}", variable) else "it was given"


BATCHER_NAMES: Mapping[Item, tuple[str, ...]] = {
    Item.TOKEN: ("BATCHER_TOKEN",),
    Item.AK: ("BATCHER_AK",),
    Item.SK: ("BATCHER_SK",),
    Item.SECURITY_TOKEN: ("BATCHER_SECURITY_TOKEN",),
    Item.USERNAME: ("BATCHER_USERNAME",),
    Item.PASSWORD: ("BATCHER_PASSWORD",),
    Item.DOMAIN: ("BATCHER_DOMAIN",),
    Item.IAM_ENDPOINT: ("BATCHER_IAM_ENDPOINT",),
    Item.PROJECT_ID: ("BATCHER_PROJECT_ID",),
    Item.REGION: ("BATCHER_REGION",),
}
SDK_NAMES: Mapping[Item, tuple[str, ...]] = {
    Item.AK: ("HUAWEICLOUD_SDK_AK", "CLOUD_SDK_AK"),
    Item.SK: ("HUAWEICLOUD_SDK_SK", "CLOUD_SDK_SK"),
    Item.SECURITY_TOKEN: ("HUAWEICLOUD_SDK_SECURITY_TOKEN",),
    Item.IAM_ENDPOINT: ("HUAWEICLOUD_SDK_IAM_ENDPOINT",),
    Item.PROJECT_ID: ("HUAWEICLOUD_SDK_PROJECT_ID",),
}
TERRAFORM_NAMES: Mapping[Item, tuple[str, ...]] = {
    Item.TOKEN: ("HW_AUTH_TOKEN",),
    Item.AK: ("HW_ACCESS_KEY",),
    Item.SK: ("HW_SECRET_KEY",),
    Item.SECURITY_TOKEN: ("HW_SECURITY_TOKEN",),
    Item.USERNAME: ("HW_USER_NAME",),
    Item.PASSWORD: ("HW_USER_PASSWORD",),
    Item.DOMAIN: ("HW_DOMAIN_NAME",),
    Item.DOMAIN_ID: ("HW_DOMAIN_ID",),
    Item.IAM_ENDPOINT: ("HW_AUTH_URL",),
    Item.PROJECT_ID: ("HW_PROJECT_ID",),
    Item.PROJECT: ("HW_PROJECT_NAME",),
    Item.REGION: ("HW_REGION_NAME",),
}
OPENSTACK_NAMES: Mapping[Item, tuple[str, ...]] = {
    Item.TOKEN: ("OS_TOKEN", "OS_AUTH_TOKEN"),
    Item.AK: ("OS_ACCESS_KEY",),
    Item.SK: ("OS_SECRET_KEY",),
    Item.SECURITY_TOKEN: ("OS_SECURITY_TOKEN",),
    Item.USERNAME: ("OS_USERNAME",),
    Item.PASSWORD: ("OS_PASSWORD",),
    Item.DOMAIN: ("OS_USER_DOMAIN_NAME", "OS_DOMAIN_NAME"),
    Item.DOMAIN_ID: ("OS_USER_DOMAIN_ID", "OS_DOMAIN_ID"),
    Item.IAM_ENDPOINT: ("OS_AUTH_URL",),
    Item.PROJECT_ID: ("OS_PROJECT_ID", "OS_TENANT_ID"),
    Item.PROJECT: ("OS_PROJECT_NAME", "OS_TENANT_NAME"),
    Item.REGION: ("OS_REGION_NAME", "OS_REGION"),
}
