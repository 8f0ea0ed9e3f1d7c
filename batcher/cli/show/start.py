"""What a wave says before it begins: what was found, where it goes, how fast, and how long that takes."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from batcher import zone
from batcher.cli.show.running_wave import RunningWave
from batcher.cli.show.terminal import Screen
from batcher.clock import utc_now
from batcher.drs.endpoints import is_loopback
from batcher.durations import about, duration_text, rough_duration
from batcher.rates import Pace, Rate
from batcher.settings import RunSettings
from batcher.text import counted, printable
from batcher.wave.opening import OpeningState
from batcher.wave.status import ScopeStatus, WaveStatus

_LEAST_LANDING_S = 60.0
_SCOPES = 8  # shown; a wave over hundreds of projects says how many more


def print_start(screen: Screen, wave: RunningWave, *, title: str, results: Path | None = None) -> None:
    """Say on *screen* what *wave*, which has been entered, is about to do.

    *results* is where its results go, where nobody has said so.
    """
    assert wave.found is not None  # noqa: S101 - it has been entered
    found, status, pace = wave.found, wave.status(), wave.settings.pace
    where = "" if results is None else f", results in {printable(str(results))}"
    screen.say((printable(title), "bold"), f"  {counted(status.entries, 'entry', 'entries')}{where}")
    for said in found.said:
        screen.say((f"  {printable(said)}", "yellow"))
    least_s = shortest_s(status, pace)
    takes = "" if least_s is None or not found.to_go or found.elsewhere else f", {about(least_s)} at {pace}"
    screen.say(f"  {_found(found)}{takes}{_until(wave.settings) if found.to_go else ''}")
    for scope in status.scopes[:_SCOPES]:
        credential = wave.credentials.get((scope.endpoint, scope.project_id))
        alone = len(status.scopes) == 1
        owner = found.elsewhere.get((scope.endpoint, scope.project_id))
        screen.say((f"  {_scope(scope, pace, credential, owner, alone=alone)}", "dim"))
    if (more := len(status.scopes) - _SCOPES) > 0:
        screen.say((f"  … and {counted(more, 'further project')}", "dim"))
    screen.say()


def _until(settings: RunSettings) -> str:
    """When nothing new is sent any more, for people: a time of day may be meant in another zone than theirs."""
    if settings.deadline is None:
        return ""
    now = utc_now()
    left_s = settings.deadline.seconds_from(now, zone.zone_of(settings.timezone))
    falls = zone.clock_text(now + timedelta(seconds=left_s, milliseconds=1))
    return f", nothing new after {falls} (in {rough_duration(left_s)})"


def short_landing(status: WaveStatus, landing_s: float, timeout_s: float) -> str | None:
    """What to say of a landing time that is too short for a real cloud; None where it is not, or none is asked."""
    least_s = max(_LEAST_LANDING_S, timeout_s)
    real = sorted({scope.endpoint for scope in status.scopes if not _is_here(scope.endpoint)})
    if landing_s >= least_s or not real:
        return None
    return (
        f"landing_time is {duration_text(landing_s)}, which is for a simulator: a request without an answer may take "
        f"effect at {printable(real[0])} later than that, and its entry would be sent a second time. Leave it out "
        f"(unset BATCHER_LANDING_TIME), or make it at least {duration_text(least_s)}."
    )


def _is_here(endpoint: str) -> bool:
    return is_loopback(urlsplit(endpoint).hostname or "")


def _found(found: OpeningState) -> str:
    """The three numbers that say where the wave stands."""
    if not found.resumed:
        settled = f"{found.settled:,} invalid, " if found.settled else ""
        return f"a new wave: {settled}{found.to_go:,} to go"
    if not found.to_go and not found.in_doubt:
        return f"the wave has ended: all {found.settled:,} are settled"
    if found.elsewhere:  # what is in doubt is on its way there
        return f"{found.settled:,} settled by now, {found.in_doubt + found.to_go:,} to go"
    doubt = f"{found.in_doubt:,} in doubt and looked up first, " if found.in_doubt else ""
    return f"goes on where it stopped: {found.settled:,} settled, {doubt}{found.to_go:,} to go"


def _scope(scope: ScopeStatus, pace: Pace, credential: str | None, owner: str | None, *, alone: bool) -> str:
    """Where one scope's entries go, how many are left where it is not *alone*, how fast, and with what; or that its
    *owner*, another process, runs it."""
    left = [] if alone else [counted(scope.entries - scope.settled, "entry", "entries")]
    limit = (
        f"at most {pace}" if isinstance(pace, Rate) else "no limit of ours" if pace == "off" else "finding the limit"
    )
    here = [limit, *([credential] if credential else [])] if scope.settled < scope.entries else []
    parts = [*left, *(here if owner is None else [f"run by {printable(owner)}"])]
    return f"project {printable(scope.project_id)} at {printable(scope.endpoint)}: {', '.join(parts) or 'all settled'}"


def shortest_s(status: WaveStatus, pace: Pace) -> float | None:
    """Seconds that the rate alone makes the wave last: its largest scope decides. None: no rate is set."""
    if not isinstance(pace, Rate):
        return None
    return max((scope.entries - scope.settled for scope in status.scopes), default=0) / pace.per_s
