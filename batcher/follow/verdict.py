"""The verdict line: the final word on an entry's comparisons, as `RESULTS.verdicts.jsonl` holds it and scripts read it.

It carries names and counts, never rows: what a value comparison found in them stays in the cloud.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from batcher.life.result import Result, Status, Timestamp


class Verdict(StrEnum):
    """What a comparison, and so an entry, came to. The first that applies of an entry's two halves counts."""

    INCONSISTENT = "inconsistent"  # at least one object or table differs, or is missing at the target
    FAILED = "failed"  # the comparison, or a part of it, failed
    TIMEOUT = "timeout"  # the cloud broke it off after its time limit
    CANCELLED = "cancelled"  # someone cancelled it
    UNKNOWN = "unknown"  # never created, deleted, not ended yet, or in part not comparable
    CONSISTENT = "consistent"  # all of it was compared, and agrees


class CompareResult(StrEnum):
    """How one object type, database or table compares, in the cloud's words."""

    CONSISTENT = "CONSISTENT"
    INCONSISTENT = "INCONSISTENT"
    COMPARING = "COMPARING"
    WAITING_FOR_COMPARISON = "WAITING_FOR_COMPARISON"
    FAILED_TO_COMPARE = "FAILED_TO_COMPARE"
    TARGET_DB_NOT_EXIT = "TARGET_DB_NOT_EXIT"  # spelled so by the cloud: the target database does not exist
    CAN_NOT_COMPARE = "CAN_NOT_COMPARE"


class LineModel(BaseModel):
    """Base of the line and its parts: every field is always present, in the order of the line."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Counts(LineModel):
    """How many were compared, and what came of it; the four others add up to `compared`."""

    compared: int = Field(default=0, ge=0, description="Objects (object level) or tables (data level) looked at.")
    consistent: int = Field(default=0, ge=0, description="Of them, those that agree.")
    inconsistent: int = Field(default=0, ge=0, description="Of them, those that differ or are missing at the target.")
    failed_to_compare: int = Field(default=0, ge=0, description="Of them, those whose comparison failed.")
    cannot_be_compared: int = Field(
        default=0, ge=0, description="Of them, those that the cloud cannot compare, or did not before it ended."
    )


class Difference(LineModel):
    """One thing that is not known to agree: it differs, or could not be compared."""

    object_type: str = Field(description="`TABLE` at data level; at object level the cloud's type: `VIEW`, `INDEX`, …")
    database: str | None = Field(description="Source database; null where the cloud tells only the object type.")
    table: str | None = Field(description="Source table; null where the difference is of a whole database or type.")
    target_database: str | None = Field(description="Target database, which a mapping may call otherwise.")
    target_table: str | None = Field(description="Target table.")
    result: str = Field(description="The cloud's word: `INCONSISTENT`, `FAILED_TO_COMPARE`, `CAN_NOT_COMPARE`, …")
    source_count: int | None = Field(description="Rows (data level) or objects (object level) at the source.")
    target_count: int | None = Field(description="The same at the target.")
    diff_count: int | None = Field(description="How many of them differ, as the cloud counts it.")
    source_value: str | None = Field(description="Object level: what the source has, as the cloud words it.")
    target_value: str | None = Field(description="Object level: what the target has.")
    message: str | None = Field(description="The cloud's remark.")

    @property
    def place(self) -> str | None:
        """The database it is in: the source's, where it is there."""
        return self.database or self.target_database

    @property
    def name(self) -> str | None:
        """The table, view or other object that it is about; None where it is of a whole database or type."""
        return self.table or self.source_value or self.target_value


class HalfVerdict(LineModel):
    """What one comparison came to."""

    compare_task_id: str | None = Field(description="The comparison; null where it was not created.")
    compare_type: str | None = Field(description="`object_comparison`, `lines` or `contents`; null where not known.")
    compare_task_status: str | None = Field(
        description="The cloud's last word on it: `SUCCESSFUL`, `FAILED`, `CANCELLED`, `TIMEOUT_INTERRUPT`, or an "
        "unfinished status; null where the cloud does not list it."
    )
    verdict: Verdict
    counts: Counts | None = Field(description="Null where no results could be read.")
    differences: tuple[Difference, ...] = Field(description="All that is not known to agree.")
    complete: bool = Field(description="False where `counts` and `differences` may lack some: not all could be read.")
    reason: str | None = Field(description="For people: why the verdict is not `consistent`.")
    started_at: Timestamp | None = Field(description="The cloud's time of its creation or start (RFC 3339, UTC).")
    ended_at: Timestamp | None = Field(description="The cloud's time of its end (RFC 3339, UTC).")


