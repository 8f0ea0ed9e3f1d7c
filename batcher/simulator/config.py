"""What the simulated cloud is like. Where the API reference leaves something open, a field says which way it goes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from batcher.rates import Rate
from batcher.simulator.differences import Differences
from batcher.simulator.jobs import JobRule

KeepAnswer = Literal["code", "existing", "empty", "absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig:
    """One simulated cloud. Durations are seconds.

    *limit* counts create requests, *read_limit* all look-ups together, each per project; *count_refused*: those that
    are turned away use it up, too; *tell_retry_after*: they are told when to come again. *projects* None: any.
    *keep_answer* is what `keep` gets while a comparison is unfinished: an error code in the data-level half,
    the existing id, a half with an empty id, or no half at all (the reference does not say).
    """

    limit: Rate | None = None
    read_limit: Rate | None = None
    count_refused: bool = False
    tell_retry_after: bool = True
    projects: frozenset[str] | None = None
    denied: frozenset[str] = frozenset()  # calls that get 403 DRS.M00102, by the last part of their path
    jobs: tuple[JobRule, ...] = ()
    differences: Differences = field(default_factory=Differences)
    speed: float = 1.0  # comparisons run so many times as fast
    runs_s: Mapping[str, float] = field(
        default_factory=lambda: {"object_comparison": 120.0, "lines": 300.0, "contents": 900.0}
    )
    keep_answer: KeepAnswer = "code"
    empty_list_is_error: bool = False
    listed_at_start: bool = False  # a scheduled comparison's create_time is its planned start
