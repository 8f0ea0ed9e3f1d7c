"""Rates as people write them: "10/s", "600/min", "1000/h", "10/5s"; beside them `off` and `auto`."""

import re
from fractions import Fraction
from typing import Literal

import msgspec

from batcher.durations import duration_text, parse_duration

_PERIODS_S = {
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("m", "min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86400.0),
}
_NAMES = {1.0: "s", 60.0: "min", 3600.0: "h", 86400.0: "d"}
MOST = 1_000_000  # requests in a period: each of them is remembered until it has passed
_LONGEST = 20  # digits
_MEND = "write a count and a period: 10/s, 600/min, 1000/h or 10/5s"


class Rate(msgspec.Struct, frozen=True, gc=False):
    """At most *count* requests in any window of *period_s* seconds."""

    count: int
    period_s: float

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.period_s < float("inf"):
            raise ValueError(f"must allow at least one request in a period; {_MEND}")

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """The rate that *text* names; a fraction takes a longer period ("2.5/s" is 5 in 2 s).

        Raises `ValueError` with the mend.
        """
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]{1,3})?)\s*/\s*(\w[\w.]*)", text.strip().lower())
        if match is None:
            raise ValueError(f"is no rate; {_MEND}")
        count = Fraction(match[1]) if len(match[1]) < _LONGEST else Fraction(MOST + 1)
        if count.numerator > MOST:
            raise ValueError(f"counts more than {MOST:,} requests in a period; take a shorter one, or off for no limit")
        period_s = _PERIODS_S.get(match[2])
        if period_s is None:
            if match[2].replace(".", "").isdigit():
                raise ValueError(f"names no unit of time; {_MEND}")
            try:
                period_s = parse_duration(match[2])
            except ValueError:
                raise ValueError(f"names no known period; {_MEND}") from None
        return cls(count.numerator, period_s * count.denominator)

    @property
    def per_s(self) -> float:
        """Requests a second, on average."""
        return self.count / self.period_s

    def __str__(self) -> str:
        return f"{self.count}/{_NAMES.get(self.period_s) or duration_text(self.period_s)}"


Pace = Rate | Literal["off", "auto"]
"""How fast a scope may send: a rate, `off` for no limit of ours, `auto` to find the cloud's own limit."""


def parse_pace(text: str) -> Pace:
    """A rate, or `off`, or `auto`. Raises `ValueError` with the mend."""
    match text.strip().lower():
        case "off":
            return "off"
        case "auto":
            return "auto"
        case rate:
            return Rate.parse(rate)