class VerdictLine(LineModel):
    """One line of the verdicts file."""

    key: str = Field(description="The entry's key, as in the results file.")
    index: int = Field(ge=0, description="0-based place of the entry in the manifest.")
    job_id: str | None = Field(description="The DRS job.")
    project_id: str | None = Field(description="The project of the entry's scope.")
    endpoint: str | None = Field(description="The endpoint of the entry's scope.")
    status: Status = Field(description="How the entry ended in the results file.")
    verdict: Verdict
    final: bool = Field(
        description="False where the watch ended before the comparison did: the same `batcher watch` goes on with it."
    )
    object_level_compare_result: HalfVerdict | None = Field(description="Null where none was asked for.")
    data_level_compare_result: HalfVerdict | None = Field(description="Null where none was asked for.")
    reason: str | None = Field(description="For people: why the verdict is not `consistent`.")
    decided_at: Timestamp = Field(description="When the verdict was reached, or the watch ended (RFC 3339, UTC).")
    labels: Mapping[str, str] = Field(description="The entry's labels, as the manifest has them.")

    @property
    def halves(self) -> tuple[HalfVerdict, ...]:
        """The halves that there are, object level first."""
        both = (self.object_level_compare_result, self.data_level_compare_result)
        return tuple(half for half in both if half is not None)

    def to_line(self) -> bytes:
        """The line as written, newline included."""
        return self.__pydantic_serializer__.to_json(self) + b"\n"


_CONSISTENT, _UNKNOWN = Verdict.CONSISTENT, Verdict.UNKNOWN  # Python looks for a member anew at each mention


def verdict_of_parts(counts: Counts) -> Verdict:
    """The verdict on a comparison that ran to its end, from what became of its parts.

    Nothing compared is nothing known: an empty comparison is no proof of anything.
    """
    if counts.inconsistent:
        return Verdict.INCONSISTENT
    if counts.failed_to_compare:
        return Verdict.FAILED
    if counts.cannot_be_compared or not counts.compared:
        return _UNKNOWN
    return _CONSISTENT


_ENDINGS = {
    "FAILED": Verdict.FAILED,
    "CANCELLED": Verdict.CANCELLED,
    "TIMEOUT_INTERRUPT": Verdict.TIMEOUT,
}


def verdict_of_task(compare_task_status: str | None, counts: Counts | None) -> Verdict:
    """The verdict on one comparison. A difference that was found counts however the comparison ended."""
    if counts is not None and counts.inconsistent:
        return Verdict.INCONSISTENT
    if compare_task_status == "SUCCESSFUL":
        return _UNKNOWN if counts is None else verdict_of_parts(counts)
    return _ENDINGS.get(compare_task_status or "", Verdict.UNKNOWN)


_ORDER = list(Verdict)


def verdict_of_entry(halves: Iterable[Verdict]) -> Verdict:
    """The verdict on an entry from those on its halves: the gravest; `unknown` where there is no half."""
    return min(halves, key=_ORDER.index, default=_UNKNOWN)


Identity = tuple[str, tuple[str | None, ...]]
"""A key, and the comparisons made for it."""


class OfComparison(Protocol):
    """The part of a line, of verdicts or of results, that is of one comparison."""

    @property
    def compare_task_id(self) -> str | None:
        """The comparison, by the id that the cloud gave it; None: it was not created."""


def identity(key: str, objects: OfComparison | None, data: OfComparison | None) -> Identity:
    """What a verdict is on: the entry, and the comparisons made for it. A wave begun anew has others."""
    if data is None:
        return key, () if objects is None else (objects.compare_task_id,)
    return key, (data.compare_task_id,) if objects is None else (objects.compare_task_id, data.compare_task_id)


def identity_of(result: Result) -> Identity:
    """What a verdict on *result* is on; see `identity`."""
    return identity(result.key, result.object_level_compare_create_result, result.data_level_compare_create_result)
