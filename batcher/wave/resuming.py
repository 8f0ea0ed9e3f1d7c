"""Taking up an old wave: that it is the same, that its journal is the newest, and what is to be looked at again."""

from collections.abc import Iterator, Mapping
from typing import Any

from batcher.clock import Clock, utc
from batcher.journal.errors import WaveRefused
from batcher.journal.held_journal import HeldJournal
from batcher.journal.ops import Happened, Noted, Op
from batcher.journal.port import MutableRecord, Record
from batcher.life.events import Reopened, Ruled
from batcher.life.policy import LookFirst
from batcher.life.result import Status
from batcher.life.state import history
from batcher.wave.older import OlderJournal, behind_its_sign, refuse_untold, take_results, untold_verdicts
from batcher.wave.prior_run_check import LOOKS_FIRST
from batcher.wave.rebuild import every_open_entry
from batcher.wave.request import Request
from batcher.wave.sink import mend, write_all

_CHUNK = 1000


def take_up(request: Request, record: MutableRecord, clock: Clock, hold: HeldJournal | None) -> list[str]:
    """Check that it is the same wave, make the results file agree, and reopen what is to be looked at again.

    Returns what there is to say. Raises `WaveRefused`, `SinkFailed`, `JournalFailed`, OSError.
    """
    facts = record.facts()
    same_wave(request, record, facts)
    said = list(_refuse_older(request, record, hold))
    results = request.files.results
    if results is not None:
        check = refuse_untold(record, results)
        if request.look_first is LookFirst.ALWAYS and results.exists():
            said += take_results(record, results, clock.now())
            check = _pass
        if facts.get("rewriting"):
            if results.exists():
                check(0)
            write_all(results, record.lines())
        else:
            mended = mend(results, record.lines, check)
            said += [mended.said] if mended.said else []
    if hold is not None:
        hold.keep_sign()
    if facts.get("rewriting"):
        record.commit([Noted(name="rewriting", value=False)])
    always = request.look_first is LookFirst.ALWAYS
    if request.look_first is not LookFirst.AUTO and always is not bool(facts.get(LOOKS_FIRST)):
        record.commit([Noted(name=LOOKS_FIRST, value=always)])
    reopened = reopen(record, [Status.UNSETTLED], clock, why="the wave was run again", fresh=False)
    if request.look_first is LookFirst.NEVER:
        trust(record, clock)
    if request.retry_failed:
        reopened += reopen(record, [Status.FAILED, Status.PARTIAL], clock, why="--retry-failed", fresh=True)
    if reopened and results is not None:
        write_all(results, record.lines())
        record.commit([Noted(name="rewriting", value=False)])
    now = utc(clock.now()).isoformat()
    record.commit([Noted(name="resumed_at", value=now), Noted(name="settings", value=dict(request.settings or {}))])
    return said


def _pass(_: int) -> None:
    """What the file tells and can be of use was taken."""


def looks_first(request: Request, record: Record) -> LookFirst:
    """Whether this run looks entries up before it sends them: what is asked for, or what an earlier run found."""
    if request.look_first is LookFirst.AUTO and record.facts().get(LOOKS_FIRST):
        return LookFirst.ALWAYS
    return request.look_first


def _refuse_older(request: Request, record: MutableRecord, hold: HeldJournal | None) -> Iterator[str]:
    """Going on with an older journal would create again what was created since. Raises `OlderJournal`.

    What gives it away is only said where every entry is looked up first anyhow.
    """
    sign = None if hold is None else hold.lock.sign()
    tells = [] if hold is None or sign is None else [behind_its_sign(hold.keeper, hold.journal, sign)]
    tells += [untold_verdicts(record, file) for file in request.files.told[1:]]
    for why in filter(None, tells):
        if request.look_first is not LookFirst.ALWAYS:
            raise OlderJournal(request.files.journal, why)
        yield f"{why}. Each entry is looked up before it is sent"
    if hold is not None and sign is not None and hold.lock.was_copied(sign) and request.look_first is LookFirst.AUTO:
        record.commit([Noted(name=LOOKS_FIRST, value=True)])
        yield (
            "the wave's files were copied or moved here: each entry is looked up before it is sent, in case another "
            "run goes on with it elsewhere. --look-first never spares that"
        )


def trust(record: MutableRecord, clock: Clock) -> None:
    """The operator says that no other run went on with the wave: what was suspected was not sent by it."""
    for scope in record.scopes():
        for entry, events in every_open_entry(record, scope.number):
            if history(entry.asked, events).suspicion:
                record.commit([Happened(index=entry.index, event=Ruled(at=clock.now(), ruling="retry"))])


def same_wave(request: Request, record: Record, facts: Mapping[str, Any]) -> None:
    """See that *request* is for the wave that *record* has, whose *facts* these are. Raises `WaveRefused`."""
    old, new = facts["digest"], request.manifest.digest
    if old != new:
        raise WaveRefused(
            f"{request.manifest.file} is not the manifest that this wave was begun with ({facts['manifest']}, {old}; "
            f"now {new}). Run that one to go on, choose another -o for a new wave, or begin anew with --restart"
        )
    for name in ("allow_duplicates", "skip_invalid"):
        if facts[name] != getattr(request, name):
            option = name.replace("_", "-")
            was = "with" if facts[name] else "without"
            raise WaveRefused(f"this wave was begun {was} --{option}: run the same command again to go on")
    defaults = facts["defaults"]
    for name, option in (("endpoint", "--endpoint or --region"), ("project_id", "--project-id")):
        was, now = defaults[name], getattr(request.defaults, name)
        used = any(getattr(scope, name) == was for scope in record.scopes())
        if was != now and used:
            raise WaveRefused(
                f"this wave was begun with {name} {was}, and now it is {now} ({option}). Run the same command again to "
                "go on, choose another -o for a new wave, or begin anew with --restart"
            )


def reopen(record: MutableRecord, statuses: list[Status], clock: Clock, *, why: str, fresh: bool) -> int:
    """Take up again the entries with one of *statuses*; their lines leave the results file."""
    indexes = record.with_status(statuses)
    for begin in range(0, len(indexes), _CHUNK):
        ops: list[Op] = [Noted(name="rewriting", value=True)]
        for index in indexes[begin : begin + _CHUNK]:
            found = record.result_of(index)
            was = found[1].value if found else ""
            ops.append(Happened(index=index, event=Reopened(at=clock.now(), was=was, why=why, fresh=fresh)))
        record.commit(ops)
    return len(indexes)
