"""Faults: what can go wrong between a client and the cloud, by name; and profiles, which mix them.

A fault says two things apart: whether a create request still has its effect (now, late, never), and what the
client sees. Which request meets which fault follows from the seed, the job and how many requests of that kind
the job had before: never from the order of arrival.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol, get_args

from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK
from batcher.nearest import nearest
from batcher.simulator.chance import draw


class EffectWhen(Enum):
    """What becomes of the effect of a create request."""

    NOW = "now"
    LATE = "late"  # after the answer, or after the client has given up
    NEVER = "never"


class AnswerDelivery(Enum):
    """What the client sees of the answer."""

    WHOLE = "whole"  # the cloud's own answer, or the fault's
    NOTHING = "nothing"  # the connection stays open, and silent
    RESET = "reset"  # the connection is reset
    TRUNCATED = "truncated"  # the headers promise more than comes
    EMPTY = "empty"  # status 200, no body
    OVERSIZED = "oversized"  # the answer, and megabytes of padding
    GARBAGE = "garbage"  # status 200, and a body that is no JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    """An answer given in place of the cloud's own: the usual JSON error, or a page of *html*.

    A 429 without *error_msg* gets the gateway's text, which names the limit that is in force.
    """

    status: int
    error_code: str | None = None
    error_msg: str = ""
    html: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong. *refuse_code*: one of the halves asked for is refused with it, a partial result.

    *slow*: the answer takes the profile's `slow_s` longer. *creates_only*: means nothing to a look-up.
    """

    name: str
    description: str
    effect: EffectWhen = EffectWhen.NOW
    delivery: AnswerDelivery = AnswerDelivery.WHOLE
    canned: Canned | None = None
    refuse_code: str | None = None
    slow: bool = False

    @property
    def creates_only(self) -> bool:
        """Whether the fault means nothing to a look-up."""
        return self.refuse_code is not None


_NEVER, _LATE = EffectWhen.NEVER, EffectWhen.LATE

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault(
            name="silent-before",
            description="no answer, and nothing was done",
            effect=_NEVER,
            delivery=AnswerDelivery.NOTHING,
        ),
        Fault(name="silent-after", description="done, but no answer", delivery=AnswerDelivery.NOTHING),
        Fault(
            name="silent-late",
            description="no answer, and done only later",
            effect=_LATE,
            delivery=AnswerDelivery.NOTHING,
        ),
        Fault(
            name="reset-before",
            description="the connection is reset, and nothing was done",
            effect=_NEVER,
            delivery=AnswerDelivery.RESET,
        ),
        Fault(name="reset-after", description="done, then the connection is reset", delivery=AnswerDelivery.RESET),
        Fault(
            name="throttled",
            description="429 APIGW.0308 without Retry-After",
            effect=_NEVER,
            canned=Canned(status=429, error_code="APIGW.0308"),
        ),
        Fault(
            name="throttled-told",
            description="429 APIGW.0308 with Retry-After: 1",
            effect=_NEVER,
            canned=Canned(status=429, error_code="APIGW.0308", retry_after_s=1),
        ),
        Fault(
            name="throttled-400",
            description="400 DRS.M01503, a throttle under another status",
            effect=_NEVER,
            canned=Canned(status=400, error_code="DRS.M01503", error_msg="Too many requests. Try again later."),
        ),
        Fault(
            name="busy-202",
            description="202 DRS.M01504, a refusal under a status of success",
            effect=_NEVER,
            canned=Canned(status=202, error_code="DRS.M01504", error_msg="Another operation is being performed."),
        ),
        Fault(
            name="unauthorized",
            description="401 APIGW.0301, as if the token had expired",
            effect=_NEVER,
            canned=Canned(
                status=401,
                error_code="APIGW.0301",
                error_msg="Incorrect IAM authentication information: token expired",
            ),
        ),
        Fault(
            name="500-before",
            description="500 in JSON, and nothing was done",
            effect=_NEVER,
            canned=Canned(status=500, error_code="APIGW.0601", error_msg="Internal server error."),
        ),
        Fault(
            name="504-after",
            description="504 in JSON, though it was done",
            canned=Canned(status=504, error_code="APIGW.0201", error_msg="Backend timeout."),
        ),
        Fault(
            name="504-late",
            description="504 in JSON, and done only later",
            effect=_LATE,
            canned=Canned(status=504, error_code="APIGW.0201", error_msg="Backend timeout."),
        ),
        Fault(
            name="502-html-before",
            description="502 in HTML, and nothing was done",
            effect=_NEVER,
            canned=Canned(status=502, html=True, error_msg="Bad Gateway"),
        ),
        Fault(
            name="503-html-after",
            description="503 in HTML, though it was done",
            canned=Canned(status=503, html=True, error_msg="Service Unavailable"),
        ),
        Fault(name="truncated", description="done; the answer breaks off half way", delivery=AnswerDelivery.TRUNCATED),
        Fault(name="empty", description="done; status 200 with an empty body", delivery=AnswerDelivery.EMPTY),
        Fault(name="oversized", description="done; the answer is megabytes long", delivery=AnswerDelivery.OVERSIZED),
        Fault(
            name="garbage", description="done; status 200 with a body that is no JSON", delivery=AnswerDelivery.GARBAGE
        ),
        Fault(
            name="partial",
            description="one half is refused for a passing reason (DRS.M01503)",
            refuse_code="DRS.M01503",
        ),
        Fault(
            name="partial-final",
            description="one half is refused for good (DRS.M00200)",
            refuse_code="DRS.M00200",
        ),
        Fault(name="slow", description="done and answered, but slowly", slow=True),
    )
}


