"""Walking the list of jobs, which has no order and no snapshot: jobs move between its pages while it is walked."""

from collections.abc import Mapping

from msgspec import Struct

from batcher.discover.reader import FleetReader
from batcher.drs import guesses
from batcher.drs.fleet_answers import ListedJob
from batcher.drs.fleet_requests import JobKind
from batcher.drs.outcome import Trouble

_PASSES = 4
_MAX_PAGES = 10_000


class Walked(Struct, frozen=True, kw_only=True):
    """The jobs of one kind. *agreed* is False where the list was still changing when it was walked for the last time:
    then it may lack some. *total* is what the cloud counted last."""

    jobs: tuple[ListedJob, ...]
    total: int
    agreed: bool


class _Pass(Struct, kw_only=True):
    jobs: dict[str, ListedJob] = {}
    first_total: int = 0
    total: int = 0

    @property
    def is_whole(self) -> bool:
        return self.first_total == self.total == len(self.jobs)


async def walk(
    reader: FleetReader, kind: JobKind, *, enterprise_project_id: str | None, tags: Mapping[str, str]
) -> Walked | Trouble:
    """All jobs of *kind*. It is walked again until what was seen is what the cloud counts, or twice the same."""
    seen: dict[str, ListedJob] = {}
    before: _Pass | None = None
    for _ in range(_PASSES):
        walked = await _once(reader, kind, enterprise_project_id, tags)
        if isinstance(walked, Trouble):
            return walked
        seen |= walked.jobs
        settled = before is not None and before.jobs.keys() == walked.jobs.keys() and before.total == walked.total
        if walked.is_whole or settled:
            return Walked(jobs=tuple(walked.jobs.values()), total=walked.total, agreed=walked.is_whole)
        before = walked
    return Walked(jobs=tuple(seen.values()), total=before.total if before else 0, agreed=False)


async def _once(
    reader: FleetReader, kind: JobKind, enterprise_project_id: str | None, tags: Mapping[str, str]
) -> _Pass | Trouble:
    found = _Pass()
    for number in range(1, _MAX_PAGES):
        page = await reader.job_page(kind, number, enterprise_project_id=enterprise_project_id, tags=tags)
        if isinstance(page, Trouble):
            return page
        if number == 1:
            found.first_total = page.total
        found.total = page.total
        found.jobs |= {job.id: job for job in page.jobs}
        if not page.jobs or number * guesses.JOBS_PAGE_SIZE >= page.total:
            break
    return found
