"""How often an address may be wrong about a token.

A token cannot be guessed; this keeps a client gone wild, or somebody who tries, from filling the log and from asking at
will. Behind a proxy all clients share one address, so tokens that were good from there before go on being let in.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

K = TypeVar("K")
V = TypeVar("V")

ALLOWED = 10  # wrong tokens at once from one address
REFILL_S = 30.0  # until it may be wrong once more
MOST = 10_000  # addresses, and good (address, token) pairs, remembered


class _Bucket(Struct):
    left: float
    at: float


class Allowance:
    """So many at once for each key, and then one in *refill_s*. *now* never steps. The oldest key goes first."""

    def __init__(self, now: Callable[[], float], allowed: int, refill_s: float, *, most: int = MOST) -> None:
        self._now = now
        self._allowed = float(allowed)
        self._refill_s = refill_s
        self._most = most
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, key: str) -> float:
        """How long until there is one more for *key*; 0: there is one."""
        left = self._left(key)
        return 0.0 if left >= 1.0 else (1.0 - left) * self._refill_s

    def use(self, key: str) -> bool:
        """One of *key*'s is used up; whether there was one."""
        left = self._left(key)
        self._buckets[key] = _Bucket(max(0.0, left - 1.0), self._now())
        _bound(self._buckets, key, self._most)
        return left >= 1.0

    def _left(self, key: str) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return self._allowed
        return min(self._allowed, bucket.left + (self._now() - bucket.at) / self._refill_s)


class FailedLogins:
    """The addresses that were wrong of late. *now* never steps. What it remembers is bounded: the oldest goes first."""

    def __init__(self, now: Callable[[], float], *, most: int = MOST) -> None:
        self._most = most
        self._wrong = Allowance(now, ALLOWED, REFILL_S, most=most)
        self._good: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong) + len(self._good)

    def wait_s(self, address: str) -> float:
        """How long nothing new is tried for *address*; 0: go on."""
        return self._wrong.wait_s(network_of(address))

    def was_wrong(self, address: str) -> None:
        """A token from *address* was none."""
        self._wrong.use(network_of(address))

    def was_right(self, address: str, token: bytes) -> None:
        """The token with this hash was good, from *address*."""
        key = (network_of(address), token)
        self._good[key] = None
        _bound(self._good, key, self._most)

    def is_known(self, address: str, token: bytes) -> bool:
        """Whether the token with this hash was good before, from *address*."""
        return (network_of(address), token) in self._good


def network_of(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, all of which one client may use."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _bound(table: OrderedDict[K, V], key: K, most: int) -> None:
    table.move_to_end(key)
    while len(table) > most:
        table.popitem(last=False)
