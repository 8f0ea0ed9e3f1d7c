"""Answers as the transport hands them out, made by hand."""

from collections.abc import Mapping
from typing import Any

import orjson

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.outcome import CreateOutcome, Half, Trouble

OBJECT, DATA = Half.OBJECT, Half.DATA
BOTH = frozenset(Half)


def answer(http_status: int, body: Any = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """A whole answer; *body* is bytes, or something to send as JSON."""
    return Answer(
        stage=RequestStage.SENT,
        sent_at=1_000_000.0,
        answered_at=1_000_001.0,
        http_status=http_status,
        headers=headers or {},
        body=body if isinstance(body, bytes) else orjson.dumps(body),
    )


def code(error_code: str, msg: str = "so it is") -> dict[str, str]:
    """An error in the shape of DRS and of the gateway."""
    return {"error_code": error_code, "error_msg": msg}


def whole(outcome: CreateOutcome) -> Trouble:
    """The trouble of the whole call, which every half then shares."""
    assert outcome.whole is not None
    assert set(outcome.halves.values()) == {outcome.whole}
    return outcome.whole
