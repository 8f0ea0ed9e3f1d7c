"""`settle`, `explain`, `select` and `results`: what is done about a wave that has run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from batcher.journal.wave_lock import WaveLock
from batcher.manifest.entry import Entry, keys_of
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.service import ServiceConfig
from batcher.wave import opening
from tests.cli.commands import created_jobs, lines_of, write_manifest
from tests.cli.conftest import Batcher, Cloud

RESULTS = Path("results.jsonl")
BOTH_HALVES = (
    '{"job_id": "job-1", "key": "both", "object_level_compare_type": "objects", "labels": {"team": "search"},'
    ' "data_level_compare_info": {"conflict_policy": "keep", "compare_type": "lines",'
    ' "compare_object_infos": [{"db_name": "shop"}]}}\n'
)


@pytest.fixture
def unsettled(batcher: Batcher, cloud: Cloud, manifest: Path) -> str:
    """The key of an unsettled entry, the first of three, of which no other is."""
    cloud(creates=("reset-after",))
    assert batcher("run", manifest, "-o", RESULTS, "--reconcile", "off").code == 4
    return str(result_of(0)["key"])


def result_of(index: int) -> dict[str, Any]:
    (line,) = [line for line in lines_of(RESULTS) if line["index"] == index]
    return line


# --- settle ---------------------------------------------------------------------------------------------


def test_created_is_recorded_with_its_id(batcher: Batcher, unsettled: str) -> None:
    ended = batcher("settle", RESULTS, "--key", unsettled, "--as", "created=cmp-1", "--offline")
    assert ended.code == 0
    assert f"{unsettled} is created now" in ended.err
    line = result_of(0)
    assert line["status"] == "created"
    assert line["data_level_compare_create_result"]["compare_task_id"] == "cmp-1"
    assert (line["error_kind"], line["recovered"]) == (None, False)
    assert len(lines_of(RESULTS)) == 3


def test_the_id_of_another_entry_of_the_job_is_refused(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(creates=("reset-after",))
    line = BOTH_HALVES.replace('"object_level_compare_type": "objects",', "").replace("keep", "cancel")
    manifest = tmp_path / "two.jsonl"
    manifest.write_text(line.replace('"both"', '"one"') + line.replace('"both"', '"two"'))
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off", "--allow-duplicates")
    made = result_of(1)["data_level_compare_create_result"]["compare_task_id"]
    refused = batcher("settle", RESULTS, "--key", "one", "--as", f"created={made}", "--offline")
    assert refused.code == 2
    assert f"{made} belongs to entry two of the same job" in refused.err
    assert result_of(0)["status"] == "unsettled"


def test_a_results_file_that_somebody_edited_is_kept_aside(batcher: Batcher, unsettled: str) -> None:
    RESULTS.write_bytes(RESULTS.read_bytes().replace(b'"unsettled"', b'"created"', 1))
    ended = batcher("settle", RESULTS, "--key", unsettled, "--as", "failed")
    assert "someone edited it?" in ended.err
    assert len(list(Path().glob("results.jsonl.edited-*"))) == 1
    assert result_of(0)["status"] == "failed"


def test_failed_is_recorded(batcher: Batcher, unsettled: str) -> None:
    batcher("settle", RESULTS, "--key", unsettled, "--as", "failed")
    line = result_of(0)
    assert line["status"] == "failed"
    assert "as the operator recorded" in line["error_msg"]
    assert line["error_kind"] == "network"


def test_retry_is_sent_again_by_the_next_run(
    batcher: Batcher, cloud: Cloud, unsettled: str, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sent again when the wave goes on" in batcher("settle", RESULTS, "--key", unsettled, "--as", "retry").err
    assert result_of(0)["status"] == "not_submitted"
    ended = batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    assert result_of(0)["status"] == "created" or ended.code == 4
    assert result_of(0)["attempts"] == 2


def test_a_settled_entry_stays_so_when_the_wave_goes_on(batcher: Batcher, unsettled: str, manifest: Path) -> None:
    for index in (0, 1, 2):
        assert batcher("settle", RESULTS, "--index", index, "--as", f"created=cmp-{index}", "--offline").code == 0
    before = sorted(RESULTS.read_bytes().splitlines())
    assert batcher("run", manifest, "-o", RESULTS, "--reconcile", "off").code == 0
    assert sorted(RESULTS.read_bytes().splitlines()) == before


def test_a_ruling_is_shown_by_explain(batcher: Batcher, unsettled: str) -> None:
    batcher("settle", RESULTS, "--key", unsettled, "--as", "created=cmp-1", "--offline")
    said = batcher("explain", RESULTS, "--key", unsettled).out
    assert "settled by the operator" in said
    assert "data level is cmp-1" in said


def test_both_halves_in_doubt_take_a_word_on_each(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(creates=("reset-after",))
    manifest = tmp_path / "wave.jsonl"
    manifest.write_text(BOTH_HALVES)
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    refused = batcher("settle", RESULTS, "--key", "both", "--as", "created=cmp-1", "--offline")
    assert refused.code == 2
    assert "object=TASK_ID,data=TASK_ID" in refused.err
    assert batcher("settle", RESULTS, "--key", "both", "--as", "object=cmp-1", "--offline").code == 2
    assert batcher("settle", RESULTS, "--key", "both", "--as", "object=same,data=same", "--offline").code == 2
    assert result_of(0)["status"] == "unsettled"
    assert batcher("settle", RESULTS, "--key", "both", "--as", "object=cmp-1,data=failed", "--offline").code == 0
    line = result_of(0)
    assert line["status"] == "partial"
    assert line["object_level_compare_create_result"]["compare_task_id"] == "cmp-1"


@pytest.mark.parametrize("ruling", ["", "maybe", "created", "created=", "object=", "table=1", "created=a b", "retry=1"])
def test_what_is_no_ruling_is_refused(batcher: Batcher, unsettled: str, ruling: str) -> None:
    before = RESULTS.read_bytes()
    ended = batcher("settle", RESULTS, "--key", unsettled, "--as", ruling)
    assert ended.code == 2
    assert "created=TASK_ID" in ended.err
    assert RESULTS.read_bytes() == before


def test_only_what_is_in_doubt_can_be_settled(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    cloud()
    batcher("run", manifest, "-o", RESULTS)
    ended = batcher("settle", RESULTS, "--index", 0, "--as", "failed")
    assert ended.code == 2
    assert "is created, not unsettled" in ended.err


def test_a_wave_begun_with_other_default_keys_keeps_them(
    batcher: Batcher, cloud: Cloud, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stand in its journal: `settle`, the next `run`, `explain`, `select` and what it selects all go by them."""

    def sixteen_digits(entries: Sequence[Entry], bodies: Sequence[bytes]) -> list[str]:
        return [key[1:] for key in keys_of(entries, bodies)]

    cloud(creates=("reset-after",))
    with monkeypatch.context() as before:
        before.setattr(opening, "keys_of", sixteen_digits)
        assert batcher("run", manifest, "-o", RESULTS, "--reconcile", "off").code == 4
    keys = [result_of(index)["key"] for index in range(3)]
    assert all(len(key) == 16 for key in keys)
    assert batcher("settle", RESULTS, "--key", keys[0], "--as", "created=cmp-1", "--offline").code == 0
    assert batcher("settle", RESULTS, "--key", keys[1], "--as", "retry").code == 0
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    assert [result_of(index)["key"] for index in range(3)] == keys
    assert (result_of(0)["status"], result_of(1)["attempts"]) == ("created", 2)
    assert batcher("explain", RESULTS, "--key", keys[2]).code == 0
    assert batcher("select", RESULTS, "--status", "created,unsettled,failed", "-o", "next.csv").code == 0
    assert batcher("run", "next.csv", "-o", "next.results.jsonl", "--reconcile", "off").code in (0, 1, 4)
    assert sorted(line["key"] for line in lines_of(Path("next.results.jsonl"))) == sorted(keys)


