"""The way to a host: straight, or through a proxy that was given or that the environment names."""

import asyncio
import base64
import os
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from yarl import URL

from batcher.drs.discreet import Discreet
from batcher.drs.endpoints import is_loopback
from batcher.errors import UserError


class UnusableProxy(UserError):
    """A proxy that cannot be followed; the message does not quote it, as it may hold a password."""


class ProxyTrial:
    """Tries one proxy, for all that goes through it: what it refuses once is not asked again.

    A proxy that wants a login locks an account after a few wrong ones. So until it has let one request through, one at
    a time goes there.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._under_way: asyncio.Event | None = None
        self._refusals: dict[str | None, str] = {}

    async def enter(self) -> None:
        """Wait until it is this request's turn; `leave` ends that."""
        while not self._is_open and self._under_way is not None:
            await self._under_way.wait()
        if not self._is_open:
            self._under_way = asyncio.Event()

    def passed(self) -> None:
        """The proxy let a request through."""
        self._is_open = True
        self.leave()

    def leave(self) -> None:
        """The request is over."""
        if self._under_way is not None:
            self._under_way.set()
            self._under_way = None

    def refusal(self, origin: str) -> str | None:
        """Why nothing goes through it to *origin* any more; None: it may."""
        return self._refusals.get(None) or self._refusals.get(origin)

    def refused(self, origin: str | None, why: str) -> None:
        """The proxy does not let us through: to *origin*, or (None) to anywhere."""
        self._is_open = False
        self._refusals[origin] = why


class ProxyRoute(Discreet, frozen=True, kw_only=True):
    """How a request gets to its host. The proxy's password goes to the proxy alone: in the CONNECT that opens a tunnel,
    or, where there is no TLS and so no tunnel, in the request itself."""

    hidden = frozenset({"in_request", "in_connect"})

    origin: str
    proxy: URL | None = None
    trial: ProxyTrial | None = None
    in_request: Mapping[str, str] = {}
    in_connect: Mapping[str, str] | None = None

    @property
    def tunnel(self) -> bool:
        """Whether the proxy is asked to open a tunnel."""
        return self.proxy is not None and self.origin.startswith("https:")


class Proxies:
    """Which proxy a request goes through, if any."""

    def __init__(self, proxy: str | None) -> None:
        self._given = proxy
        self._routes: dict[str, ProxyRoute] = {}
        self._trials: dict[str, ProxyTrial] = {}

    def to(self, url: str) -> ProxyRoute:
        """The route to *url*; the environment is asked once for each host. Raises `UnusableProxy`."""
        end = url.find("/", len("https://"))
        origin = url if end < 0 else url[:end]
        if origin not in self._routes:
            proxy, source = (self._given, "--proxy") if self._given else _from_environment(URL(url))
            trial = self._trials.setdefault(proxy, ProxyTrial()) if proxy else None
            self._routes[origin] = _route(origin, proxy, source, trial)
        return self._routes[origin]


def _from_environment(url: URL) -> tuple[str | None, str]:
    """The proxy for *url*, and the variable that names it."""
    host = url.host or ""
    proxies = getproxies_environment()
    if is_loopback(host) or proxy_bypass(f"{host}:{url.port}"):
        return None, ""
    scheme = url.scheme if proxies.get(url.scheme) else "all"
    proxy = proxies.get(scheme)
    names = (name for name, value in os.environ.items() if name.lower() == f"{scheme}_proxy" and value == proxy)
    return proxy, next(names, f"{scheme}_proxy")


def _route(origin: str, proxy: str | None, source: str, trial: ProxyTrial | None) -> ProxyRoute:
    if not proxy:
        return ProxyRoute(origin=origin)
    try:
        url = URL(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or not url.port:
        raise UnusableProxy(_unusable(proxy, source, urlsplit(origin).hostname))
    if url.user is None:
        return ProxyRoute(origin=origin, proxy=url, trial=trial)
    word = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    authorization = {"Proxy-Authorization": f"Basic {word}"}
    url = url.with_user(None)
    if origin.startswith("https:"):
        return ProxyRoute(origin=origin, proxy=url, trial=trial, in_connect=authorization)
    return ProxyRoute(origin=origin, proxy=url, trial=trial, in_request=authorization)


def _unusable(proxy: str, source: str, host: str | None) -> str:
    scheme = proxy.partition("://")[0].lower() if "://" in proxy else "http"
    named = scheme.isascii() and scheme.isalnum() and len(scheme) < 10 and scheme not in ("http", "https")
    wrong = f"a {scheme} proxy, and only http proxies can be used" if named else "no proxy that can be used"
    way_out = "Name one as http://HOST:PORT"
    if source != "--proxy":
        way_out += f", unset {source}, or put {host} into NO_PROXY"
    return f"{source} names {wrong}. {way_out}"
