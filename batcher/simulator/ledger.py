"""The ledger: every request the cloud saw, every effect it had, every answer it gave, in order; the judge of tests.

As a file it is JSON Lines, one event a line. Each has `event` (`request`, `effect` or `answer`), `at` (Unix
seconds by the cloud's clock), `request_id` and `project_id`; the rest is as in the classes below, a field
without a value left out. It is written as it happens, so that it holds also what a killed client never heard.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import orjson

from batcher.drs.outcome import Half


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSeen:
    """A request arrived. *call* is the last part of its path; *job_id* and *asked* are set where it could be read."""

    event: ClassVar[str] = "request"

    at: float
    request_id: str
    project_id: str
    call: str
    job_id: str | None = None
    asked: tuple[Half, ...] = ()
    conflict_policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something changed: comparisons *created* (half → task id), others *cancelled* by that.

    *request_id* is empty where no request did it (a console, a policy, a person).
    """

    event: ClassVar[str] = "effect"

    at: float
    request_id: str
    project_id: str
    job_id: str
    created: dict[Half, str]
    cancelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSent:
    """What was sent back: *http_status* None is nothing at all. *fault* names the simulated fault, if any."""

    event: ClassVar[str] = "answer"

    at: float
    request_id: str
    project_id: str
    http_status: int | None = None
    error_code: str | None = None
    fault: str | None = None


Event = RequestSeen | Effect | AnswerSent
_EVENTS = {kind.event: kind for kind in (RequestSeen, Effect, AnswerSent)}


class Ledger(Protocol):
    """Keeps the events of a simulated cloud, in order."""

    def record(self, event: Event) -> None:
        """Keep *event* behind those before it."""
        ...


class ListLedger(list[Event]):
    """A ledger in memory: a list of all events."""

    def record(self, event: Event) -> None:
        """Append *event* to the list."""
        self.append(event)


class NoLedger:
    """Keeps nothing, for long runs and benchmarks."""

    def record(self, event: Event) -> None:
        """Let *event* go unrecorded."""


class FileLedger:
    """A JSON Lines file, each line written out at once: another process may read it at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("ab", buffering=0)

    def record(self, event: Event) -> None:
        """Write *event*. Raises `OSError` with the file's name."""
        line = orjson.dumps(as_json(event), option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
        try:
            self._file.write(line)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from None

    def close(self) -> None:
        """Close the file; nothing can be recorded any more."""
        self._file.close()


def as_json(event: Event) -> dict[str, Any]:
    """*event* as in the file."""
    values = {name: value for field in fields(event) if (value := getattr(event, name := field.name))}
    return {"event": event.event, **values}


def read_ledger(path: Path) -> Iterator[Event]:
    """The events of a ledger file; a line that is cut off at the end is left out."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield _event(orjson.loads(line))


def _event(values: dict[str, Any]) -> Event:
    kind = _EVENTS[values.pop("event")]
    if kind is RequestSeen:
        values["asked"] = tuple(Half(half) for half in values.get("asked", ()))
    elif kind is Effect:
        values["created"] = {Half(half): task_id for half, task_id in values.get("created", {}).items()}
        values["cancelled"] = tuple(values.get("cancelled", ()))
    values.setdefault("request_id", "")
    return kind(**values)


# Judges -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreatedComparison:
    """One comparison that a request made."""

    at: float
    project_id: str
    job_id: str
    half: Half
    compare_task_id: str
    request_id: str


def creations(events: Iterable[Event]) -> Iterator[CreatedComparison]:
    """Every comparison that a request made, in order; what nobody's request made is left out."""
    for event in events:
        if isinstance(event, Effect) and event.request_id:
            for half, task_id in event.created.items():
                yield CreatedComparison(event.at, event.project_id, event.job_id, half, task_id, event.request_id)


def doubles(
    events: Iterable[Event], *, allowed: Callable[[str, str, Half], int] = lambda *_: 1
) -> dict[tuple[str, str, Half], list[CreatedComparison]]:
    """(project, job, half) → its creations, wherever there are more than *allowed*: promise 1, broken.

    By default one per half of a job; a manifest with several entries for a job says how many.
    """
    made: dict[tuple[str, str, Half], list[CreatedComparison]] = {}
    for creation in creations(events):
        made.setdefault((creation.project_id, creation.job_id, creation.half), []).append(creation)
    return {key: found for key, found in made.items() if len(found) > allowed(*key)}


def cancelled(events: Iterable[Event]) -> set[str]:
    """Ids of all comparisons that a later request cancelled."""
    return {
        task_id for event in events if isinstance(event, Effect) and event.request_id for task_id in event.cancelled
    }


def most_in_window(events: Iterable[Event], period_s: float, *, calls: frozenset[str]) -> dict[str, int]:
    """project → the most requests of *calls* that arrived in any half-open window of *period_s*: promise 4."""
    arrivals: dict[str, list[float]] = {}
    for event in events:
        if isinstance(event, RequestSeen) and event.call in calls:
            arrivals.setdefault(event.project_id, []).append(event.at)
    return {project_id: _most(sorted(times), period_s) for project_id, times in arrivals.items()}


def _most(times: list[float], period_s: float) -> int:
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_open(events: Iterable[Event], *, calls: frozenset[str]) -> dict[str, int]:
    """job → the most requests of *calls* that were under way for it at once."""
    job_of: dict[str, str] = {}
    now_open: dict[str, int] = {}
    most: dict[str, int] = {}
    for event in events:
        if isinstance(event, RequestSeen) and event.call in calls and event.job_id:
            job_of[event.request_id] = event.job_id
            now_open[event.job_id] = now_open.get(event.job_id, 0) + 1
            most[event.job_id] = max(most.get(event.job_id, 0), now_open[event.job_id])
        elif isinstance(event, AnswerSent) and event.request_id in job_of:
            now_open[job_of.pop(event.request_id)] -= 1
    return most