def test_nothing_is_settled_while_the_wave_runs(batcher: Batcher, unsettled: str) -> None:
    lock = WaveLock(Path("results.jsonl.journal"))
    try:
        ended = batcher("settle", RESULTS, "--key", unsettled, "--as", "failed")
    finally:
        lock.release()
    assert ended.code == 2
    assert "another batcher is running this wave" in ended.err


# --- which wave, which entry ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("explain",), ("settle", "--as", "failed")])
def test_the_entry_must_be_named_and_be_there(batcher: Batcher, unsettled: str, command: tuple[str, ...]) -> None:
    name, *rest = command
    assert "Say which entry" in batcher(name, RESULTS, *rest).err
    assert "no entry has the key 'nobody'" in batcher(name, RESULTS, "--key", "nobody", *rest).err
    assert "there is no entry 3: the manifest has 3" in batcher(name, RESULTS, "--index", 3, *rest).err


def test_a_journal_that_is_not_there(batcher: Batcher, unsettled: str) -> None:
    assert "there is no file nothing.jsonl" in batcher("explain", "nothing.jsonl", "--index", 0).err
    Path("copy.jsonl").write_bytes(RESULTS.read_bytes())
    said = batcher("explain", "copy.jsonl", "--index", 0)
    assert said.code == 2
    assert "name it with --journal" in said.err
    named = batcher("explain", "copy.jsonl", "--index", 0, "--journal", "results.jsonl.journal")
    assert named.code == 0
    assert "is not a batcher journal" in batcher("explain", RESULTS, "--index", 0, "--journal", RESULTS).err


