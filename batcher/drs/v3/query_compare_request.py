"""The body of `POST /v3/{project_id}/jobs/query-compare-result`; see `query_compare_result` for the answer."""

from collections.abc import Mapping

import orjson
from pydantic import Field

from batcher.drs.results import ResultKind
from batcher.drs.v3.create_compare_task import RequestPart

QUERY_COMPARE_RESULT = "query-compare-result"

RESULT_ID = {
    ResultKind.OBJECTS: "object_level_compare_id",
    ResultKind.ROWS: "line_compare_id",
    ResultKind.VALUES: "content_compare_id",
}
"""The field that names the comparison whose results of a kind are to be told."""


class QueryCompareResultReq(RequestPart):
    """The body of a query (table 3)."""

    job_id: str = Field(min_length=1, description="Id of the DRS job.")
    object_level_compare_id: str | None = Field(default=None, description="Tell the results of this object-level one.")
    line_compare_id: str | None = Field(default=None, description="Tell the results of this row comparison.")
    content_compare_id: str | None = Field(default=None, description="Tell the results of this value comparison.")
    current_page: int = Field(ge=1, description="Page to tell; the examples count from 1.")
    per_page: int = Field(ge=1, description="Length of each list in the answer; the maximum is not documented.")

    def to_wire(self) -> bytes:
        """The JSON bytes to send; ids that are not asked for are left out."""
        return orjson.dumps(self.model_dump(exclude_none=True))


def query_body(job_id: str, ids: Mapping[ResultKind, str], *, page: int, per_page: int) -> bytes:
    """What `QueryCompareResultReq` would send, of values that are sound."""
    named = {field: ids[kind] for kind, field in RESULT_ID.items() if kind in ids}
    return orjson.dumps({"job_id": job_id, **named, "current_page": page, "per_page": per_page})
