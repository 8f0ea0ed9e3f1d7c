"""GO is never said in ignorance: every state of the journal, with every state of the results, before every command.

A wave of six, each created and found consistent. What is left of its files decides what may be said of it.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest

from batcher.cli.main import run
from batcher.follow.verdict import VerdictLine
from batcher.journal.files import WaveFiles, log_of
from batcher.journal.ops import Settled
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Result
from tests.cli.commands import clean_environment
from tests.cli.conftest import Batcher
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.follow.make import half, line, result
from tests.journal.test_log import NOBODY, in_child

ENTRIES = 6
RESULTS = Path("r.jsonl")


def results_of(stated: int | None) -> list[Result]:
    return [result(index, data_id=f"task-{index}", wave_entries=stated) for index in range(ENTRIES)]


def verdict_of(one: Result) -> VerdictLine:
    return line(half(compare_task_id=f"task-{one.index}"), key=one.key, index=one.index, job_id=one.job_id)


def write_results(lines: int, stated: int | None) -> None:
    """The results file with so many *lines*, each of which says how many there are: *stated*."""
    found = results_of(stated)[:lines]
    RESULTS.write_bytes(b"".join(one.to_line() for one in found))
    WaveFiles.of(RESULTS).verdicts.write_bytes(b"".join(verdict_of(one).to_line() for one in found))


def planned(path: Path, settled: int, key: str = "k") -> SqliteKeeper:
    """The journal of the wave, open, with so many results."""
    keeper = SqliteKeeper(path)
    scope = Scope(0, "http://127.0.0.1:1", "p")
    entries = (
        PlannedEntry(
            index=index, line=index + 1, key=f"{key}{index}", scope=scope, job_id=f"job-{index}",
            body=b'{"job_id":"j","object_level_compare_type":"objects"}', x_language=None, labels={},
        )
        for index in range(ENTRIES)
    )  # fmt: skip
    record = keeper.wave()
    with record.planning() as plan:
        plan.add_scope(scope)
        plan.add_entries(entries)
        plan.finish({"manifest": "wave.csv"})
    record.commit(
        [Settled(index=one.index, status=one.status, line=one.to_line()) for one in results_of(ENTRIES)[:settled]]
    )
    return keeper


# --- what may have become of the journal ----------------------------------------------------------------


def there(journal: Path, lines: int) -> None:
    planned(journal, lines).close()


def killed(journal: Path, lines: int) -> None:
    in_child(lambda: planned(journal, lines))


def without_log(journal: Path, lines: int) -> None:
    killed(journal, lines)
    log_of(journal).unlink()


def only_the_log(journal: Path, lines: int) -> None:
    killed(journal, lines)
    journal.unlink()


def absent(journal: Path, lines: int) -> None:
    pass


def damaged(journal: Path, lines: int) -> None:
    there(journal, lines)
    body = bytearray(journal.read_bytes())
    body[4096:] = b"\x5a" * (len(body) - 4096)
    journal.write_bytes(body)


def cut_off(journal: Path, lines: int) -> None:
    there(journal, lines)
    journal.write_bytes(journal.read_bytes()[:5000])


def empty(journal: Path, lines: int) -> None:
    journal.touch()


def unbegun(journal: Path, lines: int) -> None:
    SqliteKeeper(journal).close()


def other_format(journal: Path, lines: int) -> None:
    there(journal, lines)
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 99")


def no_database(journal: Path, lines: int) -> None:
    journal.write_bytes(b"saved by an editor\n" * 400)


def dangling(journal: Path, lines: int) -> None:
    journal.symlink_to("gone")


def a_folder(journal: Path, lines: int) -> None:
    journal.mkdir()


READABLE = [there, killed]
UNREADABLE = [
    without_log,
    only_the_log,
    damaged,
    cut_off,
    empty,
    unbegun,
    other_format,
    no_database,
    dangling,
    a_folder,
]
STATES = [*READABLE, absent, *UNREADABLE]


def left(lines: int, stated: int | None, journal: Callable[[Path, int], None]) -> None:
    write_results(lines, stated)
    journal(WaveFiles.of(RESULTS).journal, lines)


# --- what is said of it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [ENTRIES, None], ids=["lines that tell", "old lines"])
@pytest.mark.parametrize("lines", [ENTRIES, 4, 0])
@pytest.mark.parametrize("journal", STATES)
def test_the_gate(batcher: Batcher, journal: Callable[[Path, int], None], lines: int, stated: int | None) -> None:
    left(lines, stated, journal)
    known = journal in READABLE or (stated is not None and lines > 0)
    ended = batcher("gate", RESULTS, "--json", "--junit", "gate.xml")
    word, code = ("GO", 0) if known and lines == ENTRIES else ("NO-GO", 1) if known else ("UNKNOWN", 2)
    assert (ended.json["verdict"], ended.code) == (word, code)
    (wave,) = ended.json["waves"]
    assert wave["entries"] == (ENTRIES if known else None)
    assert wave["entries_known_from"] == ("journal" if journal in READABLE else "results" if known else None)
    assert (wave["journal"] is None) == (journal in READABLE)
    assert len(ended.json["blockers"]) == (ENTRIES - lines if known else 0)
    root = ElementTree.fromstring(Path("gate.xml").read_text(encoding="utf-8"))  # noqa: S314 - our own
    assert (root.get("errors") != "0" or root.get("failures") != "0") == (word != "GO")
    shown = batcher("gate", RESULTS)
    assert shown.code == code
    assert shown.out.startswith(word)
    if journal not in READABLE:
        assert "ournal" in shown.out
    if word == "UNKNOWN":
        assert "--entries" in shown.out


@pytest.mark.parametrize("lines", [ENTRIES, 4, 0])
@pytest.mark.parametrize("journal", STATES)
def test_the_operator_may_say_how_many_there_are(
    batcher: Batcher, journal: Callable[[Path, int], None], lines: int
) -> None:
    left(lines, None, journal)
    ended = batcher("gate", RESULTS, "--entries", ENTRIES)
    assert ended.code == (0 if lines == ENTRIES else 1)
    if journal in READABLE or lines:
        wrong = batcher("gate", RESULTS, "--entries", ENTRIES - 3)
        assert (wrong.code, wrong.out) == (2, "")
        assert "--entries" in wrong.err


@pytest.mark.parametrize("stated", [ENTRIES, None], ids=["lines that tell", "old lines"])
@pytest.mark.parametrize("followed", [True, False])
@pytest.mark.parametrize("journal", STATES)
def test_the_report(batcher: Batcher, journal: Callable[[Path, int], None], followed: bool, stated: int | None) -> None:
    left(4, stated, journal)
    if not followed:
        WaveFiles.of(RESULTS).verdicts.unlink()
    known = journal in READABLE or stated is not None
    summary = batcher("report", RESULTS)
    assert summary.code == 0
    assert (
        "2 entries have no result line" in summary.out if known else "cannot be told" in " ".join(summary.out.split())
    )
    assert "\nGO" not in summary.out
    told = batcher("report", RESULTS, "--json").json
    assert told["problems"]
    assert told["wave"]["entries"] == (ENTRIES if known else None)
    assert (told["gate"] is None) == (not followed)
    batcher("report", RESULTS, "--html", "r.html", "--markdown", "r.md")
    for page in ("r.html", "r.md"):
        text = Path(page).read_text(encoding="utf-8")
        assert "All created" not in text
        assert "GO: consistent" not in text
        assert ("cannot be told" in text) == (not known)


@pytest.mark.parametrize(
    "command",
    [
        ("select", RESULTS, "--status", "failed", "-o", "next.jsonl"),
        ("explain", RESULTS, "--index", 0),
        ("settle", RESULTS, "--index", 0, "--as", "failed"),
        ("results", "r.jsonl.journal", "-o", "again.jsonl"),
    ],
    ids=lambda command: str(command[0]),
)
@pytest.mark.parametrize("journal", [absent, *UNREADABLE])
def test_what_needs_the_journal_says_why_it_cannot_have_it(
    batcher: Batcher, journal: Callable[[Path, int], None], command: tuple[object, ...]
) -> None:
    left(4, ENTRIES, journal)
    ended = batcher(*command)
    assert (ended.code, ended.out) == (2, "")
    assert "journal" in ended.err
    assert not Path("next.jsonl").exists()
    assert not Path("again.jsonl").exists()


@pytest.mark.parametrize("stated", [ENTRIES, None], ids=["lines that tell", "old lines"])
@pytest.mark.parametrize("lines", [ENTRIES, 4])
@pytest.mark.parametrize("journal", STATES)
def test_the_watch(batcher: Batcher, journal: Callable[[Path, int], None], lines: int, stated: int | None) -> None:
    """Everything has its verdict: it ends at once, and its exit code is the gate's."""
    left(lines, stated, journal)
    known = journal in READABLE or stated is not None
    ended = batcher("watch", RESULTS, "--json")
    assert ended.json["gate"]["verdict"] == (("GO" if lines == ENTRIES else "NO-GO") if known else "UNKNOWN")
    assert ended.code == ((0 if lines == ENTRIES else 1) if known else 2)


