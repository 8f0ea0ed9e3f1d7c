"""What stands in the way, as people read it: the gravest first, the same said once, each with its next command."""

from batcher.cli.show.blockers import blocker_lines, is_command
from batcher.follow.verdict import Verdict
from batcher.gate.result import evaluate
from batcher.life.result import Status
from tests.follow.make import TODAY, difference, half, line, waved


def test_they_are_sorted_by_gravity_and_grouped_by_what_is_said() -> None:
    entries = [
        waved(None, status=Status.NOT_SUBMITTED, said="SIGINT received", key=f"n{n}", job_id=f"j{n}") for n in range(30)
    ]
    entries.append(waved(line(half(difference(), reason="1 of 3 tables differs"), key="d", job_id="jd")))
    entries.append(waved(None, status=Status.UNSETTLED, said="nobody knows", key="it's", job_id="ju"))
    shown = list(blocker_lines(evaluate(entries, (), TODAY)))
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
    shown = [text.plain for text in blocker_lines(evaluate(entries, (), TODAY))]
    assert "    … and 5 further entries; --json has them all" in shown
    assert sum(text.startswith("    job ") for text in shown) == 20
