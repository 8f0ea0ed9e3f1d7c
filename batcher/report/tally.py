"""Counting result lines: pure, in memory that does not grow with their number, and it proves that they add up."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from batcher.drs.outcome import ErrorKind
from batcher.errors import BatcherError
from batcher.life.result import Result, Status
from batcher.report.advice import advice
from batcher.report.said import said
from batcher.text import counted

# Beyond so many different troubles or scopes, further ones are counted together.
_GROUPS = 500
_SAID = 12  # things that troubles of one code say; further ones are counted together
# Places in the manifest beyond this are not checked for gaps and repeats (8 MB of bits).
_PLACES = 64 * 1024 * 1024

_FIELDS = frozenset(name for name, field in Result.model_fields.items() if field.is_required())
_STATUSES = {status.value: status for status in Status}
_CREATED = Status.CREATED  # Python looks for a member anew at each mention


class NoResult(BatcherError, ValueError):
    """What was read is no result line; the text says why."""


class TroubleKey(Struct, frozen=True):
    """What troubles are grouped by. *said* is what they say, see `said`; None: nothing, or several things."""

    status: Status
    error_kind: str | None
    error_code: str | None
    said: str | None


class TroubleCount(Struct, kw_only=True):
    """How often one kind of trouble befell entries, with the first of them as the example."""

    group: TroubleKey
    example: Mapping[str, Any]
    count: int = 0

    @property
    def is_of_a_stop(self) -> bool:
        """Whether these entries are only left open because the wave was stopped: the same command goes on with them."""
        return self.status in (Status.NOT_SUBMITTED, Status.UNSETTLED) and self.error_kind == ErrorKind.STOPPED

    @property
    def status(self) -> Status:
        """The status with which these entries ended."""
        return self.group.status

    @property
    def error_kind(self) -> str | None:
        """The kind of error that these entries met; None: of no kind that is known."""
        return self.group.error_kind

    @property
    def error_code(self) -> str | None:
        """The code that the cloud gave for these entries; None: none."""
        return self.group.error_code

    @property
    def advice(self) -> str:
        """What to do about it."""
        kind = ErrorKind(self.error_kind) if self.error_kind in set(ErrorKind) else None
        return advice(self.status, kind, self.error_code, says=bool(self.example["error_msg"]))


class ScopeCount(Struct, kw_only=True):
    """The counts of one scope."""

    endpoint: str | None
    project_id: str | None
    by_status: Counter[Status] = field(default_factory=Counter)


class Tally:
    """Counts over result lines, fed by `add`: those of one wave, or, with *several*, of entries of more than one.

    Of several waves it is not asked whether their lines are whole.
    """

    def __init__(self, *, several: bool = False) -> None:
        self._several = several
        self.lines = 0
        self.by_status: Counter[Status] = Counter(dict.fromkeys(Status, 0))
        self.attempts = 0
        self.recovered = 0
        self.first_submitted_at: str | None = None
        self.last_finished_at: str | None = None
        self._troubles: dict[TroubleKey, TroubleCount] = {}
        self._said: Counter[TroubleKey] = Counter()  # how many things those with one code say
        self._scopes: dict[tuple[str | None, str | None], ScopeCount] = {}
        self._seen = bytearray()
        self._last_place = -1
        self._repeated = 0
        self.wave_entries: int | None = None  # as its lines say; old ones do not

    def add(self, line: Mapping[str, Any]) -> TroubleKey | None:
        """Count one result line; the trouble that it is counted under. Raises `NoResult` where it is none."""
        if (type(line) is not dict and not isinstance(line, Mapping)) or not _FIELDS.issubset(line):
            missing = sorted(_FIELDS - set(line)) if isinstance(line, Mapping) else sorted(_FIELDS)
            raise NoResult(f"has no {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}")
        status = _status_of(line["status"])
        if type(line["index"]) is not int or type(line["attempts"]) is not int or line["index"] < 0:
            raise NoResult("has an index or attempts that are no counts")
        self.lines += 1
        self.by_status[status] += 1
        self.attempts += line["attempts"]
        self.recovered += line["recovered"] is True
        if not self._several:
            self._state(line.get("wave_entries"))
            self._place(line["index"])
        self._time(line["submitted_at"], line["finished_at"])
        self._scope(line)[status] += 1
        return None if status is _CREATED else self._trouble(status, line)

    def _state(self, entries: Any) -> None:
        if entries is None:
            return
        if type(entries) is not int or entries < 1:
            raise NoResult(f"has {entries!r} as wave_entries, which is no count")
        if self.wave_entries not in (None, entries):
            raise NoResult(f"says that its wave has {entries:,} entries, and an earlier line {self.wave_entries:,}")
        self.wave_entries = entries

    @property
    def repeated(self) -> int:
        """Lines of entries that have one already."""
        return self._repeated

    @property
    def highest(self) -> int:
        """The last place in the manifest that has a line; -1: none has."""
        return self._last_place

    def _place(self, index: int) -> None:
        if index > self._last_place:
            self._last_place = index
        if index >= _PLACES:
            return
        byte, bit = index >> 3, 1 << (index & 7)
        if byte >= len(self._seen):
            self._seen.extend(bytes(max(byte + 1 - len(self._seen), len(self._seen))))
        self._repeated += bool(self._seen[byte] & bit)
        self._seen[byte] |= bit

    def _time(self, submitted: Any, finished: Any) -> None:
        # All are RFC 3339 in UTC with milliseconds: their order as text is their order in time.
        if isinstance(submitted, str) and (self.first_submitted_at is None or submitted < self.first_submitted_at):
            self.first_submitted_at = submitted
        if (
            isinstance(submitted, str)
            and isinstance(finished, str)
            and (self.last_finished_at is None or finished > self.last_finished_at)
        ):
            self.last_finished_at = finished

    def _scope(self, line: Mapping[str, Any]) -> Counter[Status]:
        key = (line["endpoint"], line["project_id"])
        if (known := self._scopes.get(key)) is not None:
            return known.by_status
        if len(self._scopes) >= _GROUPS:
            key = ("(others)", None)
        return self._scopes.setdefault(key, ScopeCount(endpoint=key[0], project_id=key[1])).by_status

    def _trouble(self, status: Status, line: Mapping[str, Any]) -> TroubleKey:
        message = line["error_msg"] or _half_message(line)
        key = TroubleKey(status, line["error_kind"], code_of(line), said(line, message))
        if key not in self._troubles:
            of_code = replace(key, said=None)
            self._said[of_code] += 1
            if self._said[of_code] > _SAID:
                key = of_code
            if key not in self._troubles and len(self._troubles) >= _GROUPS:
                key = replace(of_code, error_code="(others)")
        count = self._troubles.get(key)
        if count is None:
            example = {name: line[name] for name in ("key", "index", "job_id", "error_msg", "request_id")}
            count = TroubleCount(group=key, example={**example, "error_msg": message})
            self._troubles[key] = count
        count.count += 1
        return key

    @property
    def troubles(self) -> list[TroubleCount]:
        """Troubles, those that need a person first, then by frequency."""
        order = [Status.UNSETTLED, Status.PARTIAL, Status.FAILED, Status.INVALID, Status.NOT_SUBMITTED]
        return sorted(self._troubles.values(), key=lambda trouble: (order.index(trouble.status), -trouble.count))

    @property
    def scopes(self) -> list[ScopeCount]:
        """Scopes, in the order in which they first ended an entry."""
        return list(self._scopes.values())

    @property
    def span_s(self) -> float | None:
        """Seconds from the first request to the last result of a submitted entry; None: nothing was sent."""
        if self.first_submitted_at is None or self.last_finished_at is None:
            return None
        began, ended = map(datetime.fromisoformat, (self.first_submitted_at, self.last_finished_at))
        return (ended - began).total_seconds()

    @property
    def rate_per_s(self) -> float | None:
        """Create requests a second over that span."""
        span = self.span_s
        return self.attempts / span if span else None

    def misfits(self, entries: int | None = None) -> Iterator[str]:
        """Why these are not exactly one line for each entry, if they are not.

        *entries* is the number in the manifest; without it, the last place seen says how many there are at least.
        """
        expected = self._last_place + 1 if entries is None else entries
        distinct = self.lines - self._repeated
        if self._repeated:
            yield f"{counted(self._repeated, 'line repeats', 'lines repeat')} an entry that already has one"
        if distinct < expected and self._last_place < _PLACES:
            yield f"{counted(expected - distinct, 'entry has', 'entries have')} no result line (yet)"
        if distinct > expected:
            yield f"{counted(distinct - expected, 'line')} more than the manifest has entries"

    def as_json(self) -> dict[str, Any]:
        """The tally as plain data, for `--json`."""
        return {
            "entries": self.lines - self._repeated,
            "by_status": _plain(self.by_status),
            "attempts": self.attempts,
            "recovered": self.recovered,
            "first_submitted_at": self.first_submitted_at,
            "last_finished_at": self.last_finished_at,
            "span_s": self.span_s,
            "rate_per_s": None if self.rate_per_s is None else round(self.rate_per_s, 3),
            "errors": [
                {
                    "status": trouble.status.value,
                    "error_kind": trouble.error_kind,
                    "error_code": trouble.error_code,
                    "count": trouble.count,
                    "example": dict(trouble.example),
                    "advice": trouble.advice,
                }
                for trouble in self.troubles
            ],
            "scopes": [
                {"endpoint": scope.endpoint, "project_id": scope.project_id, "by_status": _plain(scope.by_status)}
                for scope in self.scopes
            ],
        }


def _status_of(told: Any) -> Status:
    """The status that a line has *told*. Raises `NoResult`."""
    status = _STATUSES.get(told) if isinstance(told, str) else None
    if status is None:
        raise NoResult(f"has the unknown status {told!r}")
    return status


def _plain(counts: Counter[Status]) -> dict[str, int]:
    return {status.value: counts[status] for status in Status}


_HALVES = ("object_level_compare_create_result", "data_level_compare_create_result")


def code_of(line: Mapping[str, Any]) -> str | None:
    """The line's code; where the halves speak for themselves, theirs."""
    codes = [line["error_code"], *(line[half].get("error_code") for half in _HALVES if isinstance(line[half], Mapping))]
    return next((str(code) for code in codes if code), None)


def said_of(line: Mapping[str, Any]) -> str | None:
    """What the line's trouble says; see `said`."""
    return said(line, line["error_msg"] or _half_message(line))


def _half_message(line: Mapping[str, Any]) -> str | None:
    messages = (line[half].get("error_msg") for half in _HALVES if isinstance(line[half], Mapping))
    return next((str(message) for message in messages if message), None)