Only = Literal["creates", "reads"]


def _kind(call: str) -> Only:
    return "creates" if call == CREATE_COMPARE_TASK else "reads"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultWindow:
    """A stretch of time in which every request meets the same fault. Seconds since the simulator's first request."""

    begins_s: float
    lasts_s: float
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultProfile:
    """A mix of faults. *chances* are per request, and add up to at most 1; the first requests for each job meet
    *firsts* instead, one each.

    *only* says which requests meet them, where not all do. *late_s* is the span in which late effects come, *slow_s*
    how much longer slow answers take, in seconds.
    """

    name: str
    description: str
    chances: Mapping[str, float] = field(default_factory=dict)
    firsts: Sequence[str] = ()
    windows: Sequence[FaultWindow] = ()
    only: Only | None = None
    late_s: tuple[float, float] = (0.2, 2.0)
    slow_s: tuple[float, float] = (0.5, 3.0)

    def choose(self, seed: int, *, call: str, job_id: str, nth: int, elapsed_s: float) -> Fault | None:
        """The fault that the *nth* request (from 1) of *call* for *job_id* meets, *elapsed_s* after the first one."""
        if self.only is not None and self.only != _kind(call):
            return None
        for window in self.windows:
            if window.begins_s <= elapsed_s < window.begins_s + window.lasts_s:
                return FAULTS[window.fault]
        if nth <= len(self.firsts):
            return FAULTS[self.firsts[nth - 1]]
        if not self.chances:
            return None
        left = draw(seed, "fault", call, job_id, nth)
        for name, chance in self.chances.items():
            left -= chance
            if left < 0:
                return FAULTS[name]
        return None


class FaultSource(Protocol):
    """Chooses faults; `FaultProfile` by chance, a test by its own rule."""

    @property
    def name(self) -> str:
        """The name of the source, as the command line shows it."""
        ...

    @property
    def description(self) -> str:
        """What happens, in a line."""
        ...

    @property
    def late_s(self) -> tuple[float, float]:
        """The span in which late effects come."""
        ...

    @property
    def slow_s(self) -> tuple[float, float]:
        """How much longer slow answers take."""
        ...

    def choose(self, seed: int, *, call: str, job_id: str, nth: int, elapsed_s: float) -> Fault | None:
        """The fault of one request; None: all goes well."""
        ...


@dataclass(frozen=True, slots=True)
class Script:
    """Faults told one by one: the nth create request of a job meets the nth of *creates*, the same for *reads*.

    A name of "" is no fault; after the last one there are none. *jobs* None: the same for every job.
    """

    creates: Sequence[str] = ()
    reads: Sequence[str] = ()
    jobs: frozenset[str] | None = None
    late_s: tuple[float, float] = (0.05, 0.1)
    slow_s: tuple[float, float] = (0.05, 0.1)
    name: str = "script"
    description: str = "faults told one by one"

    def choose(self, seed: int, *, call: str, job_id: str, nth: int, elapsed_s: float) -> Fault | None:
        """The next fault of the script for this job."""
        if self.jobs is not None and job_id not in self.jobs:
            return None
        names = self.creates if _kind(call) == "creates" else self.reads
        return FAULTS[names[nth - 1]] if nth <= len(names) and names[nth - 1] else None


