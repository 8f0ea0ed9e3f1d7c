"""Values of settings as people write them, each checked with a mend in its error."""

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

from batcher.drs.endpoints import is_project_id
from batcher.durations import parse_duration
from batcher.homes import expanded, is_file
from batcher.life.policy import MaxFailures
from batcher.masking import mask_text
from batcher.rates import Rate, parse_pace
from batcher.settings.deadline import Deadline
from batcher.zone import zone_of


def _pace(value: Any) -> Any:
    return parse_pace(value) if isinstance(value, str) else value


def _pace_type(value: Any) -> Any:
    if value not in ("off", "auto") and not isinstance(value, Rate):
        raise ValueError("is no rate; write a count and a period: 10/s, 600/min, 1000/h or 10/5s")
    return value


def _max_failures(value: Any) -> Any:
    if isinstance(value, MaxFailures):
        return value
    text = str(value).strip()
    percent = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]+)?)\s*%", text)
    if percent and 0 < float(percent[1]) <= 100:
        return MaxFailures(percent=float(percent[1]))
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) and not isinstance(value, bool):
        return MaxFailures(count=int(text))
    raise ValueError("is neither a count nor a share; write 20 or 5% (at least 1, at most 999,999,999 or 100%)")


def _max_failures_text(value: MaxFailures | None) -> str | None:
    if value is None or (value.count is None and value.percent is None):
        return None
    return str(value.count) if value.count is not None else f"{value.percent:g}%"


def _deadline(value: Any) -> Any:
    return Deadline.parse(value) if isinstance(value, str) else value


def _project_id(value: str) -> str:
    value = value.strip()
    if not is_project_id(value):
        raise ValueError("is no project id; copy the id from the console, My Credentials: 32 letters and digits")
    return value


def _digest(value: str) -> str:
    text = value.strip().lower()
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError("is no digest; copy sha256:… with its 64 hex digits from `batcher check`")
    return text


def _ca_bundle(value: Path) -> Path:
    path = expanded(value)
    if not is_file(path):
        raise ValueError("is no file; name a PEM file with the certificates to trust")
    return path


def _proxy(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or not _is_plain(parts.hostname):
        raise ValueError("is no proxy URL; write http://HOST:PORT")
    _require_port(parts)
    return value.strip()


def _is_plain(host: str) -> bool:
    """Whether it can be a host's name at all; what names it may have the resolver knows."""
    return host.isprintable() and not any(sign in host for sign in " \"'<>\\^`{|}")


def _require_port(parts: SplitResult) -> None:
    try:
        unusable = parts.port == 0
    except ValueError:
        unusable = True
    if unusable:
        raise ValueError("has no usable port; ports are numbers from 1 to 65535")


def _timezone(value: str) -> str:
    zone_of(value)  # raises where there is none of that name
    return value.strip()


def _running_per(value: Any) -> Any:
    """`label.source=2, label.target=4` as ((label, most), …)."""
    if not isinstance(value, str):
        return value
    limits: dict[str, int] = {}
    for part in value.split(","):
        match = re.fullmatch(r"label\.([^=]+)=([1-9][0-9]{0,5})", part.strip())
        if match is None or not match[1].isprintable():
            raise ValueError("is no limit by label; write label.NAME=N, several with commas between")
        if match[1] in limits:
            raise ValueError(f"names label.{match[1]} twice; keep one of the two")
        limits[match[1]] = int(match[2])
    return tuple(limits.items())


def _running_per_text(value: tuple[tuple[str, int], ...]) -> str:
    return ",".join(f"label.{name}={most}" for name, most in value)


def _notify(value: str) -> str:
    parts = urlsplit(value.strip())
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("is no URL to post to; write https://HOST/PATH")
    _require_port(parts)
    if parts.scheme == "http" and not loopback:
        raise ValueError("would send the summary without TLS; write https://…")
    return value.strip()


def _program_only(value: str) -> str:
    """A shell command as it may be shown: its first word. Any other may hold a secret, and so may an assignment."""
    first = next(iter(value.split()), "")
    return f"{first} …" if re.fullmatch(r"[\w./+-]+", first) else "…"


def _host_only(value: str) -> str:
    """A URL without its path and query, which with many services are the secret."""
    parts = urlsplit(value)
    return f"{parts.scheme}://{parts.hostname}/…"


Seconds = Annotated[float, BeforeValidator(parse_duration)]
PaceSetting = Annotated[
    Any,
    BeforeValidator(_pace),
    AfterValidator(_pace_type),
    PlainSerializer(str, return_type=str, when_used="unless-none"),
]
MaxFailuresSetting = Annotated[MaxFailures | None, BeforeValidator(_max_failures), PlainSerializer(_max_failures_text)]
DeadlineSetting = Annotated[
    Deadline | None, BeforeValidator(_deadline), PlainSerializer(str, return_type=str, when_used="unless-none")
]
Digest = Annotated[str, AfterValidator(_digest)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
ProjectId = Annotated[str, AfterValidator(_project_id)]
CaBundle = Annotated[Path, AfterValidator(_ca_bundle)]
Proxy = Annotated[str, AfterValidator(_proxy), PlainSerializer(mask_text, return_type=str)]
RunningPer = Annotated[
    tuple[tuple[str, int], ...], BeforeValidator(_running_per), PlainSerializer(_running_per_text, return_type=str)
]
OnEnd = Annotated[str, PlainSerializer(_program_only, return_type=str)]
NotifyUrl = Annotated[str, AfterValidator(_notify), PlainSerializer(_host_only, return_type=str)]
