"""The second net for secrets: what is about to be shown is searched for them once more.

The first net is that no secret is handed to anything that shows. This one knows secrets by the names they go
under, by the shapes in which HTTP carries them, and by value where a value was registered.
"""

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "***"

_SECRET_NAME = re.compile(
    r"(^|[_\-.])(ak|sk|passwd|password|secret|(?:access|secret)_?key|(?:security|auth|subject)?token|authorization"
    r"|signature|cookie|credential)s?$",
    re.IGNORECASE,
)
# The API's own names for token ranges of Cassandra tables, and the variable that names the service's tokens file.
_NO_SECRETS = {"compare_object_infos_with_token", "table_name_with_token", "min_token", "max_token", "batcher_tokens"}
# Where credentials come from: ours, the official SDK's, Terraform's and OpenStack's.
_ENVIRONMENT = ("BATCHER_", "HUAWEICLOUD_SDK_", "CLOUD_SDK_", "HW_", "OS_")
_IN_TEXT = (  # each begins only where a name does: from every place in a long one it would take for ever
    # a header or an assignment: X-Auth-Token: …, "password": "…", BATCHER_SK=…
    re.compile(
        r"(?i)((?<![\w.\-])(?!\w*(?:min|max|with)_token)[\w.\-]*(?:token|password|passwd|secret|secret_key|_sk)[\"']?\s*[:=]\s*[\"']?)([^\s\"',;&}]+)"
    ),
    re.compile(r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?)([^\"'\r\n]+)"),
    re.compile(r"(?i)(\bSignature=)([0-9a-f]{16,})"),
    # but for the user of a database, who is no secret without a password
    _USER_IN_URL := re.compile(
        r"(?i)((?<![a-z0-9+.\-])(?!postgres(?:ql)?://[^/\s\"'<>:@]+@)[a-z0-9+.\-]+://)([^/\s\"'<>]+)(?=@)"
    ),
    # a token of our own service, wherever somebody puts it: into an address, say
    _SERVICE_TOKEN := re.compile(r"(\bbatcher_)([A-Za-z0-9_\-]{43})(?![A-Za-z0-9_\-])"),
)
_ESCAPED = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})  # in HTML
_MIN_LENGTH = 6  # shorter values would mask half of every text
_CUT_SHORT = 20  # of a value so long a beginning or an end is masked too, from
_PIECE = 8  # characters on: what quotes it may cut it short

_registered: set[str] = set()  # in every spelling
_whole: set[str] = set()  # of these, those that are no secret in part


def register_secret(value: str, *, in_part: bool = True) -> None:
    """From now on mask *value* wherever it would show, in an address and inside JSON or HTML as well; values under
    six characters are too common to be masked.

    Unless *in_part* is False a piece of it, at its beginning or its end, is masked as well, as whoever quotes a long
    token may cut it short.
    """
    if len(value) < _MIN_LENGTH:
        return
    spellings = set(_spellings(value))
    _registered.update(spellings)
    if not in_part:
        _whole.update(spellings)


def _spellings(value: str) -> Iterator[str]:
    """*value* as it is, and as an address, JSON or HTML has it."""
    yield value
    sound = value.encode("utf-8", "surrogateescape")
    for quoted in (quote(sound, safe=""), quote(sound), quote_plus(sound)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    for dumped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
        yield dumped
        yield dumped.replace("/", "\\/")
    yield value.translate(_ESCAPED)
    yield value.translate(_ESCAPED).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def register_url(url: str) -> None:
    """Register the password in *url*, as it stands there and as it is meant, and what a Basic header makes of it."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:
        return
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    if not password:
        return
    for spelt in (password, unquote(password)):
        register_secret(spelt)
    for pair in (f"{user}:{password}", f"{unquote(user)}:{unquote(password)}"):
        register_secret(base64.b64encode(pair.encode("utf-8", "surrogateescape")).decode())


def register_environment(environ: Mapping[str, str] | None = None) -> None:
    """Register the values of those environment variables that credentials may come from, and proxies' passwords."""
    for name, value in (os.environ if environ is None else environ).items():
        if name.startswith(_ENVIRONMENT) and is_secret_name(name):
            register_secret(value.strip())
        elif name.lower().endswith("_proxy"):
            register_url(value)


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


def mask_values(text: str) -> str:
    """*text* without registered secrets, tokens of our service and the user in an address; what else looks like a
    secret stays.

    For what we say ourselves, about options and headers by their names.
    """
    text = _without_registered(text)
    text = _SERVICE_TOKEN.sub(rf"\g<1>{MASK}", text) if "batcher_" in text else text
    return _USER_IN_URL.sub(rf"\g<1>{MASK}", text) if "@" in text else text


def _without_registered(text: str) -> str:
    longest_first = sorted(_registered, key=len, reverse=True)
    for secret in longest_first:
        text = text.replace(secret, MASK)
    if len(text) < _PIECE:
        return text
    for secret in longest_first:
        if len(secret) >= _CUT_SHORT and secret not in _whole:
            text = _without_ends_of(secret, text)
    return text


def _without_ends_of(secret: str, text: str) -> str:
    """*text* without pieces of *secret* that are its beginning or its end."""
    head, tail = secret[:_PIECE], secret[-_PIECE:]
    at = text.find(head)
    while at >= 0:
        text = f"{text[:at]}{MASK}{text[at + _agreement(secret, text[at : at + len(secret)]) :]}"
        at = text.find(head, at + len(MASK))
    at = text.rfind(tail)
    while at >= 0:
        end = at + _PIECE
        begin = end - _agreement(secret[::-1], text[max(0, end - len(secret)) : end][::-1])
        text = f"{text[:begin]}{MASK}{text[end:]}"
        at = text.rfind(tail, 0, begin)
    return text


def _agreement(one: str, other: str) -> int:
    """How many characters *one* and *other* have in common at their beginnings."""
    least, most = 0, min(len(one), len(other))
    while least < most:
        middle = (least + most + 1) // 2
        if one[:middle] == other[:middle]:
            least = middle
        else:
            most = middle - 1
    return least


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
