"""Reading answers whoever wrote them: the error in a body of any shape, the cloud's clock, how long to wait."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct

from batcher.drs import guesses
from batcher.drs.answer import Answer
from batcher.masking import mask_start

Json = Mapping[str, Any]

_MAX_MSG = 1000  # characters of a foreign message that are kept
_EXAMINED = 100_000  # bytes of a foreign body that are read, so that a secret in what is kept of it is read whole
_CODES = ("error_code", "errorCode", "code")
_MSGS = ("error_msg", "errorMsg", "error_message", "errorMessage", "message")
_TELLING = frozenset((*_CODES, *_MSGS, "error"))
_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
# Of a page: comments (squid's begins with its licence), styles and scripts. One that does not end is the rest.
_UNSEEN = (
    re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL),
    re.compile(r"<style\b.*?(?:</style\s*>|\Z)", re.DOTALL | re.IGNORECASE),
    re.compile(r"<script\b.*?(?:</script\s*>|\Z)", re.DOTALL | re.IGNORECASE),
)
_TAG = re.compile(r"<[^<>]*>")
_LIMIT = re.compile(r"limit:\s*(\d{1,9})\s*,\s*time:\s*(\d{1,6})?\s*(second|minute|hour|day)s?", re.IGNORECASE)


class ErrorBody(Struct, frozen=True):
    """An error as an answer tells it. *code* is None where it tells none, or only repeats the HTTP status."""

    code: str | None
    msg: str | None


def read_object(body: bytes) -> Json | None:
    """*body* as a JSON object; None where it is anything else."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def text(value: object) -> str | None:
    """*value* as text, if it is some: a string with more than blanks in it, or a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value).strip() or None


def error_of(part: object, http_status: int) -> ErrorBody | None:
    """The error that *part*, an object of an answer, states of itself; None: it states none.

    Nested objects speak for themselves and are not looked into, except the wrapper `{"error": {…}}`.
    """
    if not isinstance(part, dict) or _TELLING.isdisjoint(part):
        return None
    own = _own_error(part, http_status)
    if own is not None and own.code is not None:
        return own
    wrapped = part.get("error")
    return (_own_error(wrapped, http_status) if isinstance(wrapped, dict) else None) or own


def _own_error(part: Json, http_status: int) -> ErrorBody | None:
    code = _first(part, _CODES)
    if code == str(http_status):
        code = None  # IAM repeats the status as its code
    msg = _first(part, _MSGS)
    return None if code is None and msg is None else ErrorBody(code, None if msg is None else mask_start(msg, _MAX_MSG))


def item_errors(body: Json, http_status: int) -> Iterator[tuple[str | None, ErrorBody]]:
    """Id and error of each item of a batch-shaped answer (`results`) that states one."""
    results = body.get("results")
    for item in results if isinstance(results, list) else ():
        error = error_of(item, http_status)
        if error is not None and error.code is not None:
            yield text(item.get("id")), error


def server_time(answer: Answer) -> float | None:
    """The cloud's clock when it answered: `Date`, in Unix seconds; None where there is none to read."""
    return _http_date(answer.headers.get("date"))


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait as `Retry-After` says it: a number, or a date by the cloud's own clock."""
    told = answer.headers.get("retry-after", "").strip()
    if not told:
        return None
    if told.isascii() and told.isdigit():
        seconds = float(told)
    else:
        until = _http_date(told)
        if until is None:
            return None
        now = server_time(answer)
        seconds = until - (answer.answered_at if now is None else now)
    return min(max(seconds, 0.0), guesses.RETRY_AFTER_CAP_S)


def limit_of(msg: str | None) -> tuple[int, float] | None:
    """The (count, period in seconds) that a throttled answer's text names: "limit:10,time:1 minute"."""
    found = _LIMIT.search(msg or "")
    if found is None:
        return None
    count, period = int(found[1]), int(found[2] or 1) * _UNITS[found[3].lower()]
    return (count, period) if count and period else None


def excerpt(body: bytes) -> str | None:
    """The beginning of a body that is no JSON, as one line: what a browser would show of it, its title first."""
    start = body[:_EXAMINED].decode("utf-8", "replace")
    for unseen in _UNSEEN:
        start = unseen.sub(" ", start)
    plain = _TAG.sub(" ", mask_start(start, 2000))
    return " ".join(plain.split())[:200] or None


def _first(part: Json, names: tuple[str, ...]) -> str | None:
    for name in names:
        if (value := part.get(name)) is not None and (found := text(value)) is not None:
            return found
    return None


@lru_cache(maxsize=64)  # a busy second has hundreds of answers, all with the same date
def _http_date(value: str | None) -> float | None:
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def milliseconds(value: object) -> int | None:
    """A time of the list of comparisons: milliseconds since the epoch as text or number, or ISO 8601 with a zone.

    Ten digits, so seconds, are not documented anywhere: None, like everything else that cannot be told.
    """
    if type(value) is str and len(value) == 13 and value.isascii() and value.isdigit():  # as nearly all are
        return int(value)
    told = text(value)
    if told is None:
        return None
    if told.isascii() and told.isdigit():
        return int(told) if len(told) == 13 else None
    try:
        moment = datetime.fromisoformat(told)
        return int(moment.timestamp() * 1000) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
