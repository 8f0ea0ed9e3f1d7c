"""What was done for an entry and why, step by step, from the events that the journal keeps."""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import orjson
from msgspec import Struct
from msgspec.structs import asdict

from batcher.clock import utc
from batcher.drs.outcome import Accepted, Half, Made, Trouble
from batcher.journal.port import Record
from batcher.life.events import (
    UNDO,
    Answered,
    Event,
    Intended,
    LookedUp,
    LookedUpHalf,
    Reopened,
    Retracted,
    Ruled,
    Sight,
    Suspected,
)
from batcher.life.result import rfc3339

_NAMES = {Half.OBJECT: "object level", Half.DATA: "data level"}


class EntryStep(Struct, frozen=True, kw_only=True):
    """One thing that happened. *at* is Unix seconds by our own clock; *attempt* is 1-based, None for look-ups and
    rulings. *what* names it, *told* is what the cloud (or the operator) said, *decided* what followed from it."""

    at: float
    what: str
    attempt: int | None = None
    http_status: int | None = None
    error_code: str | None = None
    request_id: str | None = None
    told: str = ""
    decided: str = ""


def entry_as_json(record: Record, index: int, manifest: str | None) -> dict[str, Any]:
    """The entry at *index* of *manifest* and its result, if it has one, as plain data. Raises `JournalFailed`."""
    entry, found = record.entry(index), record.result_of(index)
    about: dict[str, Any] = {
        "index": index,
        "manifest": manifest,
        "result": orjson.loads(found[2]) if found else None,
    }
    if entry is not None:
        about |= {
            "key": entry.key,
            "line": entry.line,
            "job_id": entry.job_id,
            "project_id": entry.scope.project_id,
            "endpoint": entry.scope.endpoint,
            "request": orjson.loads(entry.body),
        }
    return about


def steps_as_json(steps: Iterable[EntryStep]) -> list[dict[str, Any]]:
    """*steps* as plain data, their times as RFC 3339."""
    return [{**asdict(step), "at": rfc3339(utc(step.at))} for step in steps]


def explain(events: Iterable[Event]) -> Iterator[EntryStep]:
    """The steps that *events*, oldest first, tell of."""
    attempt = 0
    for event in events:
        attempt += isinstance(event, Intended)
        yield _step(event, attempt)
        attempt -= isinstance(event, Retracted)


def _step(event: Event, attempt: int) -> EntryStep:
    match event:
        case Intended():
            return EntryStep(at=event.at, what="request", attempt=attempt, told=_asked(event))
        case Retracted():
            return EntryStep(at=event.at, what="withdrawn", attempt=attempt, told=event.why, decided="it did not leave")
        case Answered():
            return _answered(event, attempt)
        case LookedUp():
            return _looked_up(event)
        case Reopened():
            return EntryStep(at=event.at, what="taken up again", told=f"it was {event.was}: {event.why}")
        case Suspected():
            return EntryStep(at=event.at, what="not sent", told=event.why, decided=event.decided)
        case Ruled(ruling=str(ruling)) if ruling == UNDO:
            return EntryStep(at=event.at, what="decision taken back", decided="in doubt again")
        case Ruled():
            ids = ", ".join(f"{_NAMES[half]} is {task_id}" for half, task_id in sorted(event.halves.items()))
            return EntryStep(at=event.at, what="settled by the operator", told=ids, decided=event.ruling)
        case _:
            assert_never(event)


def _asked(event: Intended) -> str:
    halves = " and ".join(_NAMES[half] for half in sorted(event.asked, reverse=True))
    policy = f", conflict_policy {event.conflict_policy}" if event.conflict_policy and Half.DATA in event.asked else ""
    return f"asks for {halves}{policy}"


def _answered(event: Answered, attempt: int) -> EntryStep:
    troubles = [verdict for verdict in event.halves.values() if isinstance(verdict, Trouble)]
    return EntryStep(
        at=event.at,
        what="answer" if event.http_status is not None else "no answer",
        attempt=attempt,
        http_status=event.http_status,
        error_code=next((trouble.error_code for trouble in troubles if trouble.error_code), None),
        request_id=event.request_id,
        told="; ".join(dict.fromkeys(_verdicts(event))),
        decided=event.decided,
    )


def _verdicts(event: Answered) -> Iterator[str]:
    """What the answer says of each half, once where it says the same of both."""
    several = len(set(event.halves.values())) > 1
    for half, verdict in sorted(event.halves.items()):
        name = f"{_NAMES[half]}: " if several or isinstance(verdict, Made) else ""
        match verdict:
            case Made():
                yield f"{name}created {verdict.compare_task_id}"
            case Accepted():
                as_what = f" as {verdict.reference}" if verdict.reference else ""
                yield f"{name}accepted{as_what}, without naming a comparison"
            case Trouble():
                yield f"{name}{verdict.fate.value}" + (f": {verdict.error_msg}" if verdict.error_msg else "")
            case _:
                assert_never(verdict)


def _looked_up(event: LookedUp) -> EntryStep:
    trouble = event.trouble
    if trouble is not None:
        told = f"the look-up failed: {trouble.error_msg or trouble.kind.value}"
    else:
        told = "; ".join(
            [f"{event.listed} listed", *(_seen(half, seen) for half, seen in sorted(event.halves.items()))]
        )
    return EntryStep(
        at=event.at,
        what="look-up",
        http_status=event.http_status,
        error_code=trouble.error_code if trouble else None,
        request_id=event.request_id,
        told=told,
        decided=event.decided,
    )


def _seen(half: Half, seen: LookedUpHalf) -> str:
    ids = ", ".join(seen.ids)
    match seen.sight:
        case Sight.FOUND:
            return f"{_NAMES[half]}: found {ids}"
        case Sight.CANDIDATE:
            return f"{_NAMES[half]}: {ids} may be it, unless another still comes"
        case Sight.UNCLEAR:
            return f"{_NAMES[half]}: {ids} may be it or older, until the cloud's time is known better"
        case Sight.AMBIGUOUS:
            return f"{_NAMES[half]}: cannot be told apart ({ids})"
        case Sight.ABSENT | Sight.PROVEN_ABSENT:
            return f"{_NAMES[half]}: {seen.sight.value}"
        case _:
            assert_never(seen.sight)
