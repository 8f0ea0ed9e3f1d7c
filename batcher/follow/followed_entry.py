"""An entry while its comparisons are followed: what is known of each, and the verdict line it ends in. No I/O."""

from collections.abc import Iterable

import msgspec

from batcher.drs.cloud import ResultIds
from batcher.drs.outcome import FINISHED, Comparison, Half
from batcher.drs.results import ResultKind, kind_of_results
from batcher.follow import reasons
from batcher.follow.new_verdict import ConcludedComparison, NewVerdict, fields_of, model_of
from batcher.follow.reading import Reading
from batcher.follow.verdict import Verdict, verdict_of_entry, verdict_of_task
from batcher.life.entry import PlannedEntry
from batcher.life.result import CreateCompareTaskResult, Result, Status, rfc3339_of, rfc3339_of_ms

# Python looks for a member anew at each mention.
_OBJECT, _DATA = Half.OBJECT, Half.DATA
_CONSISTENT = Verdict.CONSISTENT


class FollowedComparison(msgspec.Struct, kw_only=True):
    """One of the entry's comparisons. Times are milliseconds since the epoch, by the cloud.

    *compare_type* is as the list of comparisons has it; None: not known yet. *absent* counts looks in a row that
    did not list the comparison, *unread* those that listed it as ended and told no results. *done* is the share of a
    running one that is done, None where that is not known. One that was not created has its verdict from the start,
    and no *task_id*.
    """

    half: Half
    task_id: str
    compare_type: str | None
    status: str | None = None
    started_at: int | None = None
    ended_at: int | None = None
    absent: int = 0
    unread: int = 0
    done: float | None = None
    verdict: ConcludedComparison | None = None

    @property
    def ended(self) -> bool:
        """Whether the comparison has; a status that no source names counts as unfinished."""
        return self.status in FINISHED

    @property
    def kind(self) -> ResultKind | None:
        """The kind of its results; None: not known."""
        return kind_of_results(self.compare_type)

    def listed(self, told: Comparison) -> None:
        """Take in what the list of comparisons says."""
        self.absent = 0
        self.status = told.compare_task_status or None
        self.compare_type = told.compare_type or self.compare_type
        self.started_at = told.create_time or self.started_at
        self.ended_at = told.end_time

    def conclude(self, reading: Reading | None, reason: str | None = None) -> None:
        """Give the verdict. *reading* is what was found, *reason* what else is to be said."""
        counts = reading.counts() if reading else None
        differences = reading.differences() if reading else ()
        complete = reading is not None and reading.complete
        verdict = verdict_of_task(self.status, counts)
        if verdict is _CONSISTENT and not complete:
            verdict = Verdict.UNKNOWN
        unit = "object" if self.half is _OBJECT else "table"
        why = reasons.of_half(verdict, self.status, counts, differences, unit, complete=complete)
        self.verdict = ConcludedComparison(
            compare_task_id=self.task_id,
            compare_type=self.compare_type,
            compare_task_status=self.status,
            verdict=verdict,
            counts=counts,
            differences=differences,
            complete=complete,
            reason=reason or why,
            started_at=None if self.started_at is None else rfc3339_of_ms(self.started_at),
            ended_at=None if self.ended_at is None else rfc3339_of_ms(self.ended_at),
        )


def ids_of(comparisons: Iterable[FollowedComparison]) -> ResultIds:
    """What a query for the results of *comparisons* names; those of which none can be read are left out."""
    return {kind: one.task_id for one in comparisons if (kind := one.kind) is not None}


