"""Opening a wave in a database that machines share: it is planned there, or attached to where it is.

Invariants:
- Who hands in the same manifest at the same moment plans it once: the others wait, and attach.
- A wave that somebody runs is left as it is: who attaches to it follows it, and takes scopes that are free.
- A wave that nobody runs goes on by the settings of who runs it again. What keeps it from being taken (a stop, a
  deadline) is taken back last, so that no worker has it before all is as it should be.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

from msgspec import Struct

from batcher.clock import Clock, utc
from batcher.journal.errors import JournalAbsent, LaneLost, WaveRefused
from batcher.journal.files import put_aside
from batcher.journal.ops import Noted
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.looking import end_run_out_leases
from batcher.journal.postgres.of_service import service_wave
from batcher.journal.postgres.orders import hold_until_ordered, order_wave, orders_of, rename_wave
from batcher.life.policy import LookFirst, MaxFailures
from batcher.life.result import Status
from batcher.machines.look import invite_to
from batcher.machines.standing import owners_of, standings_of
from batcher.machines.wanting import have_followed, refuse_other_bounds, refuse_several_scopes
from batcher.settings import RunSettings
from batcher.settings.policy import policy_of
from batcher.text import counted
from batcher.wave.opening import OpeningState, check_results, plan_wave, require_digest
from batcher.wave.prior_run_check import LOOKS_FIRST
from batcher.wave.rebuild import count_doubts
from batcher.wave.request import Request
from batcher.wave.resuming import reopen, same_wave, trust

_PLANNED_ELSEWHERE_S = 0.3  # between two looks whether another process is done with the plan


class SharedOpening(Struct):
    """A wave in a database, ready to be run by whoever takes its scopes. *scopes* is how many it has."""

    record: PostgresWrittenRecord
    found: OpeningState
    facts: Mapping[str, Any]
    scopes: int


class OpeningTerms(Struct, frozen=True, kw_only=True):
    """What who opens the wave wants of it, beside the *request*: its *settings*, and when nothing new is sent any more,
    seconds from now; None: no bound.

    Without *releases* no worker takes it yet: who opens it, a service that has it and has seen that it may be opened,
    takes the stop back later.
    """

    request: Request
    settings: RunSettings
    deadline_in_s: float | None
    releases: bool = True


def open_shared(keeper: PostgresKeeper, wave: str, wanted: OpeningTerms, clock: Clock) -> SharedOpening:
    """Plan the *wave* with that id, or attach to it.

    Raises `WaveRefused`, `BadManifest`, `JournalFailed`.
    """
    request = wanted.request
    require_digest(request)
    check_results(request.files.results)
    _check_folder(request.files.results)
    if wanted.releases:
        _refuse_past_service(keeper, wave, restart=request.restart)
    said = _put_aside(keeper, wave, request.files.results, clock) if request.restart else []
    record, resumed = _planned(keeper, wave, wanted, clock)
    if resumed:
        facts = record.facts()
        same_wave(request, record, facts)
        said += _go_on(keeper, record, wanted, clock)
    done, doubts = sum(record.status_counts().values()), count_doubts(record)
    found = OpeningState(
        resumed=resumed,
        settled=done,
        in_doubt=doubts,
        to_go=record.entry_count() - done - doubts,
        said=tuple(said),
    )
    return SharedOpening(record=record, found=found, facts=record.facts(), scopes=len(record.scopes()))


def _refuse_past_service(keeper: PostgresKeeper, wave: str, *, restart: bool) -> None:
    """Nobody begins a service's wave but a service, which sees to it that it was approved. Raises `WaveRefused`,
    `JournalFailed`."""
    found = service_wave(keeper.link, wave)
    if found is None:
        return
    if (why := found.why_not_begun) is not None:
        raise WaveRefused(f"{keeper.link.name}, wave {wave}, is a service's and {why}. Nothing was sent")
    if restart:
        raise WaveRefused(
            f"{keeper.link.name}, wave {wave}, is a service's, and --restart would begin another in its place: hand "
            "the manifest in again with `batcher submit`, or leave --restart out"
        )


def _check_folder(results: Path | None) -> None:
    """Refuse a place where no file can be made, before there is a wave that others would run."""
    if results is None:
        return
    folder = results.absolute().parent
    if not folder.is_dir():
        raise WaveRefused(f"there is no folder {folder} to write in: make it, or choose another -o")
    if not results.exists() and not os.access(folder, os.W_OK):
        raise WaveRefused(f"nothing may be written in {folder}: choose another -o")


def _planned(
    keeper: PostgresKeeper, wave: str, wanted: OpeningTerms, clock: Clock
) -> tuple[PostgresWrittenRecord, bool]:
    """The wave's record with a plan in it, and whether that was there."""
    while True:
        record = _record_of(keeper, wave)
        if record.is_planned():
            return record, True
        _refuse_leftovers(wanted.request.files.results)
        try:
            hold_until_ordered(keeper.link, record.number)
            plan_wave(wanted.request, record, clock)
            _order(keeper, record, wanted, clock)
        except WaveRefused:
            if not record.is_planned():  # another process is at it
                time.sleep(_PLANNED_ELSEWHERE_S)
        else:
            return record, False


