"""`batcher control` and `batcher status` over waves in a database that machines share: orders, and where they stand."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from rich.text import Text

from batcher.durations import rough_duration
from batcher.errors import UserError
from batcher.journal.errors import JournalAbsent
from batcher.journal.place import WavePlace
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.looking import opened, planned_wave
from batcher.journal.postgres.orders import order_scope, order_wave
from batcher.life.result import Status
from batcher.logger import scope_name
from batcher.machines.standing import SeenWorker, SharedScope, SharedStanding, in_flight_of, standings_of, workers_of
from batcher.rates import parse_pace
from batcher.text import counted, printable
from batcher.wave.controls import MOST_CONCURRENT

_STAGES = {
    "planning": "yellow",
    "running": "cyan",
    "following": "cyan",
    "paused": "yellow",
    "waiting": "yellow",
    "stopping": "yellow",
    "stopped": "yellow",
}
_TROUBLE = (Status.UNSETTLED, Status.FAILED, Status.PARTIAL, Status.INVALID, Status.NOT_SUBMITTED)
_BY_HAND = "by the operator"
_ENDINGS = {
    "stopped": "stopped",
    "deadline": "its deadline is over",
    "max_failures": "its most failures are reached",
}


def control(place: WavePlace, verb: str, value: str | None) -> tuple[str | None, SharedStanding, list[SeenWorker]]:
    """Do what was asked with the wave at *place*: what was done, for people, where it stands then, and who is there.

    Raises `UserError`.
    """
    wave = place.required_wave()
    with opened(place.address) as keeper:
        planned_wave(keeper, place, wave)
        said = _order(keeper, wave, verb, value)
        with keeper.link.snapshot():
            (standing,) = standings_of(keeper.link, wave, in_flight=in_flight_of(keeper.link))
            return said, standing, workers_of(keeper.link)


def control_scope(
    place: WavePlace, scope: str, verb: str, value: str | None
) -> tuple[str | None, list[SharedStanding], list[SeenWorker]]:
    """The same for the *scope* of that name, PROJECT or PROJECT@HOST, in the database at *place*: what was done, for
    people, and where the waves in it stand that are not over.

    Raises `UserError`.
    """
    with opened(place.address) as keeper:
        named = _scope_named(keeper, scope)
        said = _order_scope(keeper, named, verb, value)
        with keeper.link.snapshot():
            standings = [
                standing
                for standing in standings_of(keeper.link, in_flight=in_flight_of(keeper.link))
                if not standing.is_over and any((s.endpoint, s.project_id) == named for s in standing.scopes)
            ]
            return said, standings, workers_of(keeper.link)


def _scope_named(keeper: PostgresKeeper, scope: str) -> tuple[str, str]:
    """Endpoint and project of the only scope that *scope* can mean."""
    rows = keeper.link.rows("SELECT endpoint, project_id FROM scopes ORDER BY endpoint, project_id")
    found = [named for named in rows if scope in (named[1], scope_name(*named))]
    if len(found) == 1:
        endpoint, project_id = found[0]
        return endpoint, project_id
    if found:
        several = ", ".join(scope_name(*named) for named in found)
        raise UserError(f"--scope {printable(scope, 100)} is at several endpoints: name one of {printable(several)}")
    raise UserError(
        f"no wave of {keeper.link.name} has a scope {printable(scope, 100)}: `batcher status --journal URL` shows them"
    )


def _pace(value: str | None) -> str:
    """The pace that *value* says, as it is kept. Raises `UserError`."""
    try:
        return str(parse_pace(value or ""))
    except ValueError as error:
        raise UserError(f"rate {printable(value or '', 100)} {error}") from None


def _order_scope(keeper: PostgresKeeper, named: tuple[str, str], verb: str, value: str | None) -> str | None:
    """Write the order for a scope; what it is, for people. Raises `UserError`, `JournalFailed`."""
    match verb:
        case "pause":
            order_scope(keeper.link, *named, paused=_BY_HAND)
            return "paused: no machine sends anything new there, of any wave, from now on. What is in flight is settled"
        case "resume":
            order_scope(keeper.link, *named, paused=None)
            return "resumed, for every wave"
        case "rate":
            pace = _pace(value)
            order_scope(keeper.link, *named, rate=None if pace == "off" else pace)
            return "no rate is ordered there any more" if pace == "off" else f"rate {pace} there, over all waves"
        case _:
            return None


def _order(keeper: PostgresKeeper, wave: str, verb: str, value: str | None) -> str | None:
    """Write the order; what it is, for people. Raises `UserError`, `JournalFailed`."""
    number = keeper.wave(wave).number
    match verb:
        case "pause":
            order_wave(keeper.link, number, paused=_BY_HAND)
            return "paused: no machine sends anything new of it, from now on. What is in flight is settled"
        case "resume":
            order_wave(keeper.link, number, paused=None, stop=None)
            return "resumed, on every machine"
        case "stop":
            order_wave(keeper.link, number, stop=_BY_HAND)
            return (
                "stopped: no machine sends anything new of it, from now on. What is in flight is settled; `resume`, or "
                "the same `batcher run` again, goes on"
            )
        case "rate":
            pace = _pace(value)
            order_wave(keeper.link, number, rate=pace)
            return f"rate {pace} in each scope"
        case "concurrency":
            told = (value or "").strip()
            if re.fullmatch("[0-9]{1,4}", told) is None or not 1 <= int(told) <= MOST_CONCURRENT:
                said = printable(told, 100)
                raise UserError(f"concurrency {said} is none: write a number from 1 to {MOST_CONCURRENT}")
            order_wave(keeper.link, number, concurrency=int(told))
            return f"concurrency {int(told)} in each scope"
        case _:
            return None


def look(place: WavePlace) -> tuple[list[SharedStanding], list[SeenWorker]]:
    """Where the wave at *place* stands, or all of the database, and which workers are there. Raises `UserError`."""
    with opened(place.address) as keeper:
        with keeper.link.snapshot():
            standings = standings_of(keeper.link, place.wave, in_flight=in_flight_of(keeper.link))
            workers = workers_of(keeper.link)
        if place.wave is not None and not standings:
            planned_wave(keeper, place, place.wave)
            raise JournalAbsent(f"there is no wave {place.wave} in {place.address}.")
        return standings, workers


def as_json(place: WavePlace, standings: Sequence[SharedStanding], workers: Sequence[SeenWorker]) -> dict[str, Any]:
    """The same as plain data, for `--json`."""
    from msgspec import to_builtins

    waves = [{"place": str(place.at(standing.wave)), **standing.as_json()} for standing in standings]
    return {"database": str(place.address), "waves": waves, "workers": to_builtins(workers)}


def lines_of(standings: Sequence[SharedStanding], workers: Sequence[SeenWorker]) -> Iterator[Text]:
    """What is shown of them: a line for each wave, and one for each of its scopes that is not done."""
    from batcher.report.summary import STYLES

    for standing in standings:
        line = Text(f"{standing.wave}  ", "bold")
        line.append(f"{standing.stage:8}", f"not bold {_STAGES.get(standing.stage, 'default')}")
        created = standing.by_status.get(Status.CREATED, 0)
        said = f"  {created:,} of {standing.entries:,} created, {standing.settled:,} settled"
        if in_flight := sum(scope.in_flight for scope in standing.scopes):
            said += f", {in_flight:,} in flight"
        line.append(said, "default not bold")
        for status in _TROUBLE:
            if count := standing.by_status.get(status, 0):
                line.append(f"  {status.value} {count:,}", f"not bold {STYLES[status]}")
        yield line
        if (standing.wanted or standing.verdicts) and standing.settled:
            yield _verdicts_line(standing)
        for order in _orders(standing):
            yield Text(f"  {order}", "yellow")
        if standing.looks_first and not standing.is_over:
            yield Text(
                "  what has no result yet is looked up before it is sent: the database went on elsewhere", "yellow"
            )
        for scope in standing.scopes:
            yield _scope_line(scope, is_undecided=scope in standing.undecided)
        if waiting := len(standing.waiting):
            yield Text(f"  {_untaken(waiting, workers)}", "yellow")
            for why in _refused(standing.waiting, workers):
                yield Text(f"    {why}", "yellow")
    seen = ", ".join(f"{worker.name} ({counted(worker.lanes, 'lane')})" for worker in workers)
    said = f"{counted(len(workers), 'worker')}: {printable(seen)}" if seen else "no worker was heard of lately"
    yield Text(said, "dim")


def _orders(standing: SharedStanding) -> Iterator[str]:
    orders = standing.orders
    if standing.stage == "ended":
        return  # there is nothing left that they could be for
    if orders.are_awaited:
        yield "nobody takes it yet. Where that lasts, who planned it is gone: the same command again goes on"
    elif (ended := _ENDINGS.get(orders.forbids or "")) is not None:
        why = f" ({printable(orders.stop)})" if orders.stop else ""
        yield f"{ended}{why}: nothing new of it is sent"
    if orders.paused is not None:
        yield f"paused ({printable(orders.paused)})"
    if orders.rate is not None:
        yield f"rate {orders.rate}, ordered"
    if orders.concurrency is not None:
        yield f"concurrency {orders.concurrency}, ordered"
    if orders.deadline_in_s is not None and orders.deadline_in_s > 0:
        yield f"nothing new is sent after another {rough_duration(orders.deadline_in_s)}"


def _verdicts_line(standing: SharedStanding) -> Text:
    from batcher.cli.show.gate_result import STYLES
    from batcher.follow.verdict import Verdict

    line = Text(f"  {sum(standing.verdicts.values()):,} of {standing.settled:,} settled have a verdict", "not bold")
    for verdict in Verdict:
        if count := standing.verdicts.get(verdict.value, 0):
            line.append(f"  {verdict.value} {count:,}", STYLES[verdict])
    if standing.wanted and not standing.followed and any(scope.decided < scope.settled for scope in standing.scopes):
        line.append("  the rest is not followed any more", "yellow")
    return line


def _scope_line(scope: SharedScope, *, is_undecided: bool) -> Text:
    line = Text(f"  {printable(scope.endpoint)} {printable(scope.project_id)}  ", "not bold")
    line.append(f"{scope.settled:,}/{scope.entries:,}  ")
    if scope.owner is None:
        line.append("nobody has it" if is_undecided or scope.settled < scope.entries else "done", "dim")
    else:
        left = f"{scope.lease_left_s:.0f} s left" if scope.lease_left_s else "run out"
        line.append(f"{printable(scope.owner)}, epoch {scope.epoch}, lease {left}", "dim")
    if scope.paused is not None:
        line.append(f"  paused ({printable(scope.paused)})", "yellow")
    if scope.rate is not None:
        line.append(f"  rate {printable(scope.rate)} over all waves, ordered", "yellow")
    return line


def _untaken(scopes: int, workers: Sequence[SeenWorker]) -> str:
    nobody = "no worker is there" if not workers else "no worker is free"
    return f"{nobody} for {counted(scopes, 'scope')}: start another one, batcher worker --database URL"


def _refused(waiting: Sequence[SharedScope], workers: Sequence[SeenWorker]) -> Iterator[str]:
    named = {(scope.endpoint, scope.project_id) for scope in waiting}
    for worker in workers:
        for refused in worker.refuses:
            if (refused.get("endpoint"), refused.get("project_id")) in named:
                yield printable(f"{worker.name} does not take {refused['project_id']}: {refused.get('why')}", 400)