class FollowedEntry(msgspec.Struct, kw_only=True):
    """An entry whose comparisons are followed; what is not of them is of its result line.

    *start_at* is when its data-level comparison is to start (Unix seconds); None: at once, or not known.
    *began* is when the following did, *failures* how many looks in a row brought no answer. *said* is the result's
    text, *submitted_at* in Unix seconds.
    """

    key: str
    index: int
    job_id: str | None
    project_id: str | None
    endpoint: str | None
    status: Status
    said: str | None
    labels: dict[str, str]
    submitted_at: float | None
    comparisons: tuple[FollowedComparison, ...]
    start_at: float | None = None
    began: float = 0.0
    failures: int = 0

    @property
    def open_comparisons(self) -> tuple[FollowedComparison, ...]:
        """The entry's comparisons that have no verdict yet."""
        return tuple([comparison for comparison in self.comparisons if comparison.verdict is None])

    @property
    def done(self) -> float | None:
        """The share of its comparisons that is done; None: not known."""
        shares = [comparison.done for comparison in self.open_comparisons if comparison.done is not None]
        return min(shares) if shares else None


def followed(result: Result, plan: PlannedEntry | None) -> FollowedEntry:
    """The beginning of following the entry of *result*; *plan* is what the journal has of it, if there is one."""
    comparisons: list[FollowedComparison] = []
    if (told := result.object_level_compare_create_result) is not None:
        comparisons.append(_begun(_OBJECT, "object_comparison", told))
    if (told := result.data_level_compare_create_result) is not None:
        comparisons.append(_begun(_DATA, plan.compare_type if plan is not None else None, told))
    start, only_data = plan.start_time if plan is not None else None, False
    if start is not None:
        only_data = all(comparison.half is _DATA for comparison in comparisons if comparison.verdict is None)
    return FollowedEntry(
        key=result.key,
        index=result.index,
        job_id=result.job_id,
        project_id=result.project_id,
        endpoint=result.endpoint,
        status=result.status,
        said=result.error_msg,
        labels=dict(result.labels),
        submitted_at=result.submitted_at.timestamp() if result.submitted_at else None,
        comparisons=tuple(comparisons),
        start_at=start / 1000 if start is not None and only_data else None,
    )


def _begun(half: Half, compare_type: str | None, told: CreateCompareTaskResult) -> FollowedComparison:
    comparison = FollowedComparison(half=half, task_id=told.compare_task_id or "", compare_type=compare_type)
    if not told.compare_task_id or told.error_code:
        comparison.verdict = _not_created(compare_type, reasons.not_created(told.error_code, told.error_msg))
    return comparison


def _not_created(compare_type: str | None, reason: str) -> ConcludedComparison:
    return ConcludedComparison(
        compare_task_id=None,
        compare_type=compare_type,
        compare_task_status=None,
        verdict=Verdict.UNKNOWN,
        counts=None,
        differences=(),
        complete=False,
        reason=reason,
        started_at=None,
        ended_at=None,
    )


def line_of(entry: FollowedEntry, now: float, *, stopped: str | None = None) -> NewVerdict:
    """The verdict on *entry*. *stopped* says why the watch ended before it: the line is then not final."""
    for comparison in entry.open_comparisons:
        comparison.conclude(None, reasons.not_ended(comparison.status, stopped))
    halves = {comparison.half: comparison.verdict for comparison in entry.comparisons}
    known = [half for half in halves.values() if half is not None]
    verdict = verdict_of_entry([half.verdict for half in known])
    said = [f"{reasons.label_of(half)}: {half.reason}" for half in known if half.reason]
    if not halves:
        said = [reasons.nothing_created(entry.status, entry.said)]
    return NewVerdict(
        key=entry.key,
        index=entry.index,
        job_id=entry.job_id,
        project_id=entry.project_id,
        endpoint=entry.endpoint,
        status=entry.status,
        verdict=verdict,
        final=stopped is None,
        object_level_compare_result=halves.get(_OBJECT),
        data_level_compare_result=halves.get(_DATA),
        reason="; ".join(said) or None,
        decided_at=rfc3339_of(now),
        labels=entry.labels,
    )


packed = msgspec.msgpack.Encoder(enc_hook=fields_of).encode
"""An entry as bytes, while nobody looks at it."""
unpacked = msgspec.msgpack.Decoder(FollowedEntry, dec_hook=model_of).decode
