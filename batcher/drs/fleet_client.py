"""The calls that tell a fleet. Reads only, and only for `batcher discover`: no wave makes them."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from batcher.drs import guesses
from batcher.drs.answer import Answer
from batcher.drs.batch_status import PageReq
from batcher.drs.client import DrsClient, OnSent
from batcher.drs.fleet_requests import (
    BATCH_DETAIL,
    DB_OBJECT,
    OBJECT_MAPPINGS,
    BatchDetailReq,
    JobKind,
    ObjectMappingsReq,
    QueryJobsReq,
)


def fits_a_path(job_id: str) -> bool:
    """Whether *job_id* can stand in an address. `..` and the like would lead to another call."""
    return job_id not in ("", ".", "..") and "/" not in job_id and "\\" not in job_id and job_id.isprintable()


class FleetClient(DrsClient):
    """A `Cloud` that can also list its jobs."""

    async def list_jobs(
        self,
        kind: JobKind,
        *,
        cur_page: int,
        enterprise_project_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        on_sent: OnSent = None,
    ) -> Answer:
        """A page of the jobs of *kind*."""
        request = QueryJobsReq(
            cur_page=cur_page,
            per_page=guesses.JOBS_PAGE_SIZE,
            db_use_type=kind,
            enterprise_project_id=enterprise_project_id,
            tags=dict(tags) if tags else None,
        )
        url = self._jobs.removesuffix("/")
        return await self._ask("POST", url, request.to_wire(), limit=guesses.READ_ANSWER_LIMIT, on_sent=on_sent)

    async def batch_detail(self, job_ids: Sequence[str], *, on_sent: OnSent = None) -> Answer:
        """The details of at most `guesses.DETAIL_BATCH` jobs."""
        request = BatchDetailReq(jobs=list(job_ids), page_req=PageReq(cur_page=1, per_page=len(job_ids)))
        return await self._post(BATCH_DETAIL, request.to_wire(), limit=guesses.READ_ANSWER_LIMIT, on_sent=on_sent)

    async def object_mappings(self, job_id: str, *, offset: int, on_sent: OnSent = None) -> Answer:
        """A page of what the job replicates (v5). Raises `ValueError` for an id that fits into no address."""
        request = ObjectMappingsReq(offset=offset, limit=guesses.MAPPINGS_PAGE_SIZE)
        url = self._of_job("v5", job_id, OBJECT_MAPPINGS)
        return await self._ask("POST", url, request.to_wire(), limit=guesses.READ_ANSWER_LIMIT, on_sent=on_sent)

    async def db_object(self, job_id: str, *, on_sent: OnSent = None) -> Answer:
        """What the job replicates, in one piece (v5.1). Raises `ValueError` likewise."""
        url = self._of_job("v5.1", job_id, DB_OBJECT) + "?type=modified"
        return await self._ask("GET", url, b"", limit=guesses.READ_ANSWER_LIMIT, on_sent=on_sent)

    def _of_job(self, version: str, job_id: str, call: str) -> str:
        if not fits_a_path(job_id):
            raise ValueError(f"{job_id!r} is no id that can stand in an address")
        return f"{self._endpoint}/{version}/{self._project}/jobs/{quote(job_id, safe='')}/{call}"