_FLAKY = {
    "silent-before": 0.01,
    "silent-after": 0.01,
    "reset-before": 0.02,
    "reset-after": 0.02,
    "throttled-told": 0.02,
    "500-before": 0.02,
    "504-after": 0.02,
    "502-html-before": 0.02,
    "truncated": 0.02,
    "slow": 0.06,
}

PROFILES: Mapping[str, FaultProfile] = {
    profile.name: profile
    for profile in (
        FaultProfile(name="none", description="all goes well"),
        FaultProfile(
            name="flaky", description="a bad day: every fifth request meets something that passes", chances=_FLAKY
        ),
        FaultProfile(
            name="lossy",
            description="a fifth of create requests is done, and its answer lost",
            chances={"silent-after": 0.05, "reset-after": 0.15},
            only="creates",
        ),
        FaultProfile(
            name="throttled",
            description="a third of all requests is turned away as too frequent, in every form there is",
            chances={"throttled": 0.08, "throttled-told": 0.17, "throttled-400": 0.08},
        ),
        FaultProfile(
            name="outage",
            description="for 20 seconds, from the tenth on, the gateway answers everything with 502",
            windows=(FaultWindow(begins_s=10, lasts_s=20, fault="502-html-before"),),
        ),
        FaultProfile(
            name="late",
            description="a fifth of create requests takes effect only after the client has given up",
            chances={"504-late": 0.15, "silent-late": 0.05},
            only="creates",
        ),
        FaultProfile(
            name="mangled",
            description="a quarter of all answers arrives broken: cut, empty, too long, or no JSON",
            chances={"truncated": 0.08, "empty": 0.06, "oversized": 0.04, "garbage": 0.07},
        ),
        FaultProfile(
            name="hostile",
            description="half of all requests goes wrong, in every way but a refused credential",
            chances={name: 0.5 / (len(FAULTS) - 1) for name in FAULTS if name != "unauthorized"},
        ),
    )
}
NO_FAULTS = PROFILES["none"]


def parse_profile(text: str) -> FaultProfile:
    """A profile by its name, a single fault by its name (every fifth request), or "FAULT=20%,FAULT=5%"; "FAULT=first"
    is the first request for each job, and another the second. Before faults may stand `creates:` or `reads:`.

    Raises `ValueError` with the mend.
    """
    text = text.strip()
    if text in PROFILES:
        return PROFILES[text]
    scope, sign, faults = text.rpartition(":")
    only = next((kind for kind in get_args(Only) if kind == scope.strip()), None)
    if sign and only is None:
        raise ValueError(f"{text!r}: before the colon stands creates or reads, or nothing")
    shares = [_share(part) for part in faults.split(",")]
    firsts = [name for name, share in shares if share is None]
    chances = {name: share for name, share in shares if share is not None}
    if sum(chances.values()) > 1:
        raise ValueError(f"{text!r}: the shares add up to more than 100%")
    requests = {"creates": "create requests", "reads": "look-ups", None: "requests"}[only]
    described = [f"number {n} of each job's {requests}: {FAULTS[name].description}" for n, name in enumerate(firsts, 1)]
    described += [f"{chance * 100:.3g}% of {requests}: {FAULTS[name].description}" for name, chance in chances.items()]
    return FaultProfile(name=text, description="; ".join(described), chances=chances, firsts=tuple(firsts), only=only)


def _share(part: str) -> tuple[str, float | None]:
    """A fault and its share, of "FAULT=20%" or "FAULT"; None for "FAULT=first"."""
    name, sign, share = (piece.strip() for piece in part.partition("="))
    if name not in FAULTS:
        near = nearest(name, [*PROFILES, *FAULTS])
        mend = f"did you mean {near}?" if near else f"profiles are {', '.join(PROFILES)}"
        raise ValueError(f"{name!r} is neither a fault profile nor a fault: {mend}")
    if share == "first":
        return name, None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", share) if sign else None
    if sign and match is None:
        raise ValueError(f"{part.strip()!r} names no share: write {name}=20%, or {name}=first")
    return name, float(match[1]) / 100 if match else 0.2
