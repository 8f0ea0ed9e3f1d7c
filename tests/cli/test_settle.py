"""`settle`: ids are looked at and looked up, many decisions come from a file, and one can be taken back."""

import csv
from contextlib import closing
from pathlib import Path

import pytest

from batcher.cli.rulings import rulings_in
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.simulator.ledger import Effect
from batcher.simulator.server import ThreadedSimulator
from tests.cli.commands import created_jobs, lines_of
from tests.cli.conftest import Batcher, Cloud
from tests.journal.made import plan

RESULTS = Path("results.jsonl")
TABLE = Path("decisions.csv")


@pytest.fixture
def sim(batcher: Batcher, cloud: Cloud, manifest: Path) -> ThreadedSimulator:
    """A wave whose three entries are unsettled: job-1 and job-2 were made, of job-3 nothing is there."""
    simulator = cloud(creates=("reset-after", "reset-after", "reset-before"))
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off", "--concurrency", 1)
    assert {line["status"] for line in lines_of(RESULTS)} <= {"unsettled", "created"}
    assert result_of("job-1")["status"] == result_of("job-2")["status"] == "unsettled"
    return simulator


def result_of(job: str) -> dict[str, object]:
    (line,) = [line for line in lines_of(RESULTS) if line["job_id"] == job]
    return line


def made_of(sim: ThreadedSimulator, job: str) -> str:
    """The comparison that the cloud has of *job*."""
    effects = [event for event in sim.ledger if isinstance(event, Effect) and event.job_id == job]
    return next(task_id for effect in effects for task_id in effect.created.values())


def write(*rows: tuple[str, str], header: tuple[str, str] = ("job_id", "as")) -> None:
    with TABLE.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


# --- ids ------------------------------------------------------------------------------------------------


def test_an_id_that_the_cloud_lists_is_recorded(batcher: Batcher, sim: ThreadedSimulator) -> None:
    task_id = made_of(sim, "job-1")
    ended = batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={task_id}")
    assert (ended.code, result_of("job-1")["status"]) == (0, "created"), ended.err
    assert "not looked up" not in ended.err


def test_an_id_that_the_cloud_does_not_list_is_refused(batcher: Batcher, sim: ThreadedSimulator) -> None:
    other, mine = made_of(sim, "job-2"), made_of(sim, "job-1")
    ended = batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={other}")
    assert ended.code == 2
    assert f"the cloud does not list {other} among the comparisons of job job-1 (the last are: {mine})" in ended.err
    assert result_of("job-1")["status"] == "unsettled"
    assert batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={other}", "--offline").code == 0


@pytest.mark.parametrize("variables", [{"BATCHER_TOKEN": ""}, {"BATCHER_PROXY": "http://127.0.0.1:9"}])
def test_it_is_usable_without_the_cloud(
    batcher: Batcher, sim: ThreadedSimulator, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    """No credential; or no way."""
    task_id = made_of(sim, "job-1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ended = batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={task_id}")
    assert (ended.code, result_of("job-1")["status"]) == (0, "created"), ended.err
    assert "note: not looked up in the cloud" in ended.err


def test_what_is_no_id_is_refused(batcher: Batcher, sim: ThreadedSimulator) -> None:
    for task_id, said in (
        ("job-1", "job-1 is the id of the job, not of a comparison"),
        ("project-a", "is the id of the project"),
        ("https://console/cmp", "is no id of a comparison"),
        ("c" * 65, "is no id of a comparison"),
    ):
        ended = batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={task_id}", "--offline")
        assert (ended.code, said in ended.err) == (2, True), ended.err
        assert result_of("job-1")["status"] == "unsettled"


# --- many at once ---------------------------------------------------------------------------------------


def test_many_are_settled_from_a_file(batcher: Batcher, sim: ThreadedSimulator) -> None:
    write(("job-1", f"created={made_of(sim, 'job-1')}"), ("job-2", ""), ("job-3", "failed"))
    if result_of("job-3")["status"] != "unsettled":
        write(("job-1", f"created={made_of(sim, 'job-1')}"), ("job-2", "failed"), ("job-3", ""))
    ended = batcher("settle", RESULTS, "--from", TABLE)
    assert ended.code == 0, ended.err
    assert ended.err.count("the decision is on record") == 2
    assert result_of("job-1")["status"] == "created"
    assert sorted(str(line["status"]) for line in lines_of(RESULTS)).count("failed") == 1


def test_however_many_jobs_a_file_names_the_wave_is_walked_over_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteKeeper(tmp_path / "journal")) as keeper:
        record = keeper.wave()
        plan(record, 5)
        outline, walks = record.outline, [0]

        def walk(_: object) -> object:
            walks[0] += 1
            return outline()

        monkeypatch.setattr(type(record), "outline", walk)
        table = tmp_path / "decisions.csv"
        table.write_text("job_id,as\njob-3,failed\njob-0,retry\njob-4,failed\n")
        assert ([*rulings_in(table, record)], walks) == ([3, 0, 4], [1])


