"""The objects that a job replicates: asked for where the cloud may tell them, from the best source to the last.

    object-mappings (v5) → db-object (v5.1) → batch-detail → the last row comparison

Which of them can tell depends on the link: the kind of job and its engine. So the first jobs of each link, its scouts,
are looked into before all others. A source that refuses its scouts is asked no more; and where mappings are served, but
empty for the scouts, the others' are asked for only where neither db-object nor batch-detail tells tables.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from enum import StrEnum

from msgspec import Struct

from batcher.discover.reader import FleetReader
from batcher.drs import guesses
from batcher.drs.fleet import JobDetail, ListedJob, ObjectPage, SelectedObject
from batcher.drs.outcome import ComparisonPage, ErrorKind, Fate, Trouble
from batcher.drs.paging import Paging, ReadState
from batcher.drs.results import ResultKind, TableResults

_MAX_PAGES = 1000
_SCOUTS = 2  # of each link: one alone may be refused for a reason of its own


class ObjectSource(StrEnum):
    """Where a job's objects were learnt from."""

    MAPPINGS = "object-mappings"
    DB_OBJECT = "db-object"
    DETAIL = "batch-detail"
    COMPARISON = "last-comparison"
    NONE = "none"


class ReplicatedObjects(Struct, frozen=True, kw_only=True):
    """What a job replicates; *source* told it."""

    objects: tuple[SelectedObject, ...]
    source: ObjectSource


NO_OBJECTS = ReplicatedObjects(objects=(), source=ObjectSource.NONE)

LinkName = tuple[str, str]
"""What decides which sources can tell: the kind of a job and its engine."""


def link_of(job: ListedJob) -> LinkName:
    """The link of *job*."""
    return job.kind, job.engine


def scouts(jobs: Iterable[ListedJob]) -> frozenset[str]:
    """The ids of the first *jobs* of each link, in the order of ids: two discoveries of one fleet learn the same."""
    seen: Counter[LinkName] = Counter()
    found = set()
    for job in sorted(jobs, key=lambda one: one.id):
        if seen[link_of(job)] < _SCOUTS:
            seen[link_of(job)] += 1
            found.add(job.id)
    return frozenset(found)


