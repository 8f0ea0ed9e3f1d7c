"""Two entries that would get in each other's way."""

from pathlib import Path

from batcher.manifest.seen import Seen
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
    assert 'key "k" is also the key of the entry in line 1. Give each entry a key of its own.' in found[0]


def test_an_entry_with_other_findings_counts_as_seen(tmp_path: Path) -> None:
    """All findings at once: mending the first must not bring a new one to light."""
    found = texts(read(tmp_path, [data_level(compare_type="x"), entry()]))
    assert ["compare_type" in found[0], "job_id" in found[1], len(found)] == [True, True, 2]


def test_allow_duplicates_allows_them(tmp_path: Path) -> None:
    """The engine submits them one after the other."""
    made = entries(read(tmp_path, [entry(), entry()], allow_duplicates=True))
    assert made[0].key == made[1].key


def test_seen_remembers_each_of_many_and_where() -> None:
    """Nothing is forgotten or made up as buckets fill."""
    seen = Seen()
    assert all(seen.first_line(f"thing-{number}", number + 1) is None for number in range(30_000))
    assert all(seen.first_line(f"thing-{number}", 7) == number + 1 for number in range(30_000))


def test_a_line_beyond_what_is_kept_is_still_a_duplicate() -> None:
    """Then only the place is not known."""
    seen = Seen()
    assert seen.first_line("a", 1 << 22) is None
    assert seen.first_line("a", 5) == 0


def _json(element: object) -> str:
    import json

    return json.dumps(element)
