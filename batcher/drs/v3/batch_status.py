"""Wire models of `POST /v3/{project_id}/jobs/batch-status` (page drs_api_0150 of the API reference). Reads only."""

import orjson
from pydantic import Field

from batcher.drs.v3.create_compare_task import AnswerPart, RequestPart

BATCH_STATUS = "batch-status"
READY = "INCRE_TRANSFER_STARTED"
"""The one job status in which comparisons can be created."""


class PageReq(RequestPart):
    """Which part of the answer to tell."""

    cur_page: int | None = Field(default=None, ge=0, description="Page, from 1; left out: 1.")
    per_page: int | None = Field(default=None, ge=0, le=100, description="Jobs to a page; 0: all; left out: 5.")


class BatchQueryJobReqPage(RequestPart):
    """The body of a batch-status call."""

    jobs: list[str] = Field(min_length=1, description="Ids of the jobs.")
    page_req: PageReq | None = Field(
        default=None, description="Left out, the answer is silently cut to 5 jobs: so we always send it."
    )

    def to_wire(self) -> bytes:
        """The JSON bytes to send."""
        return orjson.dumps(self.model_dump(exclude_none=True))


class QueryJobStatusResp(AnswerPart):
    """One job of the answer. A code here is about this job alone, whatever the status of the answer."""

    id: str | None = Field(default=None, description="Id of the job.")
    status: str | None = Field(default=None, description="Status of the job; only READY can take a comparison.")
    error_code: str | None = Field(default=None, description="Set where this job could not be told.")
    error_message: str | None = Field(default=None, description="Text for people; `error_msg` was seen as well.")


class BatchStatusResponse(AnswerPart):
    """The answer to a batch-status call."""

    count: int | None = Field(default=None, description="Jobs told in all.")
    results: list[QueryJobStatusResp] | None = None
