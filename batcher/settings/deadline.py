"""When a wave has to stop sending, as people write it: `30m` from its start, `06:00`, or a time with its zone."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from msgspec import Struct

from batcher.durations import duration_text, parse_duration

_MEND = "write a duration (30m), a time of day (06:00), or a time with its zone (2026-11-25T06:00:00+01:00)"


class Deadline(Struct, frozen=True):
    """Exactly one is set: *after_s* counts from the start of a run, *of_day* is the next such time in the
    zone that people read, *moment* has its zone."""

    after_s: float | None = None
    of_day: time | None = None
    moment: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> "Deadline":
        """The deadline that *text* names. Raises `ValueError` with the mend."""
        text = text.strip()
        if match := re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text):
            try:
                return cls(of_day=time(int(match[1]), int(match[2]), int(match[3] or 0)))
            except ValueError:
                raise ValueError(f"is no time of day; {_MEND}") from None
        if re.match(r"\d{4}-", text):
            return cls(moment=_moment(text))
        try:
            after_s = parse_duration(text)
        except ValueError:
            raise ValueError(f"is no deadline; {_MEND}") from None
        if after_s <= 0:
            raise ValueError(f"leaves no time to send anything; {_MEND}")
        return cls(after_s=after_s)

    def seconds_from(self, now: datetime, zone: tzinfo | None = None) -> float:
        """Seconds left at *now*, which is aware and where the run starts; none are left where it is past.

        A time of day is one of *zone*; None: of the machine's own.
        """
        if self.after_s is not None:
            return self.after_s
        if self.moment is not None:
            return max(0.0, (self.moment - now).total_seconds())
        assert self.of_day is not None  # noqa: S101 - one of the three is set
        local = now.astimezone(zone)
        day = local.date()
        while True:
            # The zone's own rules apply to that day: it may be shorter or longer than 24 hours.
            then = self._on(day, zone)
            if then > now:
                return (then - now).total_seconds()
            day += timedelta(days=1)

    def _on(self, day: date, zone: tzinfo | None) -> datetime:
        assert self.of_day is not None  # noqa: S101 - asked only then
        local = datetime.combine(day, self.of_day, zone)
        return (local.astimezone() if zone is None else local).astimezone(UTC)

    def __str__(self) -> str:
        if self.after_s is not None:
            return duration_text(self.after_s)
        if self.of_day is not None:
            return f"{self.of_day:%H:%M:%S}".removesuffix(":00")
        return self.moment.isoformat() if self.moment is not None else ""


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is no time; {_MEND}") from None
    if moment.tzinfo is None:
        raise ValueError(f"has no zone, and this machine's may not be the one you mean; {_MEND}")
    return moment
