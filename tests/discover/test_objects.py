"""Whom the objects of a job are asked of, and how often: a read that tells nothing is not made for each job again."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from batcher.discover.objects import ObjectFinder, ObjectSource, ReplicatedObjects, scouts
from batcher.discover.reader import FleetReader
from batcher.drs.answer import RequestStage
from batcher.drs.cloud import ResultIds
from batcher.drs.fleet import JobDetail, ListedJob, ObjectPage, SelectedObject
from batcher.drs.outcome import Comparison, ComparisonPage, ErrorKind, Fate, ResultsOutcome, Trouble
from batcher.drs.results import DatabaseResult, ResultKind, TableResult, TableResults
from batcher.simulator.ledger import RequestSeen
from tests.cli.conftest import Batcher, Cloud
from tests.discover.jobs import fleet, job

EMPTY = ObjectPage(objects=(), rows=0, total=0)
REFUSED = Trouble(fate=Fate.REFUSED, kind=ErrorKind.STATE, error_code="DRS.M00401")
COMPARISON = Comparison(compare_task_id="c1", compare_type="lines", compare_task_status="SUCCESSFUL", create_time=1)
JOBS = [ListedJob(id=f"jb{number}", kind="sync", engine="mysql") for number in range(9)]


def page(*databases: str) -> ObjectPage:
    objects = tuple(SelectedObject(database=name, table="t") for name in databases)
    return ObjectPage(objects=objects, rows=len(objects), total=len(objects))


def answered(trouble: Trouble | None, **told: Any) -> ResultsOutcome:
    return ResultsOutcome(trouble=trouble, stage=RequestStage.SENT, sent_at=0.0, answered_at=0.0, **told)


class Telling:
    """Stands for the cloud: what each call tells, by job; else the mappings of a job are empty, and it has `db`."""

    halted = None

    def __init__(
        self,
        mappings: dict[str, ObjectPage | Trouble] | ObjectPage | Trouble = EMPTY,
        db_objects: dict[str, ObjectPage | Trouble] | None = None,
        compared: Sequence[ResultsOutcome] = (),
    ) -> None:
        self._mappings, self._db_objects, self._compared = mappings, db_objects or {}, compared
        listed = ComparisonPage(comparisons=(COMPARISON,), total=1)
        self._list = answered(None, listed=listed) if compared else None
        self.asked: Counter[str] = Counter()

    async def object_mappings(self, job_id: str, offset: int) -> ObjectPage | Trouble:
        self.asked["object-mappings"] += 1
        return self._mappings.get(job_id, EMPTY) if isinstance(self._mappings, dict) else self._mappings

    async def db_object(self, job_id: str) -> ObjectPage | Trouble:
        self.asked["db-object"] += 1
        return self._db_objects.get(job_id, page("db"))

    async def query(self, job_id: str, ids: ResultIds, *, page: int) -> ResultsOutcome | None:
        self.asked["query"] += 1
        return self._compared[page - 1] if ids and page <= len(self._compared) else self._list


async def found(cloud: Telling) -> dict[str, ReplicatedObjects | Trouble]:
    finder = ObjectFinder(cast(FleetReader, cloud))
    first = scouts(JOBS)
    told = {job.id: await finder.find(job, JobDetail(id=job.id)) for job in JOBS if job.id in first}
    finder.learnt()
    return told | {job.id: await finder.find(job, JobDetail(id=job.id)) for job in JOBS if job.id not in first}


async def test_mappings_that_are_empty_for_the_scouts_are_not_asked_for_first() -> None:
    cloud = Telling()
    told = await found(cloud)
    assert cloud.asked == {"object-mappings": 2, "db-object": 9}
    assert all(isinstance(one, ReplicatedObjects) and one.source is ObjectSource.DB_OBJECT for one in told.values())


async def test_but_where_nobody_else_tells_they_are_asked_for() -> None:
    cloud = Telling({"jb7": page("mapped")}, {"jb7": EMPTY})
    told = (await found(cloud))["jb7"]
    assert isinstance(told, ReplicatedObjects)
    assert told.source is ObjectSource.MAPPINGS
    assert cloud.asked == {"object-mappings": 3, "db-object": 9}


async def test_one_job_that_is_refused_speaks_for_itself_alone() -> None:
    cloud = Telling({"jb0": REFUSED} | {job.id: page("mapped") for job in JOBS[1:]})
    told = await found(cloud)
    sources = [one.source for one in told.values() if isinstance(one, ReplicatedObjects)]
    assert sources == [ObjectSource.DB_OBJECT] + [ObjectSource.MAPPINGS] * 8


async def test_a_source_that_refuses_the_scouts_is_asked_no_more() -> None:
    cloud = Telling(REFUSED)
    assert all(isinstance(one, ReplicatedObjects) for one in (await found(cloud)).values())
    assert cloud.asked == {"object-mappings": 2, "db-object": 9}


async def test_a_job_in_a_state_for_no_answer_is_told_by_the_next_source() -> None:
    cloud = Telling({"jb5": Trouble(fate=Fate.NOT_YET, kind=ErrorKind.STATE, error_code="DRS.M00304")})
    assert all(isinstance(one, ReplicatedObjects) for one in (await found(cloud)).values())


class Rows(Telling):
    """Mappings of three rows to a page; the cloud counts *total* rows, whatever it has."""

    def __init__(self, rows: int, total: int) -> None:
        super().__init__()
        self._rows, self._total = [SelectedObject(database="db", table=f"t{row}") for row in range(rows)], total
        self.offsets: list[int] = []

    async def object_mappings(self, job_id: str, offset: int) -> ObjectPage | Trouble:
        self.offsets.append(offset)
        rows = tuple(self._rows[offset : offset + 3])
        return ObjectPage(objects=rows, rows=len(rows), total=self._total)


async def told_of_one(cloud: Telling) -> ReplicatedObjects:
    told = await ObjectFinder(cast(FleetReader, cloud)).find(JOBS[0], JobDetail(id="jb0"))
    assert isinstance(told, ReplicatedObjects)
    return told


async def test_mappings_are_read_to_their_end() -> None:
    cloud = Rows(7, total=7)
    told = await told_of_one(cloud)
    assert (told.source, len(told.objects), cloud.offsets) == (ObjectSource.MAPPINGS, 7, [0, 3, 6])


async def test_mappings_that_end_before_their_own_count_do_not_pass_for_all() -> None:
    assert (await told_of_one(Rows(7, total=8))).source is ObjectSource.DB_OBJECT


def compared(*tables: str, more: bool) -> ResultsOutcome:
    rows = tuple(
        TableResult(
            database="db", table=table, target_database=None, target_table=None, result="CONSISTENT",
            source_rows=None, target_rows=None, diff_rows=None, message=None,
        )
        for table in tables
    )  # fmt: skip
    page = TableResults(databases=(DatabaseResult(name="db", tables=rows),), longest=10 if more else 1)
    return answered(None, results={ResultKind.ROWS: page})


async def test_the_last_row_comparison_tells_the_tables_of_all_of_its_pages() -> None:
    cloud = Telling(EMPTY, {"jb0": EMPTY}, [compared("a", "b", more=True), compared("c", more=False)])
    told = await told_of_one(cloud)
    assert (told.source, [one.table for one in told.objects]) == (ObjectSource.COMPARISON, ["a", "b", "c"])


async def test_of_which_some_could_not_be_read_it_tells_none() -> None:
    broken = answered(Trouble(fate=Fate.MAYBE, kind=ErrorKind.NETWORK, error_msg="reset"))
    told = await told_of_one(Telling(EMPTY, {"jb0": EMPTY}, [compared("a", "b", more=True), broken]))
    assert told.objects == ()


def test_a_fleet_costs_hardly_more_reads_than_it_must(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    links = (("migration", "mysql"), ("sync", "mysql"), ("sync", "postgresql"))
    simulator = cloud(fleet(*(job(f"{number:03}", kind=links[number % 3][0], engine=links[number % 3][1])
                              for number in range(120))))  # fmt: skip
    assert batcher("discover", "-o", "wave.csv", "--read-rate", "off").code == 0
    reads = Counter(event.call for event in simulator.ledger if isinstance(event, RequestSeen))
    assert reads == {"list-jobs": 3, "batch-detail": 13, "object-mappings": 82, "db-object": 40}
