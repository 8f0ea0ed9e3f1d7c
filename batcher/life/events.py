"""What happened to an entry, as values: the journal holds these, in order, and an entry's state is their fold.

An event says what was done or learnt, never what is to be done: that is decided anew from the state. Its fields are the
journal's format: a new one has a default, and the name of an old one stays.

Times named `at` are Unix seconds by our own wall clock, for people. What is decided by is *monotonic*: seconds that
compare with others of the same *timebase* (see `Clock`), also with those of an earlier process on the same machine.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, assert_never

import orjson
from msgspec import Struct
from msgspec.json import Encoder

from batcher.drs.outcome import Accepted, ErrorKind, Fate, Foreign, Half, HalfOutcome, Made, Trouble


class Intended(Struct, frozen=True, kw_only=True):
    """A create request is about to leave. Durable before it does: from here on it may have been sent.

    *date_at* is what the `Date` of the last answer made of that moment, None where there was none: anybody's word, as
    it comes from whoever stands last on the way. *conflict_policy* is the one sent, which for a repeat may differ from
    the manifest's.
    *known* are ids of comparisons that a snapshot showed before the first attempt; *snapshot*: there was one.
    *lease* is the number of the lease by which its lane was run, None where there are none.
    """

    at: float
    asked: frozenset[Half]
    timebase: str = ""
    monotonic: float | None = None
    date_at: float | None = None
    conflict_policy: str | None = None
    known: frozenset[str] = frozenset()
    snapshot: bool = False
    lease: int | None = None


class Retracted(Struct, frozen=True, kw_only=True):
    """The request of the open intent did not leave after all."""

    at: float
    why: str


class Answered(Struct, frozen=True, kw_only=True):
    """The create request ended, with or without an answer; *halves* has a verdict for each half asked.

    *spared*: in an outage, where a failure says nothing about the entry and is not charged to it. *monotonic* is when
    the answer was there, *took_s* seconds after the request had left, on the timebase of its intent.
    """

    at: float
    sent_at: float
    halves: Mapping[Half, HalfOutcome]
    http_status: int | None
    request_id: str | None
    decided: str = ""
    spared: bool = False
    monotonic: float | None = None
    took_s: float = 0.0


class Sight(StrEnum):
    """What a look-up says about a half in doubt."""

    FOUND = "found"  # exactly one comparison can be ours: it is
    CANDIDATE = "candidate"  # exactly one can be ours, but another may still come
    ABSENT = "absent"  # none can be ours, but a request on its way may still land
    PROVEN_ABSENT = "proven absent"  # none can be ours, and none can land any more
    UNCLEAR = "unclear"  # one can be ours or an older one, until the cloud's time is known better
    AMBIGUOUS = "ambiguous"  # cannot be told apart, now or later


class LookedUpHalf(Struct, frozen=True, kw_only=True):
    """The verdict of one look-up on one half. *ids* are the comparisons that could be ours."""

    sight: Sight
    ids: tuple[str, ...] = ()


class LookedUp(Struct, frozen=True, kw_only=True):
    """The job's comparisons were listed; *trouble* says why that did not work out, and then nothing was seen.

    *since* is the cloud's time from which a comparison counted as possibly ours, None where that is not known.
    *blocked* tells that an unfinished data-level comparison from before the first intent is still listed:
    a repeat under `cancel` then does what the operator asked for.
    """

    at: float
    halves: Mapping[Half, LookedUpHalf] = {}
    since: float | None = None
    listed: int = 0
    blocked: bool = False
    trouble: Trouble | None = None
    http_status: int | None = None
    request_id: str | None = None
    decided: str = ""
    spared: bool = False  # in an outage, as in `Answered`


class Reopened(Struct, frozen=True, kw_only=True):
    """A settled entry is taken up again: its result no longer counts. *fresh* forgets the attempts so far."""

    at: float
    was: str
    why: str
    fresh: bool


class Ruled(Struct, frozen=True, kw_only=True):
    """The operator decided what became of an unsettled entry. *halves* are the task ids they named."""

    at: float
    ruling: str
    halves: Mapping[Half, str] = {}


class Suspected(Struct, frozen=True, kw_only=True):
    """Another run may have sent it, of which this journal knows nothing: it is not sent, and in doubt.

    *halves* are those that may exist, each with the ids of comparisons that are newer than the wave and that nothing in
    the journal made (none: it could not be seen). *since* is the cloud's time of that; *why* is for people.
    """

    at: float
    halves: Mapping[Half, tuple[str, ...]]
    since: float | None
    why: str
    decided: str = ""


Event = Intended | Retracted | Answered | LookedUp | Reopened | Ruled | Suspected

_ENCODER = Encoder()
_KINDS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Intended, Retracted, Answered, LookedUp, Reopened, Ruled, Suspected)
}


UNDO = "undo"
"""The ruling that takes the one before it back."""


def standing(events: Iterable[Event]) -> list[Event]:
    """*events* without the rulings that were taken back, and without what took them back."""
    left: list[Event] = []
    for event in events:
        if isinstance(event, Ruled) and event.ruling == UNDO:
            if left and isinstance(left[-1], Ruled):
                left.pop()
        else:
            left.append(event)
    return left


def task_ids(events: Iterable[Event]) -> set[str]:
    """The ids of the comparisons that *events* say were made."""
    ids: set[str] = set()
    for event in standing(events):
        match event:
            case Answered():
                ids |= {verdict.compare_task_id for verdict in event.halves.values() if isinstance(verdict, Made)}
            case LookedUp():
                ids |= {seen.ids[0] for seen in event.halves.values() if seen.sight is Sight.FOUND}
            case Ruled():
                ids |= set(event.halves.values())
            case Intended() | Retracted() | Reopened() | Suspected():
                pass
            case _:
                assert_never(event)
    return ids


def kind_of(event: Event) -> str:
    """The event's name in the journal: `intended`, `answered`, …"""
    return type(event).__name__.lower()