def _refuse_leftovers(results: Path | None) -> None:
    """A new wave does not begin in the results file of another."""
    if results is not None and results.exists() and results.stat().st_size:
        raise WaveRefused(
            f"{results} is there, and its wave is not in the database: choose another -o, or begin a new wave with "
            "--restart, which keeps the old file aside"
        )


def _record_of(keeper: PostgresKeeper, wave: str) -> PostgresWrittenRecord:
    try:
        return keeper.wave(wave)
    except JournalAbsent:
        try:
            return keeper.new_wave(wave)
        except WaveRefused:  # made at this moment by another
            return keeper.wave(wave)


def _order(keeper: PostgresKeeper, record: PostgresWrittenRecord, wanted: OpeningTerms, clock: Clock) -> None:
    """Have the orders say what the settings do. Only from here on a stopped wave is taken again."""
    if wanted.settings.follows:
        have_followed(keeper, record, wanted.settings.watch_timeout, clock)
    ends: dict[str, Any] = {
        "deadline_in_s": wanted.deadline_in_s,
        "max_failures": most_failures(policy_of(wanted.settings).max_failures, record.entry_count()),
    }
    if not wanted.releases:
        order_wave(keeper.link, record.number, **ends)
        return
    order_wave(keeper.link, record.number, stop=None, rate=None, read_rate=None, concurrency=None, **ends)
    invite_to(keeper.link, record.number)


def most_failures(allowed: MaxFailures, entries: int) -> int | None:
    """With how many failed ones of *entries* too much has failed; None: however many."""
    if allowed.count is not None:
        return allowed.count
    return None if allowed.percent is None else max(1, ceil(entries * allowed.percent / 100))


# --- a wave that is there -------------------------------------------------------------------------------


def _go_on(keeper: PostgresKeeper, record: PostgresWrittenRecord, wanted: OpeningTerms, clock: Clock) -> list[str]:
    """Go on with a wave that nobody runs; one that somebody runs is left as it is. What there is to say."""
    request = wanted.request
    if owners := owners_of(keeper.link, record.number):
        return _attached(keeper, record, owners, wanted, clock)
    refuse_several_scopes(wanted.settings, len(record.scopes()))
    said = []
    try:
        end_run_out_leases(keeper, record)
        reopen(record, [Status.UNSETTLED], clock, why="the wave was run again", fresh=False)
        if request.look_first is LookFirst.NEVER:
            trust(record, clock)
        if request.retry_failed:
            reopen(record, [Status.FAILED, Status.PARTIAL], clock, why="--retry-failed", fresh=True)
    except LaneLost:
        if owners := owners_of(keeper.link, record.number):  # taken since we looked
            return _attached(keeper, record, owners, wanted, clock)
        if request.retry_failed:
            raise WaveRefused(
                f"another wave is running in a scope of {record.name}: --retry-failed takes up what failed once that "
                "has ended"
            ) from None
        said.append("another wave is running in a scope of this one: unsettled entries stay as they are")
    facts = {
        "resumed_at": utc(clock.now()).isoformat(),
        "settings": dict(request.settings or {}),
        "rewriting": False,
    }
    if request.look_first is not LookFirst.AUTO:
        facts[LOOKS_FIRST] = request.look_first is LookFirst.ALWAYS
    record.commit([Noted(name=name, value=value) for name, value in facts.items()])
    _order(keeper, record, wanted, clock)
    return [*said, *_paused(keeper, record)]