def gate_in(folder: str) -> int:
    os.chdir(folder)
    os.environ.update(clean_environment(Path(folder)))
    return run(["gate", str(RESULTS), "--json"])


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's files take root to make")
@pytest.mark.parametrize("lines", [ENTRIES, 4])
@pytest.mark.parametrize("mode", [0o600, 0o444])
@pytest.mark.parametrize("journal", READABLE)
def test_another_users_wave(journal: Callable[[Path, int], None], mode: int, lines: int) -> None:
    """An auditor: the folder cannot be written to, and the journal may not even be read."""
    left(lines, None, journal)
    with TemporaryDirectory(prefix="batcher-test-") as made:
        for path in Path().glob("r.*"):
            shutil.copy(path, made)
        for path in Path(made).iterdir():
            path.chmod(mode if "journal" in path.name else 0o444)
        Path(made).chmod(0o755)
        before = sorted(Path(made).iterdir())
        code = in_child(lambda: gate_in(made), user=NOBODY)
        assert code == str(2 if mode == 0o600 else 0 if lines == ENTRIES else 1)
        assert sorted(Path(made).iterdir()) == before


# --- files that do not belong together ------------------------------------------------------------------


def test_the_journal_of_another_wave_is_told(batcher: Batcher) -> None:
    write_results(4, None)
    planned(WaveFiles.of(RESULTS).journal, 4, key="other").close()
    ended = batcher("gate", RESULTS)
    assert (ended.code, ended.out) == (2, "")
    assert "are of two waves: line 1 has another key" in ended.err


