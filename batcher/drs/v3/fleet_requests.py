"""The bodies of the calls that tell a fleet: the list of jobs, and the objects that a job replicates. Reads only.

`POST /v3/{project_id}/jobs` is page drs_03_0138 of the API reference, `batch-detail` drs_api_0151, the v5 call
`object-mappings` drs_03_0194, and `db-object` of v5.1, which has no body, drs_03_0203.
"""

from typing import Annotated

import orjson
from pydantic import Field

from batcher.drs import guesses
from batcher.drs.fleet import JobKind
from batcher.drs.v3.batch_status import PageReq
from batcher.drs.v3.create_compare_task import RequestPart

BATCH_DETAIL = "batch-detail"
OBJECT_MAPPINGS = "object-mappings"
DB_OBJECT = "db-object"


class QueryJobsReq(RequestPart):
    """The body of a call for the list of jobs."""

    cur_page: int = Field(ge=1, description="Page, from 1.")
    per_page: int = Field(ge=1, le=100, description="Jobs to a page.")
    db_use_type: JobKind = Field(description="The kind of jobs to tell.")
    engine_type: str = Field(
        default="",
        description="Empty for every engine. Left out, one edition of the API tells MySQL jobs alone: so it is sent.",
    )
    enterprise_project_id: str | None = Field(default=None, description="Tell its jobs only.")
    tags: dict[str, str] | None = Field(default=None, description="Tell only jobs that have these tags.")

    def to_wire(self) -> bytes:
        """The JSON bytes to send."""
        return orjson.dumps(self.model_dump(exclude_none=True))


class BatchDetailReq(RequestPart):
    """The body of a batch-detail call."""

    jobs: list[str] = Field(min_length=1, max_length=guesses.DETAIL_BATCH, description="Ids of the jobs.")
    page_req: PageReq = Field(description="Left out, the answer is silently cut to 5 jobs: so it is sent.")

    def to_wire(self) -> bytes:
        """The JSON bytes to send."""
        return orjson.dumps(self.model_dump(exclude_none=True))


class ObjectMappingsReq(RequestPart):
    """The body of an object-mappings call: a page of what a job replicates, with its names at the target."""

    offset: int = Field(ge=0, description="Rows to skip.")
    limit: Annotated[int, Field(ge=1, le=1000)] = Field(description="Rows to tell; left out: 10.")

    def to_wire(self) -> bytes:
        """The JSON bytes to send."""
        return orjson.dumps(self.model_dump())
