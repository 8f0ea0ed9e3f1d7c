"""Walking the list of jobs, which has no order and no snapshot: jobs move between its pages while it is walked."""

from collections.abc import Mapping

from msgspec import Struct

from batcher.discover.reader import FleetReader
from batcher.drs.fleet import JobKind, ListedJob
from batcher.drs.outcome import Trouble
from batcher.drs.paging import Paging, ReadState

_PASSES = 4
_MAX_PAGES = 10_000


class ListedJobs(Struct, frozen=True, kw_only=True):
    """The jobs of one kind. *agreed* is False where the list was still changing when it was walked for the last time:
    then it may lack some. *total* is what the cloud counted last."""

    jobs: tuple[ListedJob, ...]
    total: int
    agreed: bool


async def walk(
    reader: FleetReader, kind: JobKind, *, enterprise_project_id: str | None, tags: Mapping[str, str]
) -> ListedJobs | Trouble:
    """All jobs of *kind*. It is walked again until what was seen is what the cloud counts, or twice the same."""
    seen: dict[str, ListedJob] = {}
    before: Paging[ListedJob] | None = None
    for _ in range(_PASSES):
        walked = await _once(reader, kind, enterprise_project_id, tags)
        if isinstance(walked, Trouble):
            return walked
        jobs, total = walked.found, walked.total or 0
        seen |= jobs
        is_whole = walked.first_total == total == len(jobs)
        settled = before is not None and before.found.keys() == jobs.keys() and before.total == total
        if is_whole or settled:
            return ListedJobs(jobs=tuple(jobs.values()), total=total, agreed=is_whole)
        before = walked
    return ListedJobs(jobs=tuple(seen.values()), total=(before.total or 0) if before else 0, agreed=False)


async def _once(
    reader: FleetReader, kind: JobKind, enterprise_project_id: str | None, tags: Mapping[str, str]
) -> Paging[ListedJob] | Trouble:
    paging: Paging[ListedJob] = Paging(most_pages=_MAX_PAGES)
    while paging.state is ReadState.ON:
        page = await reader.job_page(kind, paging.number, enterprise_project_id=enterprise_project_id, tags=tags)
        if isinstance(page, Trouble):
            return page
        paging.add({job.id: job for job in page.jobs}, page.total)
    return paging