def test_a_journal_with_another_number_of_entries_is_told(batcher: Batcher) -> None:
    write_results(4, 40)
    there(WaveFiles.of(RESULTS).journal, 4)
    for command in (("gate", RESULTS), ("report", RESULTS)):
        ended = batcher(*command)
        assert ended.code == 2
        assert "of a wave of 40 entries, and the journal beside it of one of 6" in ended.err


def test_lines_of_two_waves_are_told(batcher: Batcher) -> None:
    RESULTS.write_bytes(result(0, wave_entries=2).to_line() + result(1, wave_entries=3).to_line())
    for command in (("gate", RESULTS), ("report", RESULTS)):
        ended = batcher(*command)
        assert ended.code == 2
        assert "line 2 says that its wave has 3 entries, and an earlier line 2" in ended.err


@pytest.mark.parametrize("journal", [there, absent])
def test_a_line_twice_is_never_go(batcher: Batcher, journal: Callable[[Path, int], None]) -> None:
    left(ENTRIES, ENTRIES, journal)
    RESULTS.write_bytes(RESULTS.read_bytes() + results_of(ENTRIES)[0].to_line())
    ended = batcher("gate", RESULTS)
    assert ended.code == 2
    assert "1 line repeats an entry that has one already" in ended.out


def test_a_blocker_is_no_go_also_where_it_cannot_be_told_what_else_there_is(batcher: Batcher) -> None:
    left(4, None, absent)
    WaveFiles.of(RESULTS).verdicts.unlink()
    ended = batcher("gate", RESULTS, "--json")
    assert (ended.code, ended.json["verdict"]) == (1, "NO-GO")
    assert ended.json["unproven"]


def test_a_line_that_only_the_journal_has_is_told(batcher: Batcher) -> None:
    write_results(4, None)
    there(WaveFiles.of(RESULTS).journal, ENTRIES)
    whys = [blocker["why"] for blocker in batcher("gate", RESULTS, "--json").json["blockers"]]
    assert whys == ["the line is missing, and the journal has its result: `batcher results` writes it again"] * 2
    told = batcher("gate", RESULTS).out
    assert "(entry 4), job-5 (entry 5)" in told
    assert f"batcher results {WaveFiles.of(RESULTS).journal} -o {RESULTS}" in told


