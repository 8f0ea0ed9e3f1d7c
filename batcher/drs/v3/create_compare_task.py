"""Wire models of `POST /v3/{project_id}/jobs/create-compare-task` (page drs_03_0136 of the API reference).

Table 3 is the request body, tables 4 to 7 its nested parts. Requests are strict: an unknown field is an error, as the
cloud would silently drop it. The answer, tables 8 and 9, has no model: `classify` reads whatever came.
"""

from functools import partial
from operator import is_
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

CREATE_COMPARE_TASK = "create-compare-task"

ConflictPolicy = Literal["cancel", "keep"]
DataCompareType = Literal["lines", "contents"]
Name = Annotated[str, Field(min_length=1)]

_is_none = partial(is_, None)
"""For fields that are left out where they are absent; a request has all others, as null if need be."""


class RequestPart(BaseModel):
    """Base of everything we send: frozen, strict, no unknown field."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class CompareObjectInfo(RequestPart):
    """One database of a data-level comparison (table 5)."""

    db_name: str = Field(min_length=1, description="Name of the source database.")
    table_name: list[Name] | None = Field(
        default=None,
        min_length=1,
        exclude_if=_is_none,
        description="Names of the tables to compare; absent: not sent, the cloud decides (a whole database).",
    )


class CompareTableInfoWithToken(RequestPart):
    """One table with its token range, Cassandra disaster recovery only (table 7)."""

    table_name: str = Field(min_length=1, description="Name of the table.")
    min_token: str | None = Field(default=None, exclude_if=_is_none, description="Smallest token of the range.")
    max_token: str | None = Field(default=None, exclude_if=_is_none, description="Largest token of the range.")


class CompareObjectInfoWithToken(RequestPart):
    """One database of a data-level comparison by tokens, Cassandra disaster recovery only (table 6)."""

    db_name: str = Field(min_length=1, description="Name of the source database.")
    table_name_with_token: list[CompareTableInfoWithToken] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Tables with their token ranges.",
    )


class CreateDataLevelCompareReq(RequestPart):
    """The data-level half of a create request (table 4)."""

    conflict_policy: ConflictPolicy = Field(
        description="What becomes of the job's unfinished data-level comparison: `cancel` ends it and creates "
        "the new one, `keep` leaves it and creates none."
    )
    compare_type: DataCompareType = Field(description="`lines` compares row counts, `contents` compares values.")
    compare_mode: Literal["quick_comparison"] | None = Field(
        default=None,
        description="`quick_comparison` takes all objects (allow-listed accounts only). Null is sent as null: "
        "leaving the field out could fall to the documented default, which is the quick mode.",
    )
    start_time: str | None = Field(
        default=None,
        description="When the comparison starts: 13 digits, milliseconds since the epoch. Null: at once.",
    )
    compare_object_infos: list[CompareObjectInfo] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="The objects to compare; outside quick mode exactly one list is given.",
    )
    compare_object_infos_with_token: list[CompareObjectInfoWithToken] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="The objects to compare, with tokens (Cassandra disaster recovery only).",
    )


class CreateCompareTaskReq(RequestPart):
    """The body of a create request (table 3)."""

    job_id: str = Field(min_length=1, description="Id of the DRS job; of the subtask where a job has several.")
    object_level_compare_type: Literal["objects"] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="`objects` asks for an object-level comparison; absent: none.",
    )
    data_level_compare_info: CreateDataLevelCompareReq | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Asks for a data-level comparison; absent: none.",
    )

    def to_wire(self) -> bytes:
        """The JSON bytes to send.

        Absent optional fields are left out, except `compare_mode` and `start_time`, which the API
        reference's own example sends as explicit nulls beside an object list.
        """
        return self.__pydantic_serializer__.to_json(self)


class AnswerPart(BaseModel):
    """Base of everything we are told: unknown fields are kept, a null is a missing value, numbers and texts that
    stand for each other are taken. What cannot be read as documented fails, since half a list is no list."""

    model_config = ConfigDict(extra="allow", frozen=True, coerce_numbers_to_str=True, defer_build=True)
