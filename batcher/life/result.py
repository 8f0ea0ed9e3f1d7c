"""The result line: the one final word on an entry, as the results file holds it and scripts read it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from math import floor
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from batcher.drs.outcome import ErrorKind


class Status(StrEnum):
    """How an entry ended."""

    CREATED = "created"  # every comparison asked for has a compare_task_id
    PARTIAL = "partial"  # one of two was created, the other refused for good
    FAILED = "failed"  # refused for good, or attempts used up, and known not to have been created
    UNSETTLED = "unsettled"  # sent, outcome still unknown after reconciling; never sent again on its own
    INVALID = "invalid"  # rejected before sending (--skip-invalid only)
    NOT_SUBMITTED = "not_submitted"  # the wave stopped before it was sent


def rfc3339(moment: datetime) -> str:
    """*moment* (UTC) with milliseconds and a `Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_of(moment: float) -> str:
    """The same of Unix seconds, as `datetime.fromtimestamp` rounds them."""
    second = floor(moment)
    micros = round((moment - second) * 1_000_000)
    if micros == 1_000_000:
        second, micros = second + 1, 0
    return f"{_second(second)}.{micros // 1000:03d}Z"


def rfc3339_of_ms(moment: int) -> str:
    """The same of milliseconds since the epoch."""
    second, millis = divmod(moment, 1000)
    return f"{_second(second)}.{millis:03d}Z"


@lru_cache(maxsize=64)  # a busy second has thousands of them
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


Timestamp = Annotated[datetime, PlainSerializer(rfc3339, return_type=str, when_used="json")]


class CreateCompareTaskResult(BaseModel):
    """The fate of one half of a create request (table 9)."""

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True, defer_build=True)

    compare_task_id: str | None = Field(default=None, description="Id of the comparison that was created.")
    error_code: str | None = Field(default=None, description="Set where this half was not created.")
    error_msg: str | None = Field(default=None, description="Text for people; its language follows X-Language.")


class Result(BaseModel):
    """One line of the results file. Every field is always present; their order is the order of the line.

    Lines of before there was `wave_entries` are read as well.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=False, defer_build=True)

    key: str = Field(description="The entry's key: given in the manifest, or a digest of scope and body.")
    index: int = Field(ge=0, description="0-based place of the entry in the manifest.")
    job_id: str | None = Field(description="The DRS job; null only where an invalid entry has none.")
    project_id: str | None = Field(description="The project of the entry's scope.")
    endpoint: str | None = Field(description="The endpoint of the entry's scope.")
    status: Status
    attempts: int = Field(ge=0, description="HTTP create requests that were sent for the entry.")
    recovered: bool = Field(description="True where a task id was learnt by reconciling, not from the answer.")
    object_level_compare_create_result: CreateCompareTaskResult | None = Field(
        description="Fate of the object-level half; null where none was asked for or nothing is known."
    )
    data_level_compare_create_result: CreateCompareTaskResult | None = Field(
        description="Fate of the data-level half; null where none was asked for or nothing is known."
    )
    error_code: str | None = Field(description="The cloud's code for what went wrong, if it gave one.")
    error_msg: str | None = Field(description="For people: what went wrong and what to do about it.")
    error_kind: ErrorKind | None
    http_status: int | None = Field(description="HTTP status of the last answer, if there was one.")
    request_id: str | None = Field(description="The cloud's id of the last request, for its support desk.")
    submitted_at: Timestamp | None = Field(description="When the first attempt was sent (RFC 3339, UTC).")
    finished_at: Timestamp = Field(description="When the entry was settled (RFC 3339, UTC).")
    labels: Mapping[str, str] = Field(description="The entry's labels, as the manifest has them.")
    wave_entries: int | None = Field(
        default=None, ge=1, description="How many entries the wave has: so many lines are all of it."
    )

    def to_line(self) -> bytes:
        """The line as written, newline included."""
        return self.__pydantic_serializer__.to_json(self) + b"\n"
