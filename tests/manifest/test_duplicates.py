"""Two entries that would get in each other's way."""

import json
import tracemalloc
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from batcher.manifest import Finding
from batcher.manifest.compact_sets import FirstLines, HashSet
from batcher.manifest.duplicates import DuplicateFinder, finding_duplicates
from tests.manifest.reading import data_level, entries, entry, read, texts


def test_two_data_level_comparisons_of_one_job_are_a_finding(tmp_path: Path) -> None:
    """The second would cancel the first or be dropped by it."""
    content = [entry(), data_level(compare_type="contents")]
    assert texts(read(tmp_path, "[\n{},\n{}\n]".format(*map(_json, content)))) == [
        'wave.json, line 3, column 1, index 1: job_id "job-1" has a data-level comparison in the entry in line 2 '
        "already, and the second would cancel the first or be dropped. "
        "Put both into one entry, or submit them one after the other with --allow-duplicates."
    ]


def test_object_level_beside_data_level_of_one_job_is_none(tmp_path: Path) -> None:
    """They do not get in each other's way, nor do jobs of the same id in two projects."""
    objects = {"job_id": "job-1", "object_level_compare_type": "objects"}
    assert len(entries(read(tmp_path, [entry(), objects, entry(project_id="p2")]))) == 3


def test_the_same_object_level_entry_twice_is_a_finding(tmp_path: Path) -> None:
    """It has the same key, as scope and body are the same."""
    objects = '{"job_id": "job-1", "object_level_compare_type": "objects"}'
    assert texts(read(tmp_path, f"{objects}\n{objects}\n", "wave.jsonl")) == [
        "wave.jsonl, line 2, index 1: the entry is the same as the entry in line 1. "
        "Drop one of them, or submit them one after the other with --allow-duplicates."
    ]


def test_a_key_given_twice_is_a_finding(tmp_path: Path) -> None:
    """Results are found by it."""
    found = texts(read(tmp_path, [entry(key="k"), entry(job_id="job-2", key="k")]))
    assert len(found) == 1
    assert 'key "k" is also the key of an earlier entry in this line. Give each entry a key of its own.' in found[0]


def test_an_entry_with_other_findings_counts_as_seen(tmp_path: Path) -> None:
    """All findings at once: mending the first must not bring a new one to light."""
    found = texts(read(tmp_path, [data_level(compare_type="x"), entry()]))
    assert ["compare_type" in found[0], "job_id" in found[1], len(found)] == [True, True, 2]


def test_allow_duplicates_allows_them(tmp_path: Path) -> None:
    """The engine submits them one after the other."""
    made = entries(read(tmp_path, [entry(), entry()], allow_duplicates=True))
    assert made[0].key == made[1].key


def test_each_of_many_is_remembered_and_where() -> None:
    """Nothing is forgotten or made up as buckets fill."""
    hashes, first_lines = HashSet(), FirstLines()
    things = [f"thing-{number}" for number in range(20_000)]
    assert not any(map(hashes.may_be_known, things))
    assert all(map(hashes.may_be_known, things))
    assert all(first_lines.first_line(thing, line) is None for line, thing in enumerate(things, 1))
    assert [first_lines.first_line(thing, 7) for thing in things] == list(range(1, 20_001))


def test_what_has_been_seen_takes_no_more_memory_than_its_table() -> None:
    """Nor while it grows, but for the smaller table before it."""
    seen = HashSet()
    tracemalloc.start()
    try:
        assert not any(seen.may_be_known(number) for number in range(1, 180_001))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 8 * 180_000 < held < 8 * 2.1e6 < peak < 8 * 2.5e6


def test_nothing_is_forgotten_as_the_table_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a small one, many times."""
    monkeypatch.setattr("batcher.manifest.compact_sets._SMALL", 8)
    monkeypatch.setattr("batcher.manifest.compact_sets._LARGE", 64)
    hashes = HashSet()
    batches = [[f"thing-{number}" for number in range(start, start + 50)] for start in range(0, 3000, 50)]
    assert not any(map(hashes.any_may_be_known, batches))
    assert all(hashes.may_be_known(thing) for batch in batches for thing in batch)
    assert hashes.any_may_be_known(["new", "thing-7"])


class Alike(Hashable):
    """Things that all have one hash."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike) and other.thing == self.thing


@pytest.mark.parametrize("name", ["wave.json", "wave.jsonl", "wave.csv"])
def test_entries_that_only_look_alike_are_no_duplicates(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weak hash takes them all for one; each is told from the others, and the true duplicate is found."""
    as_it_is = HashSet.may_be_known
    monkeypatch.setattr(HashSet, "may_be_known", lambda self, thing: as_it_is(self, Alike(thing)))
    jobs = ["a", "b", "c", "b", "d"]
    if name == "wave.csv":
        content = "job_id,compare_type,conflict_policy,compare_object_infos\n"
        content += "".join(f"{job},lines,keep,shop\n" for job in jobs)
    else:
        lines = [_json(entry(job_id=job)) for job in jobs]
        content = "\n".join(lines) if name == "wave.jsonl" else f"[{','.join(lines)}]"
    found = read(tmp_path, content, name)
    assert [item.index for item in found] == [0, 1, 2, 3, 4]
    assert [item.index for item in found if isinstance(item, Finding)] == [3]
    first = {"wave.csv": "the entry in line 3", "wave.jsonl": "the entry in line 2"}
    assert f"in {first.get(name, 'an earlier entry in this line')} already" in texts(found)[0]


def test_the_manifest_is_read_again_only_where_something_looks_alike(tmp_path: Path) -> None:
    """A sound manifest is read once."""
    walks: list[object] = []

    def walk(finder: DuplicateFinder) -> Iterator[int]:
        walks.append(finder)
        for number, job in enumerate(jobs):
            yield len(finder.flaws(number, ("e", "p"), job, None, own_key=False))

    jobs = ["a", "b", "c"]
    assert list(finding_duplicates(walk)) == [0, 0, 0]
    jobs = ["a", "b", "a"]
    assert list(finding_duplicates(walk)) == [0, 0, 1]
    assert len(walks) == 3


def _json(element: object) -> str:
    return json.dumps(element)
