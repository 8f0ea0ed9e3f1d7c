"""`batcher journal`: a damaged journal is told, and what is left of it goes on without creating anything twice."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections import Counter
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import pytest

from batcher.errors import BatcherError
from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.journal.files import WaveFiles
from batcher.journal.sqlite.keeper import SqliteReader
from batcher.journal.wave_lock import WaveLock
from batcher.rescue import check_journal
from batcher.simulator.server import ThreadedSimulator
from tests.cli.commands import created_jobs, lines_of, write_manifest
from tests.cli.conftest import Batcher, Cloud
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.cli.conftest import cloud as cloud
from tests.journal.made import in_rows
from tests.report.waves import write_wave

RESULTS, NEW = Path("r.jsonl"), Path("new.jsonl")
JOURNAL = WaveFiles.of(RESULTS).journal
PAGE = 4096
MANY = 10_000


@pytest.fixture
def sim(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> ThreadedSimulator:
    """A wave of 60 entries that was stopped on its way."""
    simulator = cloud()
    manifest = write_manifest(tmp_path / "wave.csv", [f"job-{n}" for n in range(60)])
    batcher("run", manifest, "-o", RESULTS, "--deadline", "1s", "--rate", "25/s")
    assert 0 < len(created_jobs(simulator.ledger)) < 60
    return simulator


def smash(path: Path, *pages: int) -> None:
    body = bytearray(path.read_bytes())
    for page in pages:
        body[page * PAGE : (page + 1) * PAGE] = b"\xff" * PAGE
    path.write_bytes(body)


def pages_of(path: Path) -> int:
    return path.stat().st_size // PAGE


# --- check ----------------------------------------------------------------------------------------------


def test_a_sound_journal(batcher: Batcher) -> None:
    write_wave(RESULTS, 100)
    ended = batcher("journal", "check", JOURNAL)
    assert (ended.code, "r.jsonl.journal is sound: 100 entries, 100 results" in ended.out) == (0, True)
    assert batcher("journal", "check", RESULTS, "--json").json["sound"] is True  # it knows which journal is meant


@pytest.mark.parametrize(
    ("page", "bytes_"), [(3, b"\xff" * PAGE), (9, b"\x00" * PAGE), (12, random.Random(1).randbytes(PAGE))]
)
def test_a_page_that_cannot_be_read(batcher: Batcher, page: int, bytes_: bytes) -> None:
    write_wave(RESULTS, 200)
    body = bytearray(JOURNAL.read_bytes())
    body[page * PAGE : (page + 1) * PAGE] = bytes_
    JOURNAL.write_bytes(body)
    before = JOURNAL.read_bytes()
    ended = batcher("journal", "check", JOURNAL)
    assert ended.code == 1
    assert "is damaged" in ended.out
    assert "batcher journal rescue r.jsonl.journal -o NEW.jsonl" in ended.out
    assert JOURNAL.read_bytes() == before


def test_rows_that_make_no_sense(batcher: Batcher) -> None:
    """SQLite finds nothing wrong with them."""
    write_wave(RESULTS, 50)
    body = JOURNAL.read_bytes()
    assert body.count(b'"status":"created"') > 40
    JOURNAL.write_bytes(body.replace(b'"status":"created"', b'"status":"creates"', 3))
    told = batcher("journal", "check", JOURNAL, "--json").json
    assert (told["sound"], told["results"]) == (False, 47)
    assert told["wrong"] == ["3 rows of events or results are of no entry, or say nothing"]


@pytest.mark.parametrize("body", [b"", b"no journal", b"SQLite format 3\0" + bytes(84), bytes(5000)])
@pytest.mark.parametrize("verb", [("check",), ("rescue", "-o", NEW)])
def test_where_nothing_can_be_read(batcher: Batcher, verb: tuple[object, ...], body: bytes) -> None:
    JOURNAL.write_bytes(body)
    ended = batcher("journal", verb[0], JOURNAL, *verb[1:])
    assert (ended.code, ended.out, NEW.exists()) == (2, "", False)
    assert "error: " in ended.err


def test_a_large_one_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """But for the buffers of the reading, which are not full yet in a small one; a list of all would be four times as
    long."""
    peaks = []
    for entries in (4000, 16000):
        results = tmp_path / f"{entries}.jsonl"
        write_wave(results, entries)
        tracemalloc.start()
        assert check_journal(WaveFiles.of(results).journal).entries == entries
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_chunks_of_the_plan_that_are_none(batcher: Batcher) -> None:
    """SQLite finds nothing wrong with them either; one that seems to have other entries is none of them."""
    write_wave(RESULTS, 1200)
    with closing(sqlite3.connect(JOURNAL)) as database, database:
        database.execute("UPDATE plan_chunks SET content = NULL WHERE id = 2")
        database.execute("UPDATE plan_chunks SET content = (SELECT content FROM plan_chunks WHERE id = 1) WHERE id = 3")
    told = batcher("journal", "check", JOURNAL, "--json").json
    assert (told["sound"], told["entries"]) == (False, 1200 - 2 * 256)
    assert told["wrong"][0] == "2 stretches of its entries cannot be read"
    rescued = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    assert rescued.code == 1, rescued.err
    assert "results of entries that the journal lost: r.jsonl alone tells what was made" in rescued.err
    assert "of 512 entries of the manifest nothing is left (index " in rescued.err
    assert batcher("journal", "check", NEW, "--json").json["entries"] == 1200 - 2 * 256


ODD = {
    "index": "-5",
    "far": str(2**40),
    "line": "'x'",
    "job_id": "NULL",
    "x_language": "x'00'",
    "labels": """'{"a":1}'""",
    "body": "'{}'",
    "key": "x'00'",
}


@pytest.mark.parametrize("column", ODD)
def test_a_row_of_an_older_journal_that_no_plan_could_hold(batcher: Batcher, column: str) -> None:
    in_rows(JOURNAL)
    write_wave(RESULTS, 50)
    with closing(sqlite3.connect(JOURNAL)) as database, database:
        name = "idx" if column in ("index", "far") else column
        database.execute(f"UPDATE entries SET {name} = {ODD[column]} WHERE idx = 7")  # noqa: S608
    assert batcher("journal", "check", JOURNAL, "--json").json["entries"] == 49
    rescued = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    assert rescued.code == 1, rescued.err
    assert batcher("journal", "check", NEW, "--json").json["entries"] == 49


# --- rescue ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_a_rescued_wave_creates_nothing_twice(batcher: Batcher, sim: ThreadedSimulator, seed: int) -> None:
    made = {line["job_id"] for line in lines_of(RESULTS) if line["status"] == "created"}
    rng = random.Random(seed)
    smash(JOURNAL, *rng.sample(range(2, pages_of(JOURNAL)), 3))
    assert batcher("journal", "check", JOURNAL).code == 1
    rescued = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    assert rescued.code in (0, 1, 2), rescued.err
    if rescued.code == 2:  # the scopes are gone, or the whole of the plan
        assert not NEW.exists()
        return
    ended = batcher("run", "wave.csv", "-o", NEW)
    assert ended.code in (0, 1, 4), ended.err
    assert max(Counter(created_jobs(sim.ledger)).values()) == 1
    told = {line["job_id"]: line for line in lines_of(NEW)}
    assert {line["status"] for line in told.values()} <= {"created", "unsettled"}
    lost = [job for job in made if job in told and told[job]["status"] == "unsettled"]
    assert len(lost) < len(made)


def test_what_the_results_say_is_taken_over(batcher: Batcher, sim: ThreadedSimulator) -> None:
    """The journal lost every result and every event; the results file has the ids."""
    ids = {
        line["job_id"]: line["data_level_compare_create_result"]
        for line in lines_of(RESULTS)
        if line["status"] == "created"
    }
    shutil.copy(JOURNAL, "old.journal")
    body = JOURNAL.read_bytes().replace(b'"at":', b'"aT":').replace(b'"status":"', b'"sTatus":"')
    JOURNAL.write_bytes(body)
    rescued = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    assert rescued.code == 0, rescued.err
    assert f"{len(ids)} results that r.jsonl has and the journal did not know" in rescued.err
    assert batcher("run", "wave.csv", "-o", NEW).code == 0
    told = {line["job_id"]: line["data_level_compare_create_result"] for line in lines_of(NEW)}
    assert len(told) == 60
    assert ids.items() <= told.items()
    assert max(Counter(created_jobs(sim.ledger)).values()) == 1


def test_a_sound_journal_is_rescued_whole(batcher: Batcher) -> None:
    write_wave(RESULTS, 100)
    before = (JOURNAL.read_bytes(), RESULTS.read_bytes())
    assert batcher("journal", "rescue", JOURNAL, "-o", NEW).code == 0
    assert NEW.read_bytes() == RESULTS.read_bytes()
    assert batcher("journal", "check", NEW).code == 0
    assert (JOURNAL.read_bytes(), RESULTS.read_bytes()) == before
    explained = [json.loads(batcher("explain", path, "--index", 7, "--json").out) for path in (RESULTS, NEW)]
    assert explained[0] == explained[1]


def test_where_it_fails_nothing_is_left_to_be_gone_on_with(batcher: Batcher, tmp_path: Path) -> None:
    """Here as the results are those of another wave."""
    write_wave(RESULTS, 20)
    others = (
        RESULTS.read_bytes().replace(b'"key":"', b'"key":"x').replace(b'"compare_task_id":"', b'"compare_task_id":"x')
    )
    (tmp_path / "other.jsonl").write_bytes(others)
    before = {path.name for path in tmp_path.iterdir()}
    ended = batcher("journal", "rescue", JOURNAL, "-o", NEW, "--results", tmp_path / "other.jsonl")
    assert (ended.code, "has another entry" in ended.err) == (2, True)
    assert not [name for name in {path.name for path in tmp_path.iterdir()} - before if name.startswith("new")]
    assert batcher("journal", "rescue", JOURNAL, "-o", NEW).code == 0


# What a rescue does, one after the other; it is killed right before it.
STEPS = ("write_salvaged", "take_results", "rebuild", "_put_in_place", "Path.replace")


@pytest.mark.parametrize("step", STEPS)
def test_where_it_is_killed_nothing_is_left_to_be_gone_on_with(batcher: Batcher, tmp_path: Path, step: str) -> None:
    write_wave(RESULTS, 20)
    program = (
        f"import os\nfrom pathlib import Path\nimport batcher.rescue as rescue\n"
        f"{step if '.' in step else f'rescue.{step}'} = lambda *_, **__: os.kill(os.getpid(), 9)\n"
        f"rescue.rescue_journal(Path({str(JOURNAL)!r}), Path({str(RESULTS)!r}), Path({str(NEW)!r}), 0.0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False)
    assert ended.returncode == -signal.SIGKILL
    journal = tmp_path / WaveFiles.of(NEW).journal
    assert not (tmp_path / NEW).exists()
    assert not journal.exists() or not journal.stat().st_size
    rescued = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    assert rescued.code == 0, rescued.err
    assert batcher("journal", "check", NEW, "--json").json["entries"] == 20
    assert journal.stat().st_mode & 0o777 == 0o600


def test_it_takes_nothings_place_and_no_running_waves(batcher: Batcher) -> None:
    write_wave(RESULTS, 20)
    write_wave(Path("other.jsonl"), 20)
    assert "takes a name of its own" in batcher("journal", "rescue", JOURNAL, "-o", "other.jsonl").err
    assert "there is no journal nothing" in batcher("journal", "rescue", "nothing", "-o", NEW).err
    lock = WaveLock(JOURNAL)
    try:
        ended = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    finally:
        lock.release()
    assert (ended.code, "another batcher is running this wave" in ended.err) == (2, True)


def test_whoever_meets_a_damaged_journal_is_told_of_it(batcher: Batcher, sim: ThreadedSimulator) -> None:
    smash(JOURNAL, *range(2, pages_of(JOURNAL)))
    for command in (("explain", RESULTS, "--index", 0), ("run", "wave.csv", "-o", RESULTS)):
        assert "`batcher journal check r.jsonl.journal`" in batcher(*command).err
    assert "batcher journal check r.jsonl.journal" in batcher("status").out


# --- one that was cut off, or has a page where another belongs ------------------------------------------


def _asked(path: Path) -> None:
    """Ask the journal at *path* for all it has. Raises `JournalFailed`, `NotAJournal`, and nothing else."""
    reader = SqliteReader(path)
    try:
        record = reader.wave()
        record.facts(), record.status_counts(), record.settled_counts(), record.last_event_at(), record.lines_from(0)
        for index in range(record.entry_count()):
            record.entry(index), record.events(index), record.result_of(index), record.line_of(index)
        for told in (record.lines(), record.answers(), record.outline(), record.unfinished(-1, 1000)):
            assert sum(1 for _ in islice(told, MANY)) < MANY
        record.sent_since(0.0)
    finally:
        reader.close()


@pytest.mark.parametrize("format", ["rows", "packed"])
def test_what_is_read_of_a_damaged_journal_is_there_or_told(tmp_path: Path, format: str) -> None:
    """Pages that are cut off, zeroed, overwritten, or where another belongs: no other error, no reading for ever."""
    made = tmp_path / "made.jsonl.journal"
    if format == "rows":
        in_rows(made)
    write_wave(tmp_path / "made.jsonl", 30)
    body, rng, told = made.read_bytes(), random.Random(3), 0
    damaged = tmp_path / "r.jsonl.journal"
    for page in range(1, len(body) // PAGE):
        before, after = body[: page * PAGE], body[(page + 1) * PAGE :]
        for there in (b"", bytes(PAGE - 900), rng.randbytes(PAGE), before[-PAGE:]):
            damaged.write_bytes(before + there + (after if len(there) == PAGE else b""))
            try:
                _asked(damaged)
            except (JournalFailed, NotAJournal):
                told += 1
            with suppress(BatcherError):
                check_journal(damaged)
    assert told > len(body) // PAGE


def test_a_page_where_another_belongs_leads_nobody_round_in_circles(batcher: Batcher) -> None:
    write_wave(RESULTS, 300)
    with closing(sqlite3.connect(JOURNAL)) as db:
        number = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'results'").fetchone()[0]
    body = JOURNAL.read_bytes()
    root = body[(number - 1) * PAGE : number * PAGE]
    cells = int.from_bytes(root[3:5], "big")
    at = int.from_bytes(root[12:14], "big")
    first = int.from_bytes(root[at : at + 4], "big")
    last = int.from_bytes(root[8:12], "big")
    assert (root[0], cells > 3) == (5, True)  # of a table, and it leads to pages
    leaf = body[(first - 1) * PAGE : first * PAGE]
    JOURNAL.write_bytes(body[: (last - 1) * PAGE] + leaf + body[last * PAGE :])
    ended = batcher("results", JOURNAL, "-o", "again.jsonl")
    assert (ended.code, Path("again.jsonl").exists()) == (2, False)
    assert "its rows lead back to where they began" in ended.err
    assert batcher("journal", "check", JOURNAL).code == 1


@pytest.mark.parametrize("share", [0.5, 0.8, 0.97, 0.99999])
def test_one_that_was_cut_off_is_rescued(batcher: Batcher, sim: ThreadedSimulator, share: float) -> None:
    body = JOURNAL.read_bytes()
    JOURNAL.write_bytes(body[: int(len(body) * share)])
    ended = batcher("run", "wave.csv", "-o", RESULTS)
    assert (ended.code, "`batcher journal check r.jsonl.journal`" in ended.err) == (2, True)  # not: try again
    assert batcher("journal", "check", RESULTS).code == 1
    rescued = batcher("journal", "rescue", JOURNAL, "-o", NEW)
    assert (rescued.code, "60 entries" in rescued.err) == (0, True), rescued.err
    assert batcher("run", "wave.csv", "-o", NEW).code in (0, 4)
    assert max(Counter(created_jobs(sim.ledger)).values()) == 1


def test_a_results_file_is_not_taken_for_its_journal(batcher: Batcher) -> None:
    write_wave(RESULTS, 10, journal=False)
    ended = batcher("journal", "check", RESULTS)
    assert (ended.code, "and no journal lies beside it: r.jsonl.journal is not there" in ended.err) == (2, True)
