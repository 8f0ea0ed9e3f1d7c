"""Logging in to IAM: a token for each project, in memory only, renewed before it ends."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from batcher.clock import SystemClock
from batcher.drs.auth.explain import Cause
from batcher.drs.auth.iam import IssuedToken, Passing, TokenScope, User, issued_token, token_request
from batcher.drs.auth.secret import Secret, SecretSource
from batcher.drs.auth.token import TOKEN_HEADER
from batcher.drs.cloud import HttpRequest, Refusal, Transport

_TRIES = 4  # a log-in without an answer may have been a wrong password, and five of those lock the user
_LONGEST_WAIT_S = 60.0
_LIFETIME_S = 24 * 3600.0  # of a token whose answer does not tell
_AHEAD_S = 1800.0  # a token is renewed so long before its end, or in the last fifth of a shorter life
_PATIENCE_S = 30.0  # between attempts to renew a token that still holds

_OF_THE_USER = frozenset({Cause.PASSWORD_WRONG, Cause.USER_LOCKED, Cause.USER_UNFIT})  # whatever is logged in for

Sleep = Callable[[float], Awaitable[None]]


class Login:
    """One user at one IAM, shared by all scopes that log in so. One log-in at a time, and a password that was
    refused is not tried again: wrong ones lock the user."""

    def __init__(
        self,
        transport: Transport,
        iam_endpoint: str,
        user: User,
        password: SecretSource,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.iam_endpoint = iam_endpoint
        self.user = user
        self._transport = transport
        self._password = password
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._refused: tuple[Secret, Refusal] | None = None

    def describe(self) -> str:
        """ "user NAME of DOMAIN, password from BATCHER_PASSWORD"."""
        return f"user {self.user.name} of {self.user.domain}, password from {self._password.origin}"

    async def token(self, scope: TokenScope, *, tries: int = _TRIES) -> IssuedToken | Refusal | Passing:
        """Log in for *scope*; trouble that may pass is tried again, *tries* times in all."""
        async with self._turn:
            password = self._password.current()
            if self._refused is not None and self._refused[0] == password:
                return self._refused[1]
            request = token_request(self.iam_endpoint, self.user, password, scope)
            outcome: IssuedToken | Refusal | Passing = await self._ask(request)
            for waited in range(tries - 1):
                if not isinstance(outcome, Passing):
                    break
                await self._sleep(min(outcome.wait_s or 2.0**waited * random.uniform(0.75, 1.25), _LONGEST_WAIT_S))
                outcome = await self._ask(request)
            if isinstance(outcome, Refusal) and (outcome.http_status == 401 or outcome.cause in _OF_THE_USER):
                self._refused = password, outcome
            return outcome

    async def _ask(self, request: HttpRequest) -> IssuedToken | Refusal | Passing:
        return issued_token(await self._transport.send(request))


class LoginCredential:
    """The token of one *scope*, fetched once however many wait for it. *now* is Unix seconds.

    *project_id* is that of the token at hand, as IAM told it.
    """

    def __init__(self, login: Login, scope: TokenScope, *, now: Callable[[], float] = SystemClock.now) -> None:
        self.project_id: str | None = None
        self._login = login
        self._scope = scope
        self._now = now
        self._fetching = asyncio.Lock()
        self._token: Secret | None = None
        self._renew_from = 0.0  # Unix seconds, by our own clock, as is the next
        self._ends = 0.0

    def describe(self) -> str:
        """Kind and origin."""
        return self._login.describe()

    @property
    def at_hand(self) -> bool:
        """Whether there is a token that holds for a while yet."""
        return self._holds_until(self._renew_from)

    async def prepare(self) -> Refusal | None:
        """Have a token that holds for a while yet. While it is renewed ahead of its end, others go on with it."""
        if self._holds_until(self._renew_from) or (self._fetching.locked() and self._holds_until(self._ends)):
            return None
        async with self._fetching:
            return None if self._holds_until(self._renew_from) else await self._fetch()

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        """The token's header; none before `prepare`."""
        return {} if self._token is None else {TOKEN_HEADER: self._token.reveal()}

    async def renew(self, used: Mapping[str, str]) -> bool:
        """A token newer than the refused one; `prepare` says why where there is none."""
        async with self._fetching:
            if self._token is not None and self._token.reveal() != used.get(TOKEN_HEADER):
                return True
            self._token = None
            return await self._fetch() is None

    def _holds_until(self, moment: float) -> bool:
        return self._token is not None and self._now() < moment

    async def _fetch(self) -> Refusal | None:
        asked_at = self._now()
        outcome = await self._login.token(self._scope, tries=1 if self._holds_until(self._ends) else _TRIES)
        match outcome:
            case IssuedToken():
                lifetime_s = _LIFETIME_S if outcome.lifetime_s is None else outcome.lifetime_s
                self._token, self._ends, self.project_id = outcome.token, asked_at + lifetime_s, outcome.project_id
                self._renew_from = self._ends - min(_AHEAD_S, lifetime_s / 5)
                return None
            case Passing() if self._holds_until(self._ends):
                self._renew_from = self._now() + _PATIENCE_S
                return None
            case Passing():
                return outcome.refusal
        self._token = None
        return outcome