def _attached(
    keeper: PostgresKeeper, record: PostgresWrittenRecord, owners: Sequence[str], wanted: OpeningTerms, clock: Clock
) -> list[str]:
    """What there is to say of a wave that *owners* run. Raises `WaveRefused` where what is asked for cannot be done."""
    said = _is_running(record, owners, wanted)
    return [said, *_paused(keeper, record), *_want_as_well(keeper, record, wanted, clock)]


def _paused(keeper: PostgresKeeper, record: PostgresWrittenRecord) -> list[str]:
    """That the wave is paused, where it is, and how it goes on."""
    paused = orders_of(keeper.link, record.number).paused
    resume = f"batcher control --journal '{keeper.link.address}/{record.wave}' resume"
    return [] if paused is None else [f"the wave is paused ({paused}): {resume}"]


def _is_running(record: PostgresWrittenRecord, owners: Sequence[str], wanted: OpeningTerms) -> str:
    """That the wave is running, for people. Raises `WaveRefused` where what is asked for cannot be done then."""
    on = ", ".join(owners)
    refuse_other_bounds(record, record.facts(), wanted.settings)
    if wanted.request.retry_failed:
        raise WaveRefused(
            f"{record.name} is running ({on}): --retry-failed takes up what failed once it has ended, or was stopped"
        )
    if sum(record.status_counts().values()) >= record.entry_count():
        return f"its verdicts are being found already, by {on}"
    return f"the wave is running already, on {on}: it goes on by the settings it has"


def _want_as_well(
    keeper: PostgresKeeper, record: PostgresWrittenRecord, wanted: OpeningTerms, clock: Clock
) -> list[str]:
    """Have verdicts found of a wave that others run, where they are wanted here and were not there. What there is to
    say."""
    (standing,) = standings_of(keeper.link, record.wave)
    if not wanted.settings.follows or standing.followed:
        return []
    have_followed(keeper, record, wanted.settings.watch_timeout, clock)
    return ["its comparisons are followed to their verdicts from now on, by whichever machine has their scope"]


# --- --restart ------------------------------------------------------------------------------------------


def _put_aside(keeper: PostgresKeeper, wave: str, results: Path | None, clock: Clock) -> list[str]:
    """Give the wave with that id another one, so that a new one can have it, and its results file here another name.
    What there is to say. Raises `WaveRefused`, `JournalFailed`."""
    said: list[str] = []
    with suppress(JournalAbsent):
        record = keeper.wave(wave)
        if record.is_planned():
            said += _renamed(keeper, record, wave, clock)
    if results is not None and results.exists():
        try:
            said += [f"the old results are kept as {path}" for path in put_aside(results)]
        except OSError as error:
            raise WaveRefused(f"cannot put the old results aside: {error}") from error
    return said


def _renamed(keeper: PostgresKeeper, record: PostgresWrittenRecord, wave: str, clock: Clock) -> list[str]:
    if owners := owners_of(keeper.link, record.number):
        raise WaveRefused(
            f"{record.name} is running ({', '.join(owners)}): stop it first, with `batcher control … stop`, or leave "
            "--restart out"
        )
    counts = record.status_counts()
    made = counts.get(Status.CREATED, 0) + counts.get(Status.PARTIAL, 0)
    doubts = count_doubts(record) + counts.get(Status.UNSETTLED, 0)
    aside = f"{wave}.{utc(clock.now()).strftime('%Y%m%dT%H%M%SZ')}"
    rename_wave(keeper.link, record.number, aside)
    keeper.forget(wave)
    said = [f"the old wave is kept as {aside}"]
    if made:
        said.append(
            f"the old wave created {counted(made, 'entry', 'entries')}: the new one creates what it has of them again"
        )
    if doubts:
        may = counted(doubts, "entry of the old wave is", "entries of the old wave are")
        said.append(f"{may} in doubt: the comparisons may exist, and the new wave does not look for them")
    return said