def test_an_entry_without_a_line_is_named_by_its_number_where_there_is_no_journal(batcher: Batcher) -> None:
    """Nobody knows whether the wave has not ended or the line was deleted: both are said."""
    write_results(ENTRIES, ENTRIES)
    RESULTS.write_bytes(b"".join(RESULTS.read_bytes().splitlines(keepends=True)[:-1]))
    told = batcher("gate", RESULTS)
    assert told.code == 1
    assert f"job entry {ENTRIES - 1}  no line: the wave has not ended, or the line was lost" in told.out


def test_a_watch_that_could_not_begin_leaves_nothing_that_counts(
    batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has made the file of verdicts by then: one without a line is none."""
    write_results(ENTRIES, ENTRIES)
    there(WaveFiles.of(RESULTS).journal, ENTRIES)
    WaveFiles.of(RESULTS).verdicts.unlink()
    commands = (("report", RESULTS), ("gate", RESULTS), ("select", RESULTS, "--recheck", "unknown", "-o", "n.jsonl"))
    before = [batcher(*command) for command in commands]
    monkeypatch.delenv("BATCHER_TOKEN", raising=False)
    ended = batcher("watch", RESULTS)
    assert (ended.code, "no credential" in ended.err) == (2, True)
    assert WaveFiles.of(RESULTS).verdicts.read_bytes() == b""
    assert [batcher(*command) for command in commands] == before
    assert "not followed" not in before[0].out
    assert "has no verdicts yet" in before[2].err


def test_a_journal_elsewhere_is_named(batcher: Batcher) -> None:
    write_results(4, None)
    there(Path("elsewhere.journal"), 4)
    assert batcher("gate", RESULTS).code == 2
    assert batcher("gate", RESULTS, "--journal", "elsewhere.journal").code == 1
    assert "2 entries have no result line" in batcher("report", RESULTS, "--journal", "elsewhere.journal").out
    named = batcher("gate", RESULTS, "--journal", "gone.journal", "--entries", 4)
    assert (named.code, named.err) == (2, "error: there is no journal gone.journal.\n")


def test_of_several_files_each_must_be_whole(batcher: Batcher) -> None:
    left(ENTRIES, None, absent)
    for suffix in (".jsonl", ".verdicts.jsonl"):
        Path(f"new{suffix}").write_bytes(Path(f"r{suffix}").read_bytes())
    assert batcher("gate", RESULTS, "new.jsonl").code == 2
    assert batcher("gate", RESULTS, "new.jsonl", "--entries", f"r.jsonl={ENTRIES}").code == 2
    assert (
        batcher("gate", RESULTS, "new.jsonl", *(f"--entries={f}={ENTRIES}" for f in ("r.jsonl", "new.jsonl"))).code == 0
    )
    for wrong in ("6", "other.jsonl=6", "r.jsonl=many", "r.jsonl=0"):
        assert "--entries" in batcher("gate", RESULTS, "new.jsonl", "--entries", wrong).err


def test_every_line_of_a_wave_says_how_many_it_has(batcher: Batcher) -> None:
    """Invalid ones too, which are written before anybody knows."""
    Path("wave.jsonl").write_text(
        "".join(f'{{"job_id": "j{n}", "object_level_compare_type": "objects"}}\n' for n in range(3)) + "{}\n"
    )
    options = ("--skip-invalid", "--region", "eu-west-101", "--project-id", "p", "--quiet", "--keep", "kept")
    assert batcher("rehearse", "wave.jsonl", *options).code in (0, 1)
    (results,) = [path for path in Path("kept").glob("*.jsonl") if "ledger" not in path.name]
    assert [json.loads(one)["wave_entries"] for one in results.read_text().splitlines()] == [4] * 4


@pytest.mark.parametrize("journal", READABLE)
def test_a_selection_says_what_it_could_not_choose_from(batcher: Batcher, journal: Callable[[Path, int], None]) -> None:
    left(4, ENTRIES, journal)
    ended = batcher("select", RESULTS, "--status", "failed,not_submitted", "-o", "-")
    assert (ended.code, ended.out) == (1, "")
    assert "note: 2 entries have no result line (yet): not chosen" in ended.err


def test_why_there_is_no_journal_is_told_as_it_stands(batcher: Batcher) -> None:
    left(4, ENTRIES, without_log)
    assert "The journal r.jsonl.journal is not all there" in " ".join(batcher("gate", RESULTS).out.split())
    batcher("gate", RESULTS)
    WaveFiles.of(RESULTS).journal.write_bytes(b"")
    assert "The journal r.jsonl.journal is empty" in " ".join(batcher("gate", RESULTS).out.split())
