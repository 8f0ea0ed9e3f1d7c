"""Webhooks as the Standard Webhooks specification has them (https://www.standardwebhooks.com), version 1.

The body is `{"type": …, "timestamp": …, "data": {…}}`. `webhook-id` is the same for every attempt of one message, so
who gets it twice knows; `webhook-timestamp` is when this attempt left, Unix seconds; `webhook-signature` is `v1,` and
the base64 of the HMAC-SHA256 of "id.timestamp.body" under the shared secret. Most languages have a library for it.
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from batcher.clock import utc
from batcher.life.result import rfc3339

PREFIX = "whsec_"
_LEAST, _MOST = 24, 64  # bytes of a secret, by the specification


def new_id() -> str:
    """An id for one message."""
    return f"msg_{secrets.token_hex(16)}"


def key_of(secret: str) -> bytes:
    """The key that *secret*, `whsec_` and base64, stands for. Raises ValueError with the mend."""
    mend = "write whsec_ and the base64 of 24 to 64 random bytes: echo whsec_$(openssl rand -base64 32)"
    if not secret.startswith(PREFIX):
        raise ValueError(f"is no webhook secret: {mend}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"is no base64 behind {PREFIX}: {mend}") from None
    if not _LEAST <= len(key) <= _MOST:
        raise ValueError(f"holds {len(key)} bytes: {mend}")
    return key


def body_of(event: str, data: Mapping[str, Any], at: float) -> bytes:
    """The body of a message: what happened, when (Unix seconds), and what is known of it."""
    return orjson.dumps({"type": event, "timestamp": rfc3339(utc(at)), "data": data})


def headers_of(id: str, at: float, body: bytes, key: bytes) -> dict[str, str]:
    """The headers of one attempt, which leaves at *at* (Unix seconds)."""
    stamp = str(int(at))
    signed = base64.b64encode(hmac.new(key, f"{id}.{stamp}.".encode() + body, sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signed}",
    }