# --- explain --------------------------------------------------------------------------------------------


def test_explain_shows_every_attempt_with_its_time_status_code_and_request_id(
    batcher: Batcher, cloud: Cloud, manifest: Path
) -> None:
    cloud(creates=("500-before", "busy-202"))
    batcher("run", manifest, "-o", RESULTS, "--attempts", "1")
    said = batcher("explain", RESULTS, "--index", 0, "--json").json
    assert said["key"] == result_of(0)["key"]
    assert said["line"] == 2
    assert said["request"]["job_id"] == "job-1"
    answer = next(step for step in said["steps"] if step["what"] == "answer")
    assert answer["http_status"] == 500
    assert answer["error_code"] == "APIGW.0601"
    assert answer["request_id"]
    assert answer["decided"]
    told = batcher("explain", RESULTS, "--index", 0).out
    for shown in ("request 1", "answer 1  500  APIGW.0601", answer["request_id"], f"→ {answer['decided']}"):
        assert shown in told


def test_explain_of_what_was_never_sent(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud()
    manifest = write_manifest(tmp_path / "w.csv", ["job-1", ""])
    batcher("run", manifest, "-o", RESULTS, "--skip-invalid")
    said = batcher("explain", RESULTS, "--index", 1)
    assert said.code == 0
    assert "Nothing was sent for it." in said.out
    assert "invalid" in said.out


# --- select ---------------------------------------------------------------------------------------------


def test_selected_entries_are_a_manifest(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    rules = (JobRule(pattern="gone-*", exists=False),)
    cloud(ServiceConfig(cloud=CloudConfig(jobs=rules)))
    manifest = write_manifest(tmp_path / "w.csv", ["job-1", "gone-1", "gone-2"], **{"label.team": "search"})
    batcher("run", manifest, "-o", RESULTS)
    for name in ("next.csv", "next.json", "next.jsonl"):
        ended = batcher("select", RESULTS, "--status", "failed", "-o", name)
        assert (ended.code, ended.err) == (0, f"2 entries in {name}\n")
        checked = batcher("check", name, "--json").json
        assert (checked["sound"], checked["entries"]) == (True, 2)
    chosen = [json.loads(line) for line in Path("next.jsonl").read_text().splitlines()]
    assert sorted(entry["job_id"] for entry in chosen) == ["gone-1", "gone-2"]  # in the order in which they failed
    assert {entry["key"] for entry in chosen} == {line["key"] for line in lines_of(RESULTS) if line["index"]}
    assert chosen[0]["labels"] == {"team": "search"}


def test_of_a_partial_entry_only_the_missing_half_is_asked_for(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    """Submitting the selection must not create the other half a second time."""
    cloud(creates=("partial-final",))
    manifest = tmp_path / "wave.jsonl"
    manifest.write_text(BOTH_HALVES)
    batcher("run", manifest, "-o", RESULTS)
    line = result_of(0)
    assert line["status"] == "partial"
    (entry,) = [
        json.loads(text) for text in batcher("select", RESULTS, "--status", "partial", "-o", "-").out.splitlines()
    ]
    object_level_is_made = bool(line["object_level_compare_create_result"].get("compare_task_id"))
    assert (entry["data_level_compare_info"] is not None) == object_level_is_made
    assert (entry["object_level_compare_type"] is not None) != object_level_is_made
    assert entry["key"] == "both"


def test_kinds_narrow_the_selection(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    rules = (JobRule(pattern="gone", exists=False), JobRule(pattern="full", status="FULL_TRANSFER_STARTED"))
    cloud(ServiceConfig(cloud=CloudConfig(jobs=rules)))
    batcher("run", write_manifest(tmp_path / "w.csv", ["gone", "full", "job"]), "-o", RESULTS)
    out = batcher("select", RESULTS, "--kind", "state", "-o", "-").out
    assert [json.loads(line)["job_id"] for line in out.splitlines()] == ["full"]


def test_unsettled_entries_are_selected_with_a_warning(batcher: Batcher, unsettled: str) -> None:
    ended = batcher("select", RESULTS, "--status", "unsettled", "-o", "-")
    assert ended.out.count("\n") == 3
    assert "there may be two" in ended.err


def test_invalid_entries_are_told_by_their_lines(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud()
    ran = batcher("run", write_manifest(tmp_path / "w.csv", ["job-1", "", "job-2"]), "-o", RESULTS, "--skip-invalid")
    assert "Mend these entries in the manifest as error_msg says" in " ".join(
        ran.err.split()
    )  # select has none of them
    ended = batcher("select", RESULTS, "--status", "invalid", "-o", "-")
    assert ended.out == ""
    assert "mend them in the manifest, at line 3" in ended.err


def test_an_invalid_line_carries_what_the_entry_tells(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    """Key, labels and scope; of a line that cannot be read nothing but its place."""
    simulated = cloud()
    rows = [
        {"job_id": "job-1", "object_level_compare_type": "objects", "labels": {"team": "a"}},
        {"job_id": "job-2", "object_level_compare_type": "object", "key": "mine", "labels": {"team": "b", "n": None}},
        {"job_id": "", "object_level_compare_type": "objects", "project_id": "project-b", "labels": {"team": "c"}},
        {"job_id": "job-4", "object_level_compare_type": "objects", "project_id": "#REF!", "labels": {"team": "NULL"}},
        {"job_id": "job-1", "object_level_compare_type": "objects", "labels": {"team": "twice"}},
        {"job_id": "job-6", "object_level_compare_type": "objects", "labels": {"team": 7, "wave": "8"}},
    ]
    manifest = tmp_path / "w.jsonl"
    manifest.write_text("\n".join([*map(json.dumps, rows), "{"]))
    assert batcher("run", manifest, "-o", RESULTS, "--skip-invalid").code == 1
    url = simulated.url
    told = [
        (line["status"], line["key"], line["job_id"], line["project_id"], line["endpoint"], line["labels"])
        for line in map(result_of, range(1, 7))
    ]
    assert told == [
        ("invalid", "mine", "job-2", "project-a", url, {"team": "b"}),
        ("invalid", "invalid-2", None, "project-b", url, {"team": "c"}),
        ("invalid", "invalid-3", "job-4", None, url, {"team": "NULL"}),
        ("invalid", "invalid-4", "job-1", "project-a", url, {"team": "twice"}),
        ("invalid", "invalid-5", "job-6", "project-a", url, {"wave": "8"}),
        ("invalid", "invalid-6", None, None, None, {}),
    ]


def test_nothing_is_overwritten_by_a_selection(batcher: Batcher, unsettled: str) -> None:
    before = RESULTS.read_bytes()
    ended = batcher("select", RESULTS, "--status", "unsettled", "-o", RESULTS)
    assert ended.code == 2
    assert RESULTS.read_bytes() == before
    Path("next.jsonl").write_text("mine")
    assert "replace it with --force" in batcher("select", RESULTS, "--status", "unsettled", "-o", "next.jsonl").err
    assert batcher("select", RESULTS, "--status", "unsettled", "-o", "next.jsonl", "--force").code == 0


def test_a_mistyped_status_is_named(batcher: Batcher, unsettled: str) -> None:
    assert "Did you mean failed?" in batcher("select", RESULTS, "--status", "faild", "-o", "-").err


def test_a_journal_of_another_wave_is_noticed(batcher: Batcher, unsettled: str, tmp_path: Path) -> None:
    batcher("run", write_manifest(tmp_path / "other.csv", ["job-9"]), "-o", "other.jsonl", "--reconcile", "off")
    ended = batcher("select", RESULTS, "--status", "unsettled", "-o", "-", "--journal", "other.jsonl.journal")
    assert ended.code == 2
    assert "are of two waves" in ended.err


# --- results --------------------------------------------------------------------------------------------


def test_results_are_written_again_from_the_journal(batcher: Batcher, unsettled: str) -> None:
    before = RESULTS.read_bytes()
    RESULTS.unlink()
    ended = batcher("results", "results.jsonl.journal", "-o", RESULTS)
    assert (ended.code, ended.out) == (0, "")
    assert RESULTS.read_bytes() == before
    assert batcher("results", "results.jsonl.journal", "-o", "-").out == before.decode()


def test_what_says_something_else_is_kept_aside(batcher: Batcher, unsettled: str) -> None:
    before = RESULTS.read_bytes()
    RESULTS.write_text('{"edited": true}\n')
    assert "kept as" in batcher("results", "results.jsonl.journal", "-o", RESULTS).err
    assert RESULTS.read_bytes() == before
    (aside,) = Path().glob("results.jsonl.edited-*")
    assert aside.read_text() == '{"edited": true}\n'


def test_entries_that_are_still_open_have_a_line_too(batcher: Batcher, unsettled: str) -> None:
    batcher("settle", RESULTS, "--key", unsettled, "--as", "retry")
    ended = batcher("results", "results.jsonl.journal", "-o", "again.jsonl")
    assert "2 settled results, and 1 entry still open" in ended.err
    statuses = [line["status"] for line in lines_of(Path("again.jsonl"))]
    assert sorted(statuses) == ["not_submitted", "unsettled", "unsettled"]


def test_a_journal_that_is_none(batcher: Batcher, tmp_path: Path) -> None:
    assert "there is no journal nowhere.journal" in batcher("results", "nowhere.journal", "-o", "-").err
    (tmp_path / "text.journal").write_text("no database")
    ended = batcher("results", "text.journal", "-o", "-")
    assert ended.code == 2
    assert "is not a batcher journal" in ended.err
    assert not (tmp_path / "text.journal-wal").exists()


def test_nothing_of_this_sends_anything(batcher: Batcher, cloud: Cloud, manifest: Path) -> None:
    simulator = cloud(creates=("reset-after",))
    batcher("run", manifest, "-o", RESULTS, "--reconcile", "off")
    sent = created_jobs(simulator.ledger)
    batcher("settle", RESULTS, "--index", 0, "--as", "retry")
    batcher("select", RESULTS, "--status", "unsettled", "-o", "next.jsonl")
    batcher("results", "results.jsonl.journal", "-o", "again.jsonl")
    batcher("explain", RESULTS, "--index", 0)
    assert created_jobs(simulator.ledger) == sent


@pytest.mark.usefixtures("unsettled")
def test_results_named_instead_of_their_journal(batcher: Batcher) -> None:
    ended = batcher("results", RESULTS, "-o", "again.jsonl")
    assert (ended.code, ended.err) == (2, f"error: {RESULTS} is a results file: name its journal, {RESULTS}.journal.\n")
