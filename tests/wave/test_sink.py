"""The results file: what happens to it while a wave runs and between two runs is noticed, said, and mended."""

import errno
import os
from pathlib import Path

import pytest

from batcher.wave.sink import ResultsFile, SinkFailed, mend, write_all

LINES = [b'{"key":"a","status":"created"}\n', b'{"key":"b","status":"failed"}\n', b'{"key":"c","status":"created"}\n']
OPEN = [b'{"key":"d","status":"not_submitted"}\n', b'{"key":"e","status":"unsettled"}\n']
WHOLE = b"".join(LINES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (WHOLE, None),
        (WHOLE + b"".join(OPEN), None),  # the provisional lines of a stopped wave
        (WHOLE + OPEN[0] + OPEN[1][:9], None),  # the last of them torn
        (b"", "lacked the last 3 results"),
        (WHOLE[:40], "lacked the last 2 results"),  # a torn line
        (LINES[0] + LINES[1], "lacked the last 1 results"),
        (LINES[0] + b"".join(OPEN), "lacked the last 2 results"),  # recorded, but the process had to hurry
        (LINES[0] + LINES[2], "someone edited it"),
        (WHOLE.replace(b"failed", b"FAILED"), "someone edited it"),
        (WHOLE + b"thank you\n", "someone edited it"),
        (WHOLE + b'{"key":"x","status":"created"}\n', "someone edited it"),
    ],
)
def test_on_resume_the_file_says_what_the_journal_says(path: Path, found: bytes, said: str | None) -> None:
    path.write_bytes(found)
    mended = mend(path, lambda: LINES)
    assert path.read_bytes() == WHOLE
    assert (mended.said is None) if said is None else (said in (mended.said or ""))
    if mended.aside is not None:
        assert mended.aside.read_bytes() == found  # nothing of theirs is lost


def test_a_deleted_file_is_written_again(path: Path) -> None:
    mended = mend(path, lambda: LINES)
    assert path.read_bytes() == WHOLE
    assert "was gone" in (mended.said or "")


def test_a_file_is_written_whole_or_not_at_all(path: Path) -> None:
    path.write_bytes(b"before")

    def breaks() -> list[bytes]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        write_all(path, (line for _ in [0] for line in breaks()))
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


class FullDisk(ResultsFile):
    """A disk with room for so many bytes."""

    room = 45

    def _append(self, part: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = super()._append(part[: self.room])
        self.room -= written
        return written


def test_a_full_disk_leaves_no_torn_line(path: Path) -> None:
    sink = FullDisk(path)
    sink.write(LINES[0])
    with pytest.raises(SinkFailed, match=r"No space left on device; every result is in the journal"):
        sink.write(LINES[1] + LINES[2])
    sink.close()
    assert path.read_bytes() == LINES[0]


def test_a_file_changed_by_somebody_else_is_noticed(path: Path) -> None:
    sink = ResultsFile(path)
    sink.write(LINES[0])
    with path.open("ab") as theirs:
        theirs.write(b"hello\n")
    with pytest.raises(SinkFailed, match="changed by something else"):
        sink.write(LINES[1])
    sink.close()


def test_a_deleted_file_is_noticed(path: Path) -> None:
    sink = ResultsFile(path)
    path.unlink()
    with pytest.raises(SinkFailed, match="deleted or moved"):
        sink.write(LINES[1])
    sink.close()


def test_a_replaced_file_is_noticed(path: Path) -> None:
    sink = ResultsFile(path)
    path.rename(path.with_suffix(".old"))
    path.write_bytes(b"")
    with pytest.raises(SinkFailed, match="replaced by another file"):
        sink.write(LINES[1])
    sink.close()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkFailed, match="cannot open"):
        ResultsFile(tmp_path / "nowhere" / "results.jsonl")
