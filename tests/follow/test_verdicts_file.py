"""The verdicts file is its own journal: whatever state it is found in, no verdict is lost or told twice."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.follow.files import verdicts_beside
from batcher.follow.verdicts_file import Identity, VerdictsError, VerdictsFile, identity, verdict_lines
from tests.follow.make import half, line

LINES = [line(half(compare_task_id=f"task-{n}"), key=f"k{n}", index=n) for n in range(5)]
WANTED = {one.index: identity(one) for one in LINES}


def opened(path: Path, wanted: Mapping[int, Identity] = WANTED) -> list[str]:
    """The keys of the verdicts that are kept."""
    file = VerdictsFile.open(path, wanted)
    file.close()
    return [kept.key for kept in file.kept.values()]


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [("wave.jsonl", "wave.verdicts.jsonl"), ("wave", "wave.verdicts.jsonl"), ("a.b.jsonl", "a.b.verdicts.jsonl")],
)
def test_it_lies_beside_the_results(results: str, verdicts: str) -> None:
    assert verdicts_beside(Path("folder") / results) == Path("folder") / verdicts


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
    file = VerdictsFile.open(path, WANTED)
    file.write(LINES[3])
    assert path.read_bytes() == LINES[3].to_line()
    with pytest.raises(VerdictsError, match="another batcher"):
        VerdictsFile.open(path, WANTED)
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
        VerdictsFile.open(tmp_path / "none" / "v.jsonl", WANTED)
