"""`start_time`: what a manifest may say, and the 13 digits that are sent."""

import re
from datetime import UTC, datetime, timedelta

from batcher import zone
from batcher.errors import BatcherError
from batcher.manifest.damage import nothing

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?)( ?[Zz]| ?UTC| ?[+-]\d\d(?::?\d\d)?)?")
_NUMBER = re.compile(r"(\d+)[.,](\d+)")
_EXPONENT = re.compile(r"\d+(?:[.,]\d+)?([Ee])\+?\d+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEND = "Write 13 digits (milliseconds since 1970), or a time with its zone, such as 2026-12-01T22:00:00+08:00"
_CAST = "CAST(… AS BIGINT) in SQL, astype('Int64') in pandas, cast(pl.Int64) in polars"
_TO_WHOLE = {
    "e": "Write all 13 digits: format(x, scientific = FALSE) in R, " + _CAST,
    "E": "Write all 13 digits: format the column as text in a spreadsheet and enter them again; otherwise " + _CAST,
}
_LONGEST = 40  # characters of what is read as a number


class BadStartTime(BatcherError, ValueError):
    """The text names no time at which a comparison can start."""

    def __init__(self, problem: str, mend: str = _MEND) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend


def start_time_ms(given: str | float, *, now: float) -> str:
    """*given* as the API takes it: 13 digits, milliseconds since the epoch. *now* is in seconds.

    The API's reference gives no format; that of its own `create_time` is used, and anything that could be
    read in two ways is refused. A number is taken as its digits, where nothing stands behind the point.
    Raises `BadStartTime`.
    """
    text = given if isinstance(given, str) else _written(given)
    if (number := _NUMBER.fullmatch(text)) and len(text) <= _LONGEST:
        if number[2].strip("0"):
            raise BadStartTime("has a fraction of a millisecond", f"Round it to whole milliseconds: {_CAST}")
        text = number[1]
    if text.isascii() and text.isdigit():
        digits = _checked_digits(text)
    else:
        digits = str(_milliseconds(text))
        if len(digits) != 13:
            raise BadStartTime("is out of range")
    if int(digits) < now * 1000:
        moment = _EPOCH + timedelta(milliseconds=int(digits))
        raise BadStartTime(
            f"is past ({zone.moment_text(moment)})", "Leave it empty to start at once, or give a time to come"
        )
    return digits


def _written(number: float) -> str:
    """A JSON *number* as a text; one without a fraction as its digits."""
    return str(int(number)) if isinstance(number, int) or number.is_integer() else repr(number)


def _checked_digits(text: str) -> str:
    if len(text) == 13 and text[0] != "0":
        return text
    if len(text) == 10:
        raise BadStartTime("has ten digits: seconds, where milliseconds are needed", f"Write {text}000")
    raise BadStartTime(f"has {len(text)} digits, and milliseconds since 1970 have 13")


def _milliseconds(text: str) -> int:
    if exponent := _EXPONENT.fullmatch(text):
        problem = "is a number with an exponent, which may have lost digits"
        raise BadStartTime(problem, _TO_WHOLE[exponent[1]])
    if who := nothing(text):
        raise BadStartTime(f"is a word for nothing: {who}", "Leave it empty to start at once")
    match = _TIME.fullmatch(text)
    if match is None:
        raise BadStartTime("is no time that can be read in one way only")
    moment, zone = match[1], match[2]
    if zone is None:
        raise BadStartTime("has no zone", f"Write {text}Z for UTC, or add the zone, such as {text}+08:00")
    zone = zone.strip().upper().replace("UTC", "Z")
    try:
        read = datetime.fromisoformat(moment.upper() + zone)
        return (read - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise BadStartTime("is no time of any calendar day") from None
