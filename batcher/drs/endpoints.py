"""Regions and endpoints: where a scope's requests go, checked before anything is sent."""

import ipaddress
import json
from functools import cache
from pathlib import Path
from typing import TypedDict
from urllib.parse import SplitResult, urlsplit

from batcher.nearest import nearest

_DEFAULT_PORTS = {"https": 443, "http": 80}
_ID_LENGTH = 64
_ID_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Region(TypedDict):
    """The endpoints of one region: scheme and host, no trailing slash."""

    drs: str
    iam: str


@cache
def regions() -> dict[str, Region]:
    """The known regions by name; `regions.json` names its source and date."""
    table = json.loads(Path(__file__).with_name("regions.json").read_text(encoding="utf-8"))
    known: dict[str, Region] = table["regions"]
    return known


def endpoint_of_region(region: str) -> str:
    """The DRS endpoint of *region*. Raises `ValueError` that names the nearest known region."""
    return _region(region, way_out="give its DRS endpoint with --endpoint https://…")["drs"]


def iam_endpoint_of(region: str) -> str:
    """The IAM endpoint of *region*. Raises `ValueError` that names the nearest known region."""
    return _region(region, way_out="give its IAM endpoint with BATCHER_IAM_ENDPOINT=https://…")["iam"]


def region_of_endpoint(endpoint: str) -> str | None:
    """The region whose DRS endpoint is *endpoint* (normalised); None where the table has none."""
    return next((name for name, region in regions().items() if region["drs"] == endpoint), None)


def _region(name: str, *, way_out: str) -> Region:
    known = regions()
    found = known.get(name.strip().lower())
    if found is not None:
        return found
    if "://" in name or name.count(".") > 1:
        raise ValueError(f"{name!r} is no region but an address: {way_out}")
    near = nearest(name, known)
    meant = f"did you mean {near}? Otherwise {way_out}" if near else f"known are {', '.join(known)}. Or {way_out}"
    raise ValueError(f"region {name!r} is not known: {meant}")


def normalise_endpoint(url: str, *, insecure_http: bool) -> str:
    """*url* as scheme, host and, unless it is the default one, port: the form in which a scope names it.

    Raises `ValueError` where it is anything else, or is not https; http is for loopback, and elsewhere only where
    *insecure_http* allows it, since tokens would travel in the clear.
    """
    text = url.strip()
    if "@" in text:  # first, and without the text: it may hold a password
        raise ValueError("an endpoint carries no user name or password: give credentials by environment or file")
    parts = _split(text)
    host = _host(parts, text)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"endpoint {text!r} is no web address: write https://HOST")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"endpoint {text!r} goes on after the host: write {parts.scheme}://{parts.netloc}")
    if parts.scheme == "http" and not insecure_http and not is_loopback(host):
        raise ValueError(
            f"endpoint {text!r} is not https, so tokens would travel in the clear: write https://…, "
            "or allow it with --insecure-http"
        )
    shown = f"[{host}]" if ":" in host else host
    port = parts.port
    tail = "" if port is None or port == _DEFAULT_PORTS[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{shown}{tail}"


def is_project_id(text: str) -> bool:
    """Whether *text* can be a project's id; it becomes a part of the URL."""
    return 0 < len(text) <= _ID_LENGTH and _ID_SIGNS.issuperset(text)


def is_loopback(host: str) -> bool:
    """Whether *host* (a name or an address, without brackets) is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> SplitResult:
    if "://" not in text:
        if text.lower() in regions():
            raise ValueError(f"endpoint {text!r} is the name of a region: give it with --region, or as `region`")
        raise ValueError(f"endpoint {text!r} has no scheme: write https://{text or 'HOST'}")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"endpoint {text!r} is no web address ({error}): write https://HOST") from error
    return parts


def _host(parts: SplitResult, text: str) -> str:
    host = (parts.hostname or "").removesuffix(".")
    sound = host.isascii() and host.isprintable() and not any(sign in host for sign in " %\\,;<>\"'`{}|^")
    if not sound or not all(host.split(".")):
        raise ValueError(f"endpoint {text!r} names no host: write https://HOST")
    return host