class ObjectFinder:
    """Finds the objects of the jobs of one project: of the scouts first, then, once that is `learnt`, of the others."""

    def __init__(self, reader: FleetReader) -> None:
        self._reader = reader
        self._refused: Counter[tuple[ObjectSource, LinkName]] = Counter()
        self._empty: Counter[LinkName] = Counter()  # mappings that were served, and told nothing
        self._mapped: set[LinkName] = set()  # mappings told something of such a job
        self._mappings_late: set[LinkName] = set()

    def learnt(self) -> None:
        """Say that all scouts are looked into: what they were told decides whom the others' objects are asked of."""
        self._mappings_late = {link for link, count in self._empty.items() if count >= _SCOUTS} - self._mapped

    async def find(self, job: ListedJob, detail: JobDetail) -> ReplicatedObjects | Trouble:
        """What *job* replicates; nothing where no source tells. Trouble: the cloud gave no answer at all."""
        late = link_of(job) in self._mappings_late
        mapped = None if late else await self._mapped_objects(job)
        if mapped is not None:
            return mapped
        listed = await self._asked(ObjectSource.DB_OBJECT, job, self._reader.db_object)
        if isinstance(listed, Trouble):
            return listed
        if listed is not None and listed.objects and listed.complete:
            return ReplicatedObjects(objects=listed.objects, source=ObjectSource.DB_OBJECT)
        if any(item.table for item in detail.objects) or (detail.objects and listed is None):
            return ReplicatedObjects(objects=detail.objects, source=ObjectSource.DETAIL)
        mapped = await self._mapped_objects(job) if late else None
        if mapped is not None:
            return mapped
        compared = await self._last_compared(job.id)
        if compared:
            return ReplicatedObjects(objects=compared, source=ObjectSource.COMPARISON)
        if listed is not None and listed.objects:  # some tables are missing: their databases stand alone
            return ReplicatedObjects(objects=_without_gaps(listed), source=ObjectSource.DB_OBJECT)
        return NO_OBJECTS

    async def _mapped_objects(self, job: ListedJob) -> ReplicatedObjects | Trouble | None:
        """What object-mappings tell of *job*; None where they tell nothing."""
        mapped = await self._asked(ObjectSource.MAPPINGS, job, self._mappings)
        if mapped is None or isinstance(mapped, Trouble):
            return mapped
        if not mapped.complete:  # what is there would pass for all
            return None
        if not mapped.objects:
            self._empty[link_of(job)] += 1
            return None
        self._mapped.add(link_of(job))
        return ReplicatedObjects(objects=mapped.objects, source=ObjectSource.MAPPINGS)

    async def _asked(
        self, source: ObjectSource, job: ListedJob, ask: Callable[[str], Awaitable[ObjectPage | Trouble]]
    ) -> ObjectPage | Trouble | None:
        """What *source* tells; None where it refuses to, or refused the scouts of such jobs."""
        kind = (source, link_of(job))
        if self._refused[kind] >= _SCOUTS:
            return None
        found = await ask(job.id)
        if not isinstance(found, Trouble):
            return found
        is_answer = found.fate in (Fate.REFUSED, Fate.NOT_LET_IN, Fate.NOT_YET, Fate.BUSY) or not found.listed
        if not is_answer or found.error_code is None or self._reader.halted is not None:
            return found  # it says nothing about what is served
        if found.kind is not ErrorKind.NOT_FOUND:
            self._refused[kind] += 1
        return None

    async def _mappings(self, job_id: str) -> ObjectPage | Trouble:
        objects: dict[SelectedObject, None] = {}
        paging: Paging[None] = Paging(most_pages=_MAX_PAGES)  # of rows whose only key is their place
        while paging.state is ReadState.ON:
            begin = len(paging.found)
            page = await self._reader.object_mappings(job_id, offset=begin)
            if isinstance(page, Trouble):
                return page
            objects |= dict.fromkeys(page.objects)
            paging.add(dict.fromkeys(str(begin + row) for row in range(page.rows)), page.total)
        is_whole = paging.state is ReadState.WHOLE
        return ObjectPage(objects=tuple(objects), rows=len(objects), total=len(objects), complete=is_whole)

    async def _last_compared(self, job_id: str) -> tuple[SelectedObject, ...]:
        """The tables of the newest row comparison that has ended, where the cloud still has it and tells them all."""
        newest: tuple[int, str] | None = None
        async for task_id, created in self._row_comparisons(job_id):
            newest = max(newest or (0, ""), (created, task_id))
        if newest is None:
            return ()
        paging: Paging[SelectedObject] = Paging(most_pages=_MAX_PAGES)
        while paging.state is ReadState.ON:
            told = await self._reader.query(job_id, {ResultKind.ROWS: newest[1]}, page=paging.number)
            page = None if told is None else told.results.get(ResultKind.ROWS)
            if not isinstance(page, TableResults) or page.error_code is not None:
                return ()
            tables = {
                f"{database.name}\0{row.table}": SelectedObject(database=database.name, table=row.table)
                for database in page.databases
                for row in database.tables
                if database.name and row.table
            }
            has_news = not tables.keys() <= paging.found.keys()
            paging.add(tables, None, full=has_news and page.longest >= guesses.LIST_PAGE_SIZE)
        return tuple(paging.found.values()) if paging.state is ReadState.WHOLE else ()

    async def _row_comparisons(self, job_id: str) -> AsyncIterator[tuple[str, int]]:
        """(id, when created) of each row comparison on the first page of the job's list, which is newest first."""
        told = await self._reader.query(job_id, {}, page=guesses.FIRST_PAGE)
        listed = None if told is None else told.listed
        for task in listed.comparisons if isinstance(listed, ComparisonPage) else ():
            if task.compare_type == "lines" and task.compare_task_status in ("SUCCESSFUL", "TIMEOUT_INTERRUPT"):
                yield task.compare_task_id, task.create_time or 0


def _without_gaps(page: ObjectPage) -> tuple[SelectedObject, ...]:
    return tuple(dict.fromkeys(SelectedObject(database=item.database) for item in page.objects))
