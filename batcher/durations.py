"""Durations as people write them: "90s", "5m", "1h30m", or plain seconds."""

import re
from itertools import pairwise

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|min|[smhd])\s*")
_MEND = "write 90s, 5m, 1h30m, or plain seconds"


def parse_duration(text: str | float) -> float:
    """*text* in seconds; a bare number is seconds already. Raises `ValueError` with the mend."""
    if isinstance(text, bool):
        raise ValueError(f"is no duration; {_MEND}")
    seconds = float(text) if isinstance(text, int | float) else _parse(text.strip().lower())
    if not 0 <= seconds <= 365 * 86400:  # NaN fails this too
        raise ValueError(f"is no duration between zero and a year; {_MEND}")
    return seconds


def _parse(text: str) -> float:
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = list(_PART.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        raise ValueError(f"is no duration; {_MEND}")
    sizes = [_UNITS_S[part[2]] for part in parts]
    if any(later >= earlier for earlier, later in pairwise(sizes)):
        raise ValueError(f"names its units out of order; {_MEND}")
    return sum(float(part[1]) * size for part, size in zip(parts, sizes, strict=True))


def duration_text(seconds: float) -> str:
    """*seconds* as `parse_duration` reads it, exact to the millisecond: "1m30s", "0.25s"."""
    if seconds < 60:
        return f"{round(seconds, 3):g}s"
    whole, rest = divmod(round(seconds, 3), 60)
    minutes = int(whole)
    parts = [
        (minutes // 1440, "d"),
        (minutes // 60 % 24, "h"),
        (minutes % 60, "m"),
        (round(rest, 3), "s"),
    ]
    return "".join(f"{count:g}{unit}" for count, unit in parts if count)


def about(seconds: float) -> str:
    """A forecast for reading at a glance: "about 2m05s", or "less than a second"."""
    return "less than a second" if seconds < 1 else f"about {rough_duration(seconds)}"


def rough_duration(seconds: float) -> str:
    """*seconds* for reading at a glance, two units at most: "2m05s", "3h20m", "4.2s"."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = round(seconds / 3600)
    return f"{hours // 24}d{hours % 24:02d}h"
