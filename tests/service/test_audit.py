"""The audit log: nothing is done that it does not hold, in the table and in the file, across crashes and full disks."""

import errno
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.masking import register_secret
from batcher.service import audit
from batcher.service.audit import BEGUN, FAILED, SCHEMA, Audit, AuditEntry, page
from batcher.service.kept.errors import AuditFailed
from batcher.service.roles import Role, Who

ANNA = Who(name="anna", role=Role.SUBMIT, address="192.0.2.1")


def database(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(SCHEMA + "CREATE TABLE IF NOT EXISTS done (what TEXT);")
    return db


class Service:
    """A database with its audit log, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = database(folder / "service.sqlite")
        self.audit = Audit(folder / "audit.jsonl", lambda: 1_800_000_000.0)
        self.audit.open(self.db)

    def do(self, what: str, outcome: str = "done") -> None:
        with self.audit.transaction(self.db, lambda: AuditEntry(who=ANNA, action=what, wave="w1", outcome=outcome)):
            self.db.execute("INSERT INTO done VALUES (?)", (what,))

    def record(self, deed: AuditEntry) -> None:
        with self.audit.transaction(self.db, lambda: deed):
            pass

    def end(self) -> None:
        self.audit.close()
        self.db.close()

    @property
    def done(self) -> list[str]:
        return [what for (what,) in self.db.execute("SELECT what FROM done")]

    @property
    def table(self) -> list[str]:
        return [line["action"] for line in page(self.db, limit=1000)[0]]

    @property
    def lines(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in (self.folder / "audit.jsonl").read_bytes().splitlines()]

    @property
    def file(self) -> list[str]:
        """The actions of the file's lines, without those that a note takes back."""
        undone: set[int] = set()
        for line in self.lines:
            if "note" in line:
                undone |= set(range(int(str(line["first_seq"])), int(str(line["last_seq"])) + 1))
        return [str(line["action"]) for line in self.lines if "seq" in line and line["seq"] not in undone]


def test_what_is_done_is_in_both_with_all_there_is_to_know(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.do("submit")
    service.record(AuditEntry(who=ANNA, action="pause", wave="w1", outcome=BEGUN))
    service.record(AuditEntry(who=ANNA, action="pause", wave="w1", outcome=FAILED, detail={"why": "x"}))
    (lines, after) = page(service.db, limit=10)
    assert after is None
    assert lines == service.lines
    assert lines[2] == {
        "seq": 3,
        "at": "2027-01-15T08:00:00.000Z",
        "who": "anna",
        "role": "submit",
        "address": "192.0.2.1",
        "action": "pause",
        "wave": "w1",
        "outcome": "failed",
        "detail": {"why": "x"},
    }
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_a_proxy_says_stands_beside_the_address(tmp_path: Path) -> None:
    service = Service(tmp_path)
    who = Who(name="anna", role=Role.SUBMIT, address="127.0.0.1", forwarded_for="203.0.113.9")
    service.record(AuditEntry(who=who, action="submit", detail={"name": "x"}))
    (line,) = service.lines
    assert (line["address"], line["detail"]) == ("127.0.0.1", {"name": "x", "forwarded_for": "203.0.113.9"})


def test_it_is_read_page_by_page(tmp_path: Path) -> None:
    service = Service(tmp_path)
    for n in range(7):
        service.do(f"a{n}")
    seen, after = [], 0
    while True:
        lines, further = page(service.db, limit=3, after=after)
        seen += [line["action"] for line in lines]
        if further is None:
            break
        after = further
    assert seen == [f"a{n}" for n in range(7)]
    assert page(service.db, limit=3, wave="other") == ([], None)
    newest, further = page(service.db, limit=3, before=0)
    assert [line["seq"] for line in newest] == sorted((line["seq"] for line in newest), reverse=True)
    assert page(service.db, limit=3, before=further)[0][0]["seq"] == newest[-1]["seq"] - 1
    assert page(service.db, limit=3, who="anna")[0]


def test_no_secret_is_kept(tmp_path: Path) -> None:
    register_secret("correct-horse-battery")
    service = Service(tmp_path)
    detail = {"password": "hunter2hunter2", "url": "https://u:correct-horse-battery@x.example"}
    service.record(AuditEntry(who=ANNA, action="submit", detail=detail))
    service.end()
    for path in tmp_path.iterdir():
        assert b"hunter2" not in path.read_bytes()
        assert b"correct-horse" not in path.read_bytes()


def test_what_fails_is_not_recorded_as_done(tmp_path: Path) -> None:
    service = Service(tmp_path)
    with (
        pytest.raises(sqlite3.OperationalError),
        service.audit.transaction(service.db, lambda: AuditEntry(who=ANNA, action="no")),
    ):
        service.db.execute("INSERT INTO done SELECT raise_it('no')")
    assert service.done == service.table == service.file == []
    service.do("yes")
    assert service.done == service.table == service.file == ["yes"]


def test_a_full_disk_refuses_the_action(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow: first the log's, which is the smaller one."""
    script = f"""
import resource, signal
from pathlib import Path
from tests.service.test_audit import Service
from batcher.service.kept.errors import AuditFailed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
service = Service(Path({str(tmp_path)!r}))
for n in range(60):
    service.do(f"before{{n}}")
service.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
size = service.audit.path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 70, resource.RLIM_INFINITY))
try:
    service.do("x")
except AuditFailed as error:
    assert error.is_full
    print(error)
assert service.audit.path.stat().st_size == size, "half a line is left"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
service.do("after")
assert service.done == service.table == service.file == [f"before{{n}}" for n in range(60)] + ["after"]
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "nothing is done: File too large" in ended.stdout


def test_a_database_that_cannot_commit_leaves_a_note(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.do("first")
    service.db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    service.db.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    service.db.execute("PRAGMA foreign_keys = ON")
    deed = AuditEntry(who=ANNA, action="second")
    with pytest.raises(sqlite3.IntegrityError), service.audit.transaction(service.db, lambda: deed):
        service.db.execute("INSERT INTO child VALUES (7)")  # noticed at the commit, after the line
    assert service.table == service.file == ["first"]
    service.do("third")
    assert service.table == service.file == ["first", "third"]
    seqs = [line["seq"] for line in service.lines if "seq" in line]
    assert len(set(seqs)) == len(seqs)


def test_what_could_not_be_noted_is_noted_before_the_next_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(tmp_path)
    service.do("first")
    service.db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    service.db.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    service.db.execute("PRAGMA foreign_keys = ON")
    write = audit._write

    def full(fd: int, line: bytes) -> None:
        if b"note" in line:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(fd, line)

    with monkeypatch.context() as patched:
        patched.setattr(audit, "_write", full)
        deed = AuditEntry(who=ANNA, action="second")
        with pytest.raises(sqlite3.IntegrityError), service.audit.transaction(service.db, lambda: deed):
            service.db.execute("INSERT INTO child VALUES (7)")
        with pytest.raises(AuditFailed):  # there is still no room
            service.do("third")
    assert service.done == ["first"]
    service.do("fourth")
    assert service.done == service.table == service.file == ["first", "fourth"]


def test_what_could_not_even_be_noted_is_noted_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = Service(tmp_path)
    service.do("first")
    service.db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    service.db.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    service.db.execute("PRAGMA foreign_keys = ON")
    with monkeypatch.context() as patched:
        patched.setattr(service.audit, "note_undone", lambda seq: None)  # the disk is full just then, say
        deed = AuditEntry(who=ANNA, action="second")
        with pytest.raises(sqlite3.IntegrityError), service.audit.transaction(service.db, lambda: deed):
            service.db.execute("INSERT INTO child VALUES (7)")
    service.do("third")
    service.end()
    service = Service(tmp_path)
    assert service.table == service.file == ["first", "third"]
    assert [(line["first_seq"], line["last_seq"]) for line in service.lines if "note" in line] == [(2, 2)]


def test_a_deleted_file_stops_what_is_done_and_comes_back_whole(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.do("first")
    (tmp_path / "audit.jsonl").unlink()
    with pytest.raises(AuditFailed, match="deleted or moved"):
        service.do("second")
    assert service.done == ["first"]
    service.end()
    again = Service(tmp_path)
    again.do("third")
    assert again.done == again.table == again.file == ["first", "third"]


def test_an_older_database_is_noted_once_and_numbers_are_not_given_twice(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.do("kept")
    service.end()
    backup = (tmp_path / "service.sqlite").read_bytes()
    service = Service(tmp_path)
    for n in range(3):
        service.do(f"since{n}")
    service.end()
    (tmp_path / "service.sqlite").write_bytes(backup)
    for _ in range(2):
        service = Service(tmp_path)
        service.end()
    service = Service(tmp_path)
    service.do("new")
    notes = [line for line in service.lines if "note" in line]
    assert [(note["first_seq"], note["last_seq"]) for note in notes] == [(2, 4)]
    assert service.table == service.file == ["kept", "new"]
    assert page(service.db, limit=9)[0][-1]["seq"] == 5


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 400), deeds=st.integers(0, 4))
def test_a_file_cut_at_any_byte_is_whole_again(tmp_path_factory: pytest.TempPathFactory, cut: int, deeds: int) -> None:
    folder = tmp_path_factory.mktemp("audit")
    service = Service(folder)
    expected = [f"a{n}" for n in range(deeds)]
    for what in expected:
        service.do(what)
    service.end()
    path = folder / "audit.jsonl"
    path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - cut)])
    service = Service(folder)
    service.do("later")
    assert service.table == service.file == [*expected, "later"]
    service.end()


@pytest.mark.parametrize("at", ["line", "commit"])
def test_a_kill_between_line_and_commit_is_noted(tmp_path: Path, at: str) -> None:
    script = f"""
import os, signal
from pathlib import Path
from batcher.service import audit
from tests.service.test_audit import Service
service = Service(Path({str(tmp_path)!r}))
service.do("first")
written = audit._write
def and_die(fd, line):
    written(fd, line[: len(line) // 2] if {at!r} == "line" else line)
    os.kill(os.getpid(), signal.SIGKILL)
audit._write = and_die
service.do("second")
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    service = Service(tmp_path)
    service.do("third")
    assert service.done == service.table == service.file == ["first", "third"]