def encode(event: Event) -> bytes:
    """*event* as JSON, without its kind."""
    return _ENCODER.encode(event)


def decode(kind: str, body: bytes) -> Event:
    """The event back from the journal; the inverse of `kind_of` and `encode`."""
    raw = orjson.loads(body)
    match kind:
        case "intended":
            raw.pop("cloud_at", None)  # of journals before calibration: by a gateway's clock
            raw["asked"] = frozenset(Half(half) for half in raw["asked"])
            raw["known"] = frozenset(raw["known"])
        case "answered":
            raw["halves"] = {Half(half): _verdict(verdict) for half, verdict in raw["halves"].items()}
        case "lookedup":
            raw["halves"] = {
                Half(half): LookedUpHalf(sight=Sight(seen["sight"]), ids=tuple(seen["ids"]))
                for half, seen in raw["halves"].items()
            }
            raw["trouble"] = raw["trouble"] and _trouble(raw["trouble"])
        case "suspected":
            raw["halves"] = {Half(half): tuple(ids) for half, ids in raw["halves"].items()}
        case "ruled":
            raw["halves"] = {Half(half): task_id for half, task_id in raw["halves"].items()}
    event: Event = _KINDS[kind](**raw)
    return event


def _verdict(raw: dict[str, Any]) -> HalfOutcome:
    if "compare_task_id" in raw:
        return Made(raw["compare_task_id"])
    return Accepted(raw["reference"]) if "reference" in raw else _trouble(raw)


def _trouble(raw: dict[str, Any]) -> Trouble:
    limit, foreign = raw["limit"], raw.get("foreign")  # which older journals do not have
    fate = Fate(raw.pop("sort"))
    return Trouble(
        **{
            **raw,
            "fate": fate,
            "kind": ErrorKind(raw["kind"]),
            "limit": limit and (limit[0], limit[1]),
            "foreign": foreign and Foreign(foreign),
        }
    )
