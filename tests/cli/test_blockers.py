"""What stands in the way, as people read it: the gravest first, the same said once, each with its next command."""

import pytest

from batcher.cli.show.blockers import advice_for, blocker_lines, is_command, of_files
from batcher.follow.verdict import Verdict
from batcher.gate.result import evaluate
from batcher.journal.place import WavePlace
from batcher.life.result import Status
from tests.follow.make import TODAY, difference, half, line, waved


def test_they_are_sorted_by_gravity_and_grouped_by_what_is_said() -> None:
    entries = [
        waved(None, status=Status.NOT_SUBMITTED, said="SIGINT received", key=f"n{n}", job_id=f"j{n}") for n in range(30)
    ]
    entries.append(waved(line(half(difference(), reason="1 of 3 tables differs"), key="d", job_id="jd")))
    entries.append(waved(None, status=Status.UNSETTLED, said="nobody knows", key="it's", job_id="ju"))
    shown = list(blocker_lines(evaluate(entries, (), TODAY), of_files))
    assert [text.plain for text in shown if text.plain.startswith("  ") and text.plain[2] != " "] == [
        "  1 unsettled: a person must look whether they were created",
        "  1 inconsistent: source and target differ",
        "  30 not submitted: the wave stopped before",
    ]
    assert "    jobs j0, j1, j2, j3, j4 and 25 more  not submitted: SIGINT received" in [text.plain for text in shown]
    commands = [text.plain.strip() for text in shown if is_command(text)]
    assert commands == [
        """batcher explain wave.jsonl '--key=it'"'"'s'""",
        "batcher select wave.jsonl --recheck inconsistent -o wave-inconsistent.jsonl",
        "batcher report wave.jsonl",
    ]


def test_what_is_not_shown_is_counted() -> None:
    entries = [
        waved(line(half(verdict=Verdict.FAILED, reason=f"why {n}"), key=f"k{n}", job_id=f"j{n}")) for n in range(25)
    ]
    shown = [text.plain for text in blocker_lines(evaluate(entries, (), TODAY), of_files)]
    assert "    … and 5 further entries; --json has them all" in shown
    assert sum(text.startswith("    job ") for text in shown) == 20


def test_what_was_only_not_followed_to_its_end_is_followed_on_and_not_compared_again() -> None:
    stopped = line(
        half(verdict=Verdict.UNKNOWN, reason="x"), final=False, reason="still RUNNING when the watch ended: SIGINT"
    )
    unknown = line(half(verdict=Verdict.UNKNOWN, reason="no primary key"), key="u", job_id="ju")
    entries = [waved(stopped, key=f"k{n}", job_id=f"j{n}") for n in range(7)] + [waved(unknown, key="u", job_id="ju")]
    shown = [text.plain for text in blocker_lines(evaluate(entries, (), TODAY), of_files)]
    assert "  1 not known" in shown
    assert "  7 not followed to the end" in shown
    assert "    jobs j0, j1, j2, j3, j4 and 2 more" in shown  # the heading says why
    assert [text.strip() for text in shown if text.startswith("    batcher")] == [
        "batcher select wave.jsonl --recheck unknown -o wave-unknown.jsonl",
        "batcher watch wave.jsonl",
    ]


@pytest.mark.parametrize("told", Verdict)
def test_what_is_not_final_is_counted_once_whatever_it_says_of_itself(told: Verdict) -> None:
    """Beside one that is not known, be it consistent: a line that was edited ends nothing in a traceback."""
    stopped = line(half(verdict=told), final=False).model_copy(update={"verdict": told})
    unknown = line(half(verdict=Verdict.UNKNOWN, reason="no primary key"), key="u", job_id="ju")
    entries = [waved(stopped, key="k", job_id="jk"), waved(unknown, key="u", job_id="ju")]
    shown = [text.plain for text in blocker_lines(evaluate(entries, (), TODAY), of_files)]
    assert "  1 not known" in shown
    assert "    job ju  rows: no primary key" in shown
    is_open = told in (Verdict.CONSISTENT, Verdict.UNKNOWN)
    assert ("  1 not followed to the end" in shown) is is_open


def test_only_what_was_looked_at_is_said_to_be_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what lies further back nothing is claimed but how many there are; each state has an example."""
    monkeypatch.setattr("batcher.cli.show.blockers._LOOKED_AT", 10)
    entries = [waved(None, status=Status.FAILED, said="refused", key=f"n{n}", job_id=f"j{n}") for n in range(30)]
    entries.append(waved(None, status=Status.INVALID, said="no job_id", key="i", job_id="ji"))
    entries += [waved(None, status=Status.FAILED, said="other", key=f"o{n}", job_id=f"o{n}") for n in range(5)]
    shown = [text.plain for text in blocker_lines(evaluate(entries, (), TODAY), of_files)]
    assert "    jobs j0, j1, j2, j3, j4 and 25 more  failed: refused" in shown
    assert "    … and 5 further entries; --json has them all" in shown
    assert "    job ji  invalid: no job_id" in shown


def test_what_to_type_for_a_wave_in_a_database_names_its_place() -> None:
    """A copy alone tells a command nothing of the wave: there is no journal beside it."""
    place = WavePlace.of("postgresql://db.example.org/fleet/night-3")
    named = f"--journal {place}"
    entries = [
        waved(None, status=Status.UNSETTLED, said="nobody knows", key="u", job_id="ju"),
        waved(None, status=Status.FAILED, said="refused", key="f", job_id="jf"),
        waved(line(half(difference(), reason="1 of 3 tables differs"), key="d", job_id="jd")),
        waved(None, key="n", job_id="jn"),
        waved(None, status=None, key="o", job_id="jo"),
    ]
    shown = blocker_lines(evaluate(entries, (), TODAY), advice_for(place))
    assert [text.plain.strip() for text in shown if is_command(text)] == [
        f"batcher explain {named} --key=u",
        f"batcher select wave.jsonl {named} --recheck inconsistent -o wave-inconsistent.jsonl",
        f"batcher select wave.jsonl {named} --status failed -o wave-failed.jsonl",
        f"batcher status {named}",
        f"batcher watch wave.jsonl {named}",
    ]
