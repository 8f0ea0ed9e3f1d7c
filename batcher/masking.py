"""The second net for secrets: what is about to be shown is searched for them once more.

The first net is that no secret is handed to anything that shows. This one knows secrets by the names they go
under, by the shapes in which HTTP carries them, and by value where a value was registered.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

MASK = "***"

_SECRET_NAME = re.compile(
    r"(^|[_\-.])(ak|sk|passwd|password|secret|(?:access|secret)_?key|(?:security|auth|subject)?token|authorization"
    r"|signature|cookie|credential)s?$",
    re.IGNORECASE,
)
# The API's own names for token ranges of Cassandra tables.
_NO_SECRETS = {"compare_object_infos_with_token", "table_name_with_token", "min_token", "max_token"}
# Where credentials come from: ours, the official SDK's, Terraform's and OpenStack's.
_ENVIRONMENT = ("BATCHER_", "HUAWEICLOUD_SDK_", "CLOUD_SDK_", "HW_", "OS_")
_IN_TEXT = (  # each begins only where a name does: from every place in a long one it would take for ever
    # a header or an assignment: X-Auth-Token: …, "password": "…", BATCHER_SK=…
    re.compile(
        r"(?i)((?<![\w.\-])(?!\w*(?:min|max|with)_token)[\w.\-]*(?:token|password|passwd|secret|secret_key|_sk)[\"']?\s*[:=]\s*[\"']?)([^\s\"',;&}]+)"
    ),
    re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?)([^\"'\r\n]+)"),
    re.compile(r"(?i)(\bSignature=)([0-9a-f]{16,})"),
    re.compile(r"(?i)((?<![a-z0-9+.\-])[a-z0-9+.\-]+://)([^/\s@]+)(?=@)"),
)
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})  # in HTML
_MIN_LENGTH = 6  # shorter values would mask half of every text

_registered: set[str] = set()


def register_secret(value: str) -> None:
    """From now on mask *value* wherever it would show, in an address and inside JSON or HTML as well; values under
    six characters are too common to be masked."""
    if len(value) >= _MIN_LENGTH:
        _registered.update((value, quote(value, safe=""), json.dumps(value)[1:-1], value.translate(_ESCAPED)))


def register_environment(environ: Mapping[str, str] | None = None) -> None:
    """Register the values of those environment variables that credentials may come from."""
    for name, value in (os.environ if environ is None else environ).items():
        if name.startswith(_ENVIRONMENT) and is_secret_name(name):
            register_secret(value)


def forbid_core_dumps() -> None:
    """See to it that a crash of the interpreter leaves no image of the memory, with its secrets, on disk."""
    with suppress(ImportError, OSError, ValueError):  # not on Windows; not where the limit cannot be changed
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def is_secret_name(name: str) -> bool:
    """Whether a value under *name* (a header, a key, an environment variable) is a secret."""
    return _SECRET_NAME.search(name) is not None and name.lower() not in _NO_SECRETS


def mask_text(text: str) -> str:
    """*text* without registered secrets and without what looks like one."""
    return _without_shapes(_without_registered(text))


def mask_start(text: str, limit: int) -> str:
    """The first *limit* characters of *text*, masked: also a secret that the cut goes through shows no part of it."""
    return _without_shapes(_without_registered(text)[:limit])


def _without_registered(text: str) -> str:
    for secret in sorted(_registered, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _without_shapes(text: str) -> str:
    for pattern in _IN_TEXT:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def mask(value: Any, name: str = "") -> Any:
    """*value* masked at any depth, as plain data; *name* is the name it goes under."""
    if name and is_secret_name(name) and value is not None:
        return MASK
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return mask_text(value)
        case bytes():
            return mask_text(value.decode("utf-8", "replace"))
        case Mapping():
            return {key: mask(inner, str(key)) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [mask(inner) for inner in value]
    return mask_text(str(value))
