"""Keeps access keys from being locked: more than five bad signatures in a row lock a key for minutes."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

from msgspec import Struct, field

from batcher.clock import SystemClock
from batcher.drs.answer import Answer, RequestStage
from batcher.drs.auth.explain import explain, refusal_text
from batcher.drs.authorship import is_the_clouds
from batcher.drs.cloud import HttpRequest, Refusal, Transport
from batcher.drs.error_body import server_time
from batcher.drs.failures import classify_call
from batcher.drs.outcome import ErrorKind, Fate

_ACCESS = re.compile(r"\bAccess=([^,]+),")
_MOST_UNCLEAR = 3  # in a row: what answers in the cloud's place may hide that the signature was refused
_TAKEN = frozenset({200, 201, 202, 204, 400, 403, 422})  # statuses that a wrong signature does not get to see


class _KeyState(Struct):
    """What is known of one key. *alone* is held by the one request that carries it until it has been taken.

    *secret* stands for the secret key that goes with it, of which alone this is known.
    """

    secret: object = None
    taken: bool = False
    unclear: int = 0  # times it met a 401 that is not the cloud's own since it was taken
    refusal: Refusal | None = None
    alone: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeyGuard:
    """A transport in front of another. All scopes share it, because a key is locked for all of them at once.

    Until the cloud has taken a key, one request at a time carries it; once it was refused, none does.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._keys: dict[str, _KeyState] = {}

    def refusal(self, access_key: str) -> Refusal | None:
        """Why *access_key* is not used any more; None: it may be."""
        known = self._keys.get(access_key)
        return None if known is None else known.refusal

    def goes_with(self, access_key: str, secret: object) -> None:
        """Whoever uses *access_key* signs with *secret* now; what was known of it with another one is forgotten."""
        known = self._keys.get(access_key)
        if known is None or known.secret != secret:
            self._keys[access_key] = _KeyState(secret)

    def send(self, request: HttpRequest) -> Coroutine[Any, Any, Answer]:
        """Send *request*, unless it carries a key that was refused meanwhile: that one does not leave."""
        signed = request.headers.get("Authorization")
        access = _ACCESS.search(signed) if signed else None
        if access is None:
            return self._transport.send(request)
        return self._send_signed(request, self._keys.setdefault(access[1], _KeyState()))

    async def _send_signed(self, request: HttpRequest, known: _KeyState) -> Answer:
        if not known.taken:
            async with known.alone:
                if known.refusal is not None:
                    return _kept_back()
                if not known.taken:
                    return await self._send(request, known)
        return await self._send(request, known)

    async def _send(self, request: HttpRequest, known: _KeyState) -> Answer:
        answer = await self._transport.send(request)
        refusal = refused_key(answer)
        if refusal is None and answer.http_status == 401:
            known.unclear += 1
            if known.unclear >= _MOST_UNCLEAR:
                refusal = _unclear(answer)
        if refusal is not None:
            known.taken, known.refusal = False, refusal
        elif answer.http_status in _TAKEN and ((known.taken and not known.unclear) or is_the_clouds(answer)):
            known.taken, known.unclear = True, 0
        return answer


def _unclear(answer: Answer) -> Refusal:
    trouble = classify_call(answer)
    said = trouble.error_msg if trouble is not None else ""
    return Refusal(
        error_msg=f"The access key met {_MOST_UNCLEAR} refusals in a row that are not in the cloud's own form, and is "
        f"not used any more, since wrong signatures lock a key: {said}. Look at what stands before the cloud",
        http_status=answer.http_status,
    )


def refused_key(answer: Answer) -> Refusal | None:
    """Why the gateway did not take the signature; None: it did, or *answer* does not tell."""
    trouble = classify_call(answer) if answer.http_status in (401, 403) else None
    if trouble is None or trouble.fate is not Fate.NOT_LET_IN or trouble.kind is not ErrorKind.AUTH:
        return None
    why = explain(error_code=trouble.error_code, error_msg=trouble.error_msg, skew_s=skew(answer))
    return Refusal(
        error_msg=refusal_text(why, trouble.error_code, trouble.error_msg),
        error_code=trouble.error_code,
        http_status=answer.http_status,
        cause=why.cause,
    )


def skew(answer: Answer) -> float | None:
    """Seconds by which the cloud's clock is ahead of ours; `Date` counts whole seconds, and travel adds a little."""
    date = server_time(answer)
    return None if date is None else date - answer.answered_at


def _kept_back() -> Answer:
    now = SystemClock.now()
    return Answer(
        stage=RequestStage.NOT_SENT,
        sent_at=now,
        answered_at=now,
        error="not sent: the same access key was refused just now, for another project",
        error_kind="network",
    )
