"""The discovery of one project: its jobs are listed, sifted, looked into, and each is given its requests.

Counts add up: every job that the cloud listed is in `DiscoveredProject.jobs`, with its requests or with why it has
none.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from msgspec import Struct

from batcher.discover.choice import ChosenComparisons, ComparisonOptions, barred, choose
from batcher.discover.objects import ObjectFinder, ReplicatedObjects, scouts
from batcher.discover.reader import FleetReader
from batcher.discover.selection import JobSelection, LeftOut, flattened, sift, standby, untold
from batcher.discover.walk import walk
from batcher.drs import guesses
from batcher.drs.fleet import JobDetail, JobKind, ListedJob
from batcher.drs.outcome import Fate, Trouble

_AT_ONCE = 8  # jobs that are looked into at the same time; the pace of look-ups bounds them all


class DiscoveryQuery(Struct, frozen=True, kw_only=True):
    """What a discovery asks of every project. *enterprise_projects* empty: all that the credential may see."""

    kinds: tuple[JobKind, ...]
    selection: JobSelection
    wanted: ComparisonOptions
    tags: Mapping[str, str]
    enterprise_projects: tuple[str, ...] = ()


class DiscoveredJob(Struct, frozen=True, kw_only=True):
    """A job that was listed, and what became of it. *objects* is where its objects were learnt from."""

    job: ListedJob
    ending: ChosenComparisons | LeftOut


class DiscoveredProject(Struct, kw_only=True):
    """What came of one project. *trouble* is why it could not be told whole; then *jobs* may lack some.

    *notes* are sentences about what the listing cannot show, for people.
    """

    endpoint: str
    project_id: str
    jobs: list[DiscoveredJob]
    trouble: Trouble | None = None
    notes: list[str]

    @property
    def chosen(self) -> Iterator[tuple[ListedJob, ChosenComparisons]]:
        """The jobs that are to be compared."""
        return ((one.job, one.ending) for one in self.jobs if isinstance(one.ending, ChosenComparisons))

    @property
    def left_out(self) -> Iterator[tuple[ListedJob, LeftOut]]:
        """The jobs that are not to be compared, each with why."""
        return ((one.job, one.ending) for one in self.jobs if isinstance(one.ending, LeftOut))


class Progress(Struct):
    """How far a discovery is, over all projects."""

    listed: int = 0
    to_look_into: int = 0
    looked_into: int = 0

    def said(self) -> str:
        """The progress as a sentence for people."""
        return f"{self.listed:,} jobs listed, {self.looked_into:,} of {self.to_look_into:,} looked into"


async def discover(
    reader: FleetReader,
    endpoint: str,
    project_id: str,
    query: DiscoveryQuery,
    progress: Progress,
    on_progress: Callable[[], None],
) -> DiscoveredProject:
    """Discover one project. Trouble is told in what is returned; the jobs known by then are there."""
    found = DiscoveredProject(endpoint=endpoint, project_id=project_id, jobs=[], notes=[])
    listed = await _listed(reader, query, found, progress, on_progress)
    candidates: list[ListedJob] = []
    for job in listed.values():
        left_out = sift(job, query.selection)
        if left_out is None:
            candidates.append(job)
        else:
            found.jobs.append(DiscoveredJob(job=job, ending=left_out))
    progress.to_look_into += len(candidates)
    on_progress()
    finder = ObjectFinder(reader)

    async def work(batches: Iterator[Sequence[ListedJob]]) -> None:
        for batch in batches:
            details = await reader.details([job.id for job in batch])
            for job in batch:
                detail = details if isinstance(details, Trouble) else details[job.id]
                ending = await _ending(job, detail, listed, finder, query.wanted, found)
                found.jobs.append(DiscoveredJob(job=job, ending=ending))
                progress.looked_into += 1
                on_progress()

    first = scouts(candidates)
    await work(_batches((job for job in candidates if job.id in first), guesses.DETAIL_BATCH))
    finder.learnt()
    others = _batches((job for job in candidates if job.id not in first), guesses.DETAIL_BATCH)
    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work(others))
    return found


async def _listed(
    reader: FleetReader,
    query: DiscoveryQuery,
    found: DiscoveredProject,
    progress: Progress,
    on_progress: Callable[[], None],
) -> dict[str, ListedJob]:
    """The jobs of every kind asked for, subtasks behind their parents, by id."""
    listed: dict[str, ListedJob] = {}
    for enterprise in query.enterprise_projects or (None,):
        seen = 0
        for kind in query.kinds:
            walked = await walk(reader, kind, enterprise_project_id=enterprise, tags=query.tags)
            if isinstance(walked, Trouble):
                if enterprise is None or reader.halted is not None:
                    found.trouble = found.trouble or walked
                else:
                    code = walked.error_code or walked.kind.value
                    found.notes.append(f"enterprise project {enterprise} was not seen ({code})")
                break
            if not walked.agreed:
                found.notes.append(
                    f"the list of {kind} jobs does not agree with itself: {len(walked.jobs)} were seen, and the cloud "
                    f"counts {walked.total}. Discover again when the fleet is at rest"
                )
            jobs = {job.id: job for job in flattened(walked.jobs)}
            seen += len(jobs)
            progress.listed += len(jobs.keys() - listed.keys())
            listed |= {job_id: job for job_id, job in jobs.items() if job_id not in listed or job.children}
            on_progress()
        if enterprise is not None and not seen:
            found.notes.append(f"enterprise project {enterprise} shows no jobs: it has none, or may not be seen")
        if found.trouble is not None:
            break
    return listed


async def _ending(
    job: ListedJob,
    detail: JobDetail | Trouble,
    listed: Mapping[str, ListedJob],
    finder: ObjectFinder,
    wanted: ComparisonOptions,
    found: DiscoveredProject,
) -> ChosenComparisons | LeftOut:
    if isinstance(detail, Trouble):
        _note_trouble(found, detail)
        return untold(detail)
    left_out = standby(detail, listed) or barred(job, wanted)
    if left_out is not None:
        return left_out
    objects: ReplicatedObjects | None = None
    if wanted.data_type is not None:
        told = await finder.find(job, detail)
        if isinstance(told, Trouble):
            _note_trouble(found, told)
            return untold(told)
        objects = told
    return choose(job, detail, objects, wanted)


def _note_trouble(found: DiscoveredProject, trouble: Trouble) -> None:
    """What is not about the one job makes the whole project's word incomplete."""
    if trouble.fate is not Fate.REFUSED:
        found.trouble = found.trouble or trouble


def _batches(jobs: Iterable[ListedJob], size: int) -> Iterator[Sequence[ListedJob]]:
    rest = iter(jobs)
    while batch := list(islice(rest, size)):
        yield batch
