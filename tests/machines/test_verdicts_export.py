"""The verdicts file as a copy of what a database has: given up at any time, and brought in line again."""

from pathlib import Path

from batcher.follow.followed_entry import followed, line_of
from batcher.follow.verdicts_file import verdict_lines
from batcher.life.result import Result
from batcher.machines.verdicts_export import VerdictsExport
from tests.follow.make import result

NOW = 1.8e9


def made_result(index: int, task: str = "task") -> Result:
    return result(index, key=f"key-{index}", data_id=f"{task}-{index}")


class Rows:
    """Verdict lines by number, as a database tells them."""

    def __init__(self) -> None:
        self.lines: dict[int, bytes] = {}

    def add(self, made: Result, now: float = NOW) -> None:
        entry = followed(made, None)
        for comparison in entry.comparisons:
            comparison.conclude(None, "tested")
        self.lines[max(self.lines, default=-1) + 1] = line_of(entry, now).to_line()

    def numbered_lines(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        return [(number, line) for number, line in sorted(self.lines.items()) if number > after][:limit]


def results(folder: Path, *made: Result) -> Path:
    path = folder / "results.jsonl"
    path.write_bytes(b"".join(one.to_line() for one in made))
    return path


def said(path: Path) -> list[tuple[int, bool]]:
    return [(line.index, line.final) for line in verdict_lines(path)]


def exported(rows: Rows, path: Path, *, stopped: str | None = None) -> list[tuple[int, bool]]:
    export = VerdictsExport(rows, path)
    try:
        export.go_on()
        if stopped is not None:
            export.finish(NOW, stopped)
        return said(export.path)
    finally:
        export.close()


def test_it_goes_on_where_it_was_given_up(tmp_path: Path) -> None:
    """A line that is not final goes when the following goes on; one that is there is not written twice."""
    made = [made_result(index) for index in range(3)]
    path, rows = results(tmp_path, *made), Rows()
    rows.add(made[1])
    assert exported(rows, path, stopped="interrupted") == [(1, True), (0, False), (2, False)]
    rows.add(made[0])
    assert exported(rows, path) == [(1, True), (0, True)]
    before = (tmp_path / "results.verdicts.jsonl").read_bytes()
    assert exported(rows, path) == [(1, True), (0, True)]
    assert (tmp_path / "results.verdicts.jsonl").read_bytes() == before == b"".join(rows.lines.values())


def test_a_verdict_that_was_found_here_stays(tmp_path: Path) -> None:
    """By a `watch` that asked the cloud itself: the one of the database does not come beside it."""
    made = [made_result(index) for index in range(2)]
    path, here = results(tmp_path, *made), Rows()
    here.add(made[0], NOW - 60)
    assert exported(here, path) == [(0, True)]
    own = (tmp_path / "results.verdicts.jsonl").read_bytes()
    rows = Rows()
    rows.add(made[0])
    rows.add(made[1])
    assert exported(rows, path) == [(0, True), (1, True)]
    assert (tmp_path / "results.verdicts.jsonl").read_bytes().startswith(own)


def test_a_verdict_on_what_was_taken_back_goes(tmp_path: Path) -> None:
    """The entry was sent again, so there are other comparisons now, which have a verdict of their own."""
    made = [made_result(index) for index in range(2)]
    path, rows = results(tmp_path, *made), Rows()
    for one in made:
        rows.add(one)
    export = VerdictsExport(rows, path)
    export.go_on()
    again = made_result(0, task="another")
    results(tmp_path, made[1], again)
    del rows.lines[0]
    rows.add(again)
    export.go_on()
    assert export.count == 2
    export.anew()
    lines = list(verdict_lines(export.path))
    export.close()
    assert [line.index for line in lines] == [1, 0]
    assert [half.compare_task_id for half in lines[1].halves] == ["another-0"]
