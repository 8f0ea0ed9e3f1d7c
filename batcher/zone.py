"""The zone in which people read times: one for the process, and named with every time. Files and JSON stay UTC."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from batcher.nearest import nearest

LOCAL, UTC_NAME = "local", "utc"

_Find = Callable[[], str]


def _local() -> str:
    return LOCAL


_chosen: tuple[str, tzinfo | None] | None = None
_find: _Find = _local


def zone_of(name: str) -> tzinfo | None:
    """The zone *name*: `utc`, or one of the tz database such as `Europe/Berlin`; None for `local`, the machine's own.

    Raises `ValueError` with the mend.
    """
    text = name.strip()
    if text.lower() == LOCAL:
        return None
    if text.lower() in (UTC_NAME, "z"):
        return UTC
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError):  # not there, a folder of zones, or no name that a zone could have
        raise ValueError(
            f"is no time zone known here; write local, utc, or one like Europe/Berlin{_near(text)}"
        ) from None


def _near(text: str) -> str:
    from zoneinfo import available_timezones

    near = nearest(text, sorted(available_timezones()))
    return f" (did you mean {near}?)" if near else ""


def choose(name: str) -> None:
    """Have people read times in the zone *name* from now on. Raises `ValueError`."""
    global _chosen
    _chosen = (name, zone_of(name))


def choose_by(find: _Find) -> None:
    """Have *find* asked for the zone's name when the first time is shown: looking for it costs, and few show one."""
    global _chosen, _find
    _chosen, _find = None, find


def shown(moment: datetime) -> datetime:
    """*moment*, which is aware, as people read it."""
    if _chosen is None:
        choose(_find())
    assert _chosen is not None  # noqa: S101 - just chosen
    return moment.astimezone(_chosen[1])


def on_a_page(moment: datetime) -> datetime:
    """*moment*, which is aware, for a page that is passed on to people elsewhere: in the zone that was named, else UTC.

    The machine's own zone says nothing to them.
    """
    return shown(moment) if area() is not None else moment.astimezone(UTC)


def area() -> str | None:
    """The zone's name in the tz database; None where it is UTC or the machine's own."""
    if _chosen is None:
        choose(_find())
    assert _chosen is not None  # noqa: S101 - just chosen
    return getattr(_chosen[1], "key", None)


def clock_text(moment: datetime, *, fraction: bool = False) -> str:
    """The time of day: `14:03:07 UTC`, `14:03:07 +02:00`; with milliseconds as its *fraction*."""
    local = shown(moment)
    return f"{local:%H:%M:%S}{_fraction(local) if fraction else ''} {zone_text(local)}"


def moment_text(moment: datetime, *, fraction: bool = False) -> str:
    """Date and time: `2026-11-30 14:03:07 UTC`, `2026-11-30 14:03:07 +02:00`; with milliseconds as its *fraction*."""
    local = shown(moment)
    return f"{local:%Y-%m-%d %H:%M:%S}{_fraction(local) if fraction else ''} {zone_text(local)}"


def _fraction(moment: datetime) -> str:
    return f".{moment.microsecond // 1000:03d}"


def span_text(began: datetime, ended: datetime) -> str:
    """From when until when; what both share is said once: `2026-11-30 01:13:45 to 01:13:58 UTC`."""
    first, last = shown(began), shown(ended)
    until = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    before = "" if zone_text(first) == zone_text(last) else f" {zone_text(first)}"  # the clocks were changed meanwhile
    return f"{first:%Y-%m-%d %H:%M:%S}{before} to {until} {zone_text(last)}"


def zone_text(moment: datetime) -> str:
    """How far *moment*'s zone is from UTC: `UTC`, `+02:00`. A zone's letters (CST) may mean several."""
    offset = moment.strftime("%z")
    return "UTC" if offset.startswith(("+0000", "-0000")) else f"{offset[:3]}:{offset[3:5]}"
