"""The live line of a running wave: the bar with pace and end, the counts, the reason for waiting."""

from rich.text import Text

from batcher.cli.show.progress import limit_text, pause_text, waits_text
from batcher.clock import utc_now
from batcher.durations import rough_duration
from batcher.text import printable
from batcher.wave.status import WaveStatus


def render(status: WaveStatus, width: int) -> Text:
    """The live display: the bar with pace and end, the counts, and, where there is one, the reason for waiting."""
    lines = [_bar(status, width), _counts(status, width)]
    if status.stopping:
        lines.append(Text(f"stopping: {printable(status.stopping)}", "yellow"))
    elif pause := pause_text(status):
        lines.append(Text(printable(pause), "yellow"))
    if not status.stopping and (waits := waits_text(status, utc_now())):
        lines.append(Text(waits, "dim"))
    if status.changed:
        lines.append(Text(f"changed: {status.changed[-1]}", "cyan"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines)


def _bar(status: WaveStatus, width: int) -> Text:
    right = f"  {status.settled:,}/{status.entries:,}  {status.rate_per_s:.1f}/s"
    if limit := limit_text(status):
        right += f" of {limit}"
    right += f"  {_end(status)}"
    return bar(status.settled, status.entries, right, width, "yellow" if status.stopping else "green")


def bar(done: int, whole: int, right: str, width: int, style: str) -> Text:
    """A bar of how much is *done* of the *whole*, as wide as *right*, which stands beside it, leaves room for."""
    room = min(max(width - len(right), 10), 60)
    full = int(done / whole * room) if whole else room
    line = Text("━" * full, style)
    line.append("─" * (room - full), "bright_black")
    line.append(right, "default")
    return line


def _end(status: WaveStatus) -> str:
    if status.settled >= status.entries:
        return f"done in {rough_duration(status.elapsed_s)}"
    if status.eta_s is None:
        return f"{rough_duration(status.elapsed_s)} so far"
    return f"{rough_duration(status.eta_s)} left"


_COUNTS = (
    ("created", "green"),
    ("partial", "yellow"),
    ("failed", "red"),
    ("unsettled", "bold magenta"),
    ("invalid", "red"),
    ("not_submitted", "yellow"),
    ("in_flight", "default"),
    ("in_doubt", "magenta"),
    ("waiting", "default"),
    ("retried", "dim"),
    ("throttled", "yellow"),
    ("recovered", "cyan"),
)


def _counts(status: WaveStatus, width: int) -> Text:
    """As many counts as fit, whole, the most telling first; counts of nothing are left out, but for `created`."""
    line = Text()
    for name, style in _COUNTS:
        count = getattr(status, name)
        part = Text(f"{name.replace('_', ' ')} {count:,}", style)
        if (count or name == "created") and len(line) + 2 + len(part) <= width:
            line.append("  " if len(line) else "")
            line.append_text(part)
    return line
