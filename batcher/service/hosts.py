"""Whose page a request comes from, by what the browser says of it. Pure.

A page of any site can send requests to this machine, and by a name of its own that leads here (DNS rebinding) it can
read the answers. What it cannot do is choose the headers `Host`, `Origin` and `Sec-Fetch-Site`.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def is_loopback(host: str) -> bool:
    """Whether *host*, an address or a name without a port, is this machine by its own names."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761: never anybody else
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def split_host(host: str) -> tuple[str, int | None] | None:
    """Name and port of a `Host` header; None where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return None if not name or parts.path or parts.query or "@" in host else (name.lower(), port)


def foreign_host(headers: Mapping[str, str]) -> str | None:
    """Why this request is not for a service that only this machine may use; None where it is."""
    found = split_host(headers.get("Host", ""))
    if found is None or not is_loopback(found[0]):
        return (
            "A service without tokens answers only to this machine's own names: localhost, 127.0.0.1, [::1]. "
            "To serve others, start it with --tokens FILE."
        )
    return None


def foreign_origin(headers: Mapping[str, str], method: str) -> str | None:
    """Why this request was made by a page that is not ours; None where a page of ours, or no page, made it."""
    origin = headers.get("Origin")
    if origin is not None and not _is_same(origin, headers.get("Host", "")):
        return "A page of another site made this request (its Origin is not this Host)."
    site, mode = headers.get("Sec-Fetch-Site", "none"), headers.get("Sec-Fetch-Mode", "")
    led_here = method in ("GET", "HEAD") and mode == "navigate"  # a link that was followed: the page cannot read it
    if site not in ("same-origin", "none") and not led_here:
        return "A page of another site made this request (Sec-Fetch-Site)."
    return None


def is_over_tls(headers: Mapping[str, str]) -> bool:
    """Whether the page that makes this request came over https, as only its browser knows where a proxy ends TLS."""
    return headers.get("Origin", "").lower().startswith("https://")


def _is_same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        theirs = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    ours = split_host(host)
    if parts.scheme not in ("http", "https") or ours is None:
        return False  # "null", an extension, a file
    default = _PORTS[parts.scheme]  # of the scheme the browser sees: a proxy may have ended TLS before us
    return (theirs[0], theirs[1] or default) == (ours[0], ours[1] or default)
