"""The calls that tell a fleet. Reads only, and only for `batcher discover`: no wave makes them."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from batcher.drs import guesses
from batcher.drs.cloud import OnSent
from batcher.drs.fleet import FleetOutcome, JobDetail, JobKind, JobPage, ObjectPage, fits_a_path
from batcher.drs.outcome import Trouble
from batcher.drs.v3.batch_status import PageReq
from batcher.drs.v3.client import DrsClient
from batcher.drs.v3.fleet_answers import (
    classify_batch_detail,
    classify_db_object,
    classify_job_page,
    classify_object_mappings,
)
from batcher.drs.v3.fleet_requests import (
    BATCH_DETAIL,
    DB_OBJECT,
    OBJECT_MAPPINGS,
    BatchDetailReq,
    ObjectMappingsReq,
    QueryJobsReq,
)


class FleetClient(DrsClient):
    """A `FleetCloud`: the client of one scope that can also tell its jobs."""

    async def list_jobs(
        self,
        kind: JobKind,
        *,
        page: int,
        enterprise_project_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        on_sent: OnSent = None,
    ) -> FleetOutcome[JobPage]:
        """A page of the jobs of *kind*."""
        request = QueryJobsReq(
            cur_page=page,
            per_page=guesses.JOBS_PAGE_SIZE,
            db_use_type=kind,
            enterprise_project_id=enterprise_project_id,
            tags=dict(tags) if tags else None,
        )
        url = self._jobs.removesuffix("/")
        answer = await self._ask("POST", url, request.to_wire(), on_sent=on_sent)
        return classify_job_page(answer)

    async def job_details(
        self, job_ids: Sequence[str], *, on_sent: OnSent = None
    ) -> FleetOutcome[Mapping[str, JobDetail | Trouble]]:
        """The details of at most `guesses.DETAIL_BATCH` jobs."""
        request = BatchDetailReq(jobs=list(job_ids), page_req=PageReq(cur_page=1, per_page=len(job_ids)))
        answer = await self._post(BATCH_DETAIL, request.to_wire(), on_sent=on_sent)
        return classify_batch_detail(answer, asked=job_ids)

    async def object_mappings(self, job_id: str, *, offset: int, on_sent: OnSent = None) -> FleetOutcome[ObjectPage]:
        """A page of what the job replicates (v5). Raises `ValueError` for an id that fits into no address."""
        request = ObjectMappingsReq(offset=offset, limit=guesses.MAPPINGS_PAGE_SIZE)
        url = self._of_job("v5", job_id, OBJECT_MAPPINGS)
        answer = await self._ask("POST", url, request.to_wire(), on_sent=on_sent)
        return classify_object_mappings(answer)

    async def db_object(self, job_id: str, *, on_sent: OnSent = None) -> FleetOutcome[ObjectPage]:
        """What the job replicates, in one piece (v5.1). Raises `ValueError` likewise."""
        url = self._of_job("v5.1", job_id, DB_OBJECT) + "?type=modified"
        return classify_db_object(await self._ask("GET", url, b"", on_sent=on_sent))

    def _of_job(self, version: str, job_id: str, call: str) -> str:
        if not fits_a_path(job_id):
            raise ValueError(f"{job_id!r} is no id that can stand in an address")
        return f"{self._endpoint}/{version}/{self._project}/jobs/{quote(job_id, safe='')}/{call}"
