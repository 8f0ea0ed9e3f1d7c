"""The verdicts file is its own journal: whatever state it is found in, no verdict is lost or told twice."""

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.follow.verdict import Identity, identity
from batcher.follow.verdicts_file import VerdictsError, VerdictsFile, verdict_lines
from batcher.journal.files import WaveFiles
from tests.follow.make import half, line

LINES = [line(half(compare_task_id=f"task-{n}"), key=f"k{n}", index=n) for n in range(5)]
WANTED = {one.index: identity(one.key, one.object_level_compare_result, one.data_level_compare_result) for one in LINES}


def opened(path: Path, wanted: Mapping[int, Identity] = WANTED) -> list[str]:
    """The keys of the verdicts that are kept."""
    file, kept = taken(path, wanted)
    file.close()
    return [f"k{index}" for index in kept]


def taken(path: Path, wanted: Mapping[int, Identity] = WANTED) -> tuple[VerdictsFile, list[int]]:
    """The file as a following takes it, and the places of the entries whose verdicts are kept."""
    file = VerdictsFile.take(path)
    try:
        kept = [index for index, on in wanted.items() if file.keep(index, on) is not None]
        file.only_kept()
    except BaseException:
        file.close()
        raise
    return file, kept


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [("wave.jsonl", "wave.verdicts.jsonl"), ("wave", "wave.verdicts.jsonl"), ("a.b.jsonl", "a.b.verdicts.jsonl")],
)
def test_it_lies_beside_the_results(results: str, verdicts: str) -> None:
    assert WaveFiles.of(Path("folder") / results).verdicts == Path("folder") / verdicts


@settings(max_examples=40)
@given(st.integers(0, 5000))
def test_cut_at_any_byte_it_keeps_the_whole_lines(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("v") / "v.jsonl"
    body = b"".join(one.to_line() for one in LINES)[:cut]
    path.write_bytes(body)
    whole = body.count(b"\n")
    assert opened(path) == [f"k{n}" for n in range(whole)]
    assert path.read_bytes() == b"".join(one.to_line() for one in LINES[:whole])
    assert [one.key for one in verdict_lines(path)] == [f"k{n}" for n in range(whole)]


def test_lines_that_are_not_final_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(LINES[0].to_line() + LINES[1].model_copy(update={"final": False}).to_line())
    assert opened(path) == ["k0"]
    assert path.read_bytes() == LINES[0].to_line()
    assert list(tmp_path.iterdir()) == [path]


def test_verdicts_on_the_comparisons_of_a_wave_begun_anew_go_to_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(b"".join(one.to_line() for one in LINES[:3]))
    before = path.read_bytes()
    assert opened(path, WANTED | {0: ("k0", ("task-new",))}) == ["k1", "k2"]
    assert path.read_bytes() == b"".join(one.to_line() for one in LINES[1:3])
    (aside,) = [other for other in tmp_path.iterdir() if other != path]
    assert aside.read_bytes() == before


def test_what_is_written_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    file, _ = taken(path)
    file.write(LINES[3])
    assert path.read_bytes() == LINES[3].to_line()
    with pytest.raises(VerdictsError, match="another batcher"):
        taken(path)
    file.close()
    assert opened(path) == ["k3"]


def test_a_damaged_line_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(LINES[0].to_line() + b'{"key":"k1"}\n' + LINES[2].to_line())
    with pytest.raises(VerdictsError, match=r"v\.jsonl, line 2 is no verdict: index: Field required"):
        opened(path)
    assert path.read_bytes().endswith(LINES[2].to_line())


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with pytest.raises(VerdictsError, match="cannot open"):
        taken(tmp_path / "none" / "v.jsonl")


BEFORE = LINES[0].to_line() + LINES[1].model_copy(update={"final": False}).to_line()


def test_written_anew_it_is_still_held_and_whoever_waited_for_the_old_one_finds_the_new(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(BEFORE)
    waiting = os.open(path, os.O_RDWR)
    file, _ = taken(path)
    fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody's any more
    with pytest.raises(VerdictsError, match="another batcher"):
        taken(path)
    file.write(LINES[2])
    file.close()
    os.close(waiting)
    assert path.read_bytes() == LINES[0].to_line() + LINES[2].to_line()
    assert opened(path) == ["k0", "k2"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_fails_while_it_is_written_anew_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(BEFORE)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path if call == "replace" else os, call, full)
    with pytest.raises(VerdictsError, match="No space left"):
        taken(path)
    monkeypatch.undo()
    assert path.read_bytes() == BEFORE
    assert list(tmp_path.iterdir()) == [path]
    assert opened(path) == ["k0"]


def test_a_write_that_takes_only_a_part_at_a_time_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "v.jsonl"
    path.write_bytes(BEFORE + b"".join(one.to_line() for one in LINES[2:]))
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, body: write(fd, bytes(body)[:100]))
    assert opened(path) == ["k0", "k2", "k3", "k4"]
    assert path.read_bytes() == b"".join(one.to_line() for one in (LINES[0], *LINES[2:]))


def test_a_link_to_it_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "v.jsonl", tmp_path / "link.jsonl"
    path.write_bytes(BEFORE)
    link.symlink_to(path.name)
    assert opened(link) == ["k0"]
    assert link.is_symlink()
    assert path.read_bytes() == LINES[0].to_line()
