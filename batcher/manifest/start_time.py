"""`start_time`: what a manifest may say, and the 13 digits that are sent."""

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)?")
_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?[Ee]\+?\d+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MEND = "Write 13 digits (milliseconds since 1970), or a time with its zone, such as 2026-12-01T22:00:00+08:00"


class BadStartTime(ValueError):
    """The text names no time at which a comparison can start."""

    def __init__(self, problem: str, mend: str = _MEND) -> None:
        super().__init__(problem)
        self.problem = problem
        self.mend = mend


def start_time_ms(text: str, *, now: float) -> str:
    """*text* as the API takes it: 13 digits, milliseconds since the epoch. *now* is in seconds.

    The API's reference gives no format; that of its own `create_time` is used, and anything that could be
    read in two ways is refused. Raises `BadStartTime`.
    """
    if text.isascii() and text.isdigit():
        digits = _checked_digits(text)
    else:
        digits = str(_milliseconds(text))
        if len(digits) != 13:
            raise BadStartTime("is out of range")
    if int(digits) < now * 1000:
        moment = _EPOCH + timedelta(milliseconds=int(digits))
        raise BadStartTime(
            f"is past ({moment:%Y-%m-%d %H:%M:%S} UTC)", "Leave it empty to start at once, or give a time to come"
        )
    return digits


def _checked_digits(text: str) -> str:
    if len(text) == 13 and text[0] != "0":
        return text
    if len(text) == 10:
        raise BadStartTime("has ten digits: seconds, where milliseconds are needed", f"Write {text}000")
    raise BadStartTime(f"has {len(text)} digits, and milliseconds since 1970 have 13")


def _milliseconds(text: str) -> int:
    if _ROUNDED.fullmatch(text):
        raise BadStartTime("was rounded by a spreadsheet", "Format the column as text and enter the 13 digits again")
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadStartTime("is no time that can be read in one way only")
    if match[1] is None:
        raise BadStartTime("has no zone", f"Write {text}Z for UTC, or add the zone, such as {text}+08:00")
    try:
        moment = datetime.fromisoformat(text.upper())
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise BadStartTime("is no time of any calendar day") from None