def test_keys_other_columns_and_semicolons(batcher: Batcher, sim: ThreadedSimulator) -> None:
    """As a spreadsheet leaves `report --csv` with a column added."""
    TABLE.write_text(f"\ufeffindex;Key;AS;status\r\n;{result_of('job-1')['key']};failed;unsettled\r\n1;;retry;\r\n")
    assert batcher("settle", RESULTS, "--from", TABLE).code == 0
    assert (result_of("job-1")["status"], result_of("job-2")["status"]) == ("failed", "not_submitted")


def test_of_many_all_are_recorded_or_none(batcher: Batcher, sim: ThreadedSimulator) -> None:
    before = RESULTS.read_bytes()
    one = made_of(sim, "job-1")
    for rows, said in (
        (
            (("job-1", "failed"), ("job-9", "failed")),
            "line 3: no entry of the wave compares the job 'job-9'",
        ),
        ((("job-1", "failed"), ("job-2", "maybe")), "decisions.csv, line 3: as maybe is no ruling"),
        ((("job-1", "failed"), ("job-1", "failed")), "line 3: another row decides about the same entry"),
        ((("job-2", "failed"), ("job-1", f"created={made_of(sim, 'job-2')}")), "the cloud does not list"),
        ((("job-1", f"created={one}"), ("job-2", f"created={one}")), "the cloud does not list"),
        ((), "decides nothing"),
    ):
        write(*rows)
        ended = batcher("settle", RESULTS, "--from", TABLE)
        assert (ended.code, said in ended.err) == (2, True), ended.err
        assert RESULTS.read_bytes() == before
    write(("job-1", f"created={one}"), ("job-2", f"created={one}"))
    ended = batcher("settle", RESULTS, "--from", TABLE, "--offline")
    assert (ended.code, f"{one} is named for two entries" in ended.err) == (2, True)
    assert RESULTS.read_bytes() == before


def test_usage(batcher: Batcher, sim: ThreadedSimulator) -> None:
    write(("job-1", "failed"))
    for arguments, said in (
        ((), "give --as, --from or --undo"),
        (("--as", "failed"), "give --key, --job or --index"),
        (("--job", "job-1", "--as", "failed", "--undo"), "give --as, --from or --undo"),
        (("--from", "decisions.csv", "--job", "job-1"), "leave --key, --job and --index out"),
        (("--from", "nothing.csv"), "cannot read nothing.csv"),
        (("--from", "wave.csv"), "needs a column `as`"),
    ):
        ended = batcher("settle", RESULTS, *arguments)
        assert (ended.code, said in ended.err) == (2, True), ended.err


# --- taken back -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ruling", ["failed", "created=cmp-wrong", "retry"])
def test_a_decision_is_taken_back(batcher: Batcher, sim: ThreadedSimulator, manifest: Path, ruling: str) -> None:
    assert batcher("settle", RESULTS, "--job", "job-1", "--as", ruling, "--offline").code == 0
    ended = batcher("settle", RESULTS, "--job", "job-1", "--undo")
    assert (ended.code, "is unsettled now" in ended.err) == (0, True), ended.err
    line = result_of("job-1")
    assert (line["status"], line["data_level_compare_create_result"]) == ("unsettled", None)
    assert "took the decision on it back" in str(line["error_msg"])
    said = batcher("explain", RESULTS, "--job", "job-1").out
    assert said.index("settled by the operator") < said.index("decision taken back")
    # The next run looks it up, and sends nothing.
    assert batcher("run", manifest, "-o", RESULTS).code in (0, 1, 4)
    assert "look-up" in batcher("explain", RESULTS, "--job", "job-1").out
    assert result_of("job-1")["attempts"] == 1
    assert created_jobs(sim.ledger).count("job-1") == 1


def test_an_id_that_was_taken_back_is_free_again(batcher: Batcher, sim: ThreadedSimulator) -> None:
    made = made_of(sim, "job-1")
    batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={made}")
    batcher("settle", RESULTS, "--job", "job-1", "--undo")
    assert batcher("settle", RESULTS, "--job", "job-1", "--as", f"created={made}").code == 0
    assert result_of("job-1")["status"] == "created"
    assert batcher("settle", RESULTS, "--job", "job-1", "--undo").code == 0
    assert result_of("job-1")["status"] == "unsettled"


def test_there_must_be_a_decision_to_take_back(batcher: Batcher, sim: ThreadedSimulator, manifest: Path) -> None:
    assert "has no decision to take back" in batcher("settle", RESULTS, "--job", "job-1", "--undo").err
    batcher("settle", RESULTS, "--job", "job-1", "--as", "retry")
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    ended = batcher("settle", RESULTS, "--job", "job-1", "--undo")
    assert (ended.code, "or went on since" in ended.err) == (2, True), ended.err
