"""Browsers that have logged in: a token typed once, then a cookie that no script sees.

A session is kept in memory only, and is worth no more than its token: when that is revoked or given another role, so it
is for the session, with the next request. Against forged requests of other sites stand three things: the cookie is
SameSite=Strict, what changes anything needs the session's own word in a header, and the browser's Origin is ours.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

from msgspec import Struct

COOKIE = "batcher_session"
SECURE_COOKIE = "__Host-batcher_session"  # over https: no other host, and nothing without TLS, can set it
CSRF_HEADER = "X-Batcher-CSRF"
MOST = 1000  # sessions at once
IDLE_S = 8 * 3600.0  # a shift
LONGEST_S = 24 * 3600.0


class BrowserSession(Struct, kw_only=True):
    """One browser. *token* is the hash of the token it was opened with, *csrf* the word its requests have to say."""

    token: bytes
    csrf: str
    since: float
    used_at: float


class Sessions:
    """The sessions there are; at most *most*, of which the one unused for longest makes room. *now* never steps."""

    def __init__(self, now: Callable[[], float], *, most: int = MOST) -> None:
        self._now = now
        self._most = most
        self._open: OrderedDict[bytes, BrowserSession] = OrderedDict()  # by the hash of the cookie, least used first

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, token: bytes) -> tuple[str, BrowserSession]:
        """A new session for the token with this hash: the cookie's value, and the session."""
        now = self._now()
        for key in [key for key, session in self._open.items() if self._is_over(session, now)]:
            del self._open[key]
        while len(self._open) >= self._most:
            self._open.popitem(last=False)
        cookie = secrets.token_urlsafe(32)
        session = BrowserSession(token=token, csrf=secrets.token_urlsafe(32), since=now, used_at=now)
        self._open[_key(cookie)] = session
        return cookie, session

    def find(self, cookie: str) -> BrowserSession | None:
        """The session of *cookie*; None where there is none, or none any more."""
        key, now = _key(cookie), self._now()
        session = self._open.get(key)
        if session is None:
            return None
        if self._is_over(session, now):
            del self._open[key]
            return None
        session.used_at = now
        self._open.move_to_end(key)
        return session

    def end(self, cookie: str) -> None:
        """Forget the session of *cookie*."""
        self._open.pop(_key(cookie), None)

    def _is_over(self, session: BrowserSession, now: float) -> bool:
        return now - session.used_at > IDLE_S or now - session.since > LONGEST_S


def is_right_word(session: BrowserSession, said: str) -> bool:
    """Whether *said* is the session's word against forged requests."""
    return hmac.compare_digest(session.csrf.encode(), said.encode("utf-8", "surrogateescape"))


def _key(cookie: str) -> bytes:
    """By the hash: how long a look-up takes then tells nothing of the cookies there are."""
    return sha256(cookie.encode("utf-8", "surrogateescape")).digest()
