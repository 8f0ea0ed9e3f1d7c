"""The way to a host: straight, or through a proxy that was given or that the environment names."""

import base64
from collections.abc import Mapping
from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

from batcher.drs.discreet import Discreet
from batcher.drs.endpoints import is_loopback


class UnusableProxy(Exception):
    """A proxy variable that cannot be followed; the message does not quote it, as it may hold a password."""


class Way(Discreet, frozen=True):
    """How a request gets to its host. The proxy's password goes to the proxy alone: in the CONNECT that opens a tunnel,
    or, where there is no TLS and so no tunnel, in the request itself."""

    hidden = frozenset({"in_request", "in_connect"})

    proxy: URL | None = None
    in_request: Mapping[str, str] = {}
    in_connect: Mapping[str, str] | None = None


class Proxies:
    """Which proxy a request goes through, if any."""

    def __init__(self, proxy: str | None) -> None:
        self._given = proxy
        self._ways: dict[str, Way] = {}

    def to(self, url: str) -> Way:
        """The way to *url*; the environment is asked once for each host. Raises `UnusableProxy`."""
        origin = url[: url.index("/", len("https://"))]
        if origin not in self._ways:
            self._ways[origin] = _way(self._given or _from_environment(URL(url)), tunnel=url.startswith("https:"))
        return self._ways[origin]


def _from_environment(url: URL) -> str | None:
    host = url.host or ""
    proxies = getproxies_environment()
    if is_loopback(host) or proxy_bypass(f"{host}:{url.port}"):
        return None
    return proxies.get(url.scheme) or proxies.get("all")


def _way(proxy: str | None, *, tunnel: bool) -> Way:
    if not proxy:
        return Way()
    try:
        url = URL(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise UnusableProxy("the proxy is no http proxy: name one as http://HOST:PORT, or unset the proxy variable")
    if url.user is None:
        return Way(url)
    word = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    authorization = {"Proxy-Authorization": f"Basic {word}"}
    url = url.with_user(None)
    return Way(url, in_connect=authorization) if tunnel else Way(url, in_request=authorization)
