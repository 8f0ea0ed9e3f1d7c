"""GO is never given by mistake: every entry consistent, or its differences accepted by name, and for now."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.follow.verdict import Counts, HalfVerdict, Verdict, VerdictLine
from batcher.gate.accepted import Acceptance
from batcher.gate.junit import write_junit
from batcher.gate.result import GateResult, WaveEntry, evaluate
from batcher.life.result import Status
from tests.follow.make import AT, TODAY, accept, difference, half, line, waved, waved_entries


def gate_of(*verdicts: VerdictLine | None, accepted: tuple[Acceptance, ...] = (), **changes: Any) -> GateResult:
    return evaluate([waved(verdict, **changes) for verdict in verdicts], accepted, TODAY)


def test_all_consistent_is_go() -> None:
    gate = gate_of(line(key="a"), line(key="b"))
    assert gate.go
    assert gate.verdicts == {Verdict.CONSISTENT: 2}


def test_no_entries_prove_nothing() -> None:
    assert not evaluate([], (), TODAY).go


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.CONSISTENT])
def test_any_other_verdict_is_no_go(verdict: Verdict) -> None:
    gate = gate_of(line(half(difference(), verdict=verdict, reason="because")))
    assert [blocker.why for blocker in gate.blockers] == ["rows: because"]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (waved(None), "not followed to a verdict yet"),
        (waved(line(), status=Status.PARTIAL, said="refused"), "partial: refused"),
        (waved(line(), status=Status.UNSETTLED), "unsettled: not all of it was created"),
        (waved(line(final=False, reason="still RUNNING")), "still RUNNING"),
        (waved(line().model_copy(update={"data_level_compare_result": None})), "nothing was compared"),
    ],
)
def test_an_entry_without_a_final_word_on_all_of_it_is_no_go(entry: WaveEntry, why: str) -> None:
    gate = evaluate([entry], (), TODAY)
    assert not gate.go
    assert gate.blockers[0].why == why


def test_an_accepted_difference_passes_and_is_told() -> None:
    gate = gate_of(line(half(difference())), accepted=(accept(),))
    assert gate.go
    assert [(passed.difference.table, passed.acceptance.reason) for passed in gate.passed] == [("orders", "known")]


def test_one_difference_more_than_was_accepted_is_no_go() -> None:
    gate = gate_of(line(half(difference(), difference("items"))), accepted=(accept(),))
    assert [one.table for one in gate.blockers[0].differences] == ["items"]
    assert "1 difference accepted" in gate.blockers[0].why


def test_an_expired_acceptance_accepts_nothing_and_is_named() -> None:
    yesterday = TODAY - timedelta(days=1)
    gate = gate_of(line(half(difference())), accepted=(accept(expires=yesterday),))
    assert not gate.go
    assert "the acceptance of shop.orders expired on 2026-11-24" in gate.blockers[0].why
    assert [one.line for one in gate.expired] == [2]


def test_an_acceptance_of_nothing_is_named() -> None:
    gate = gate_of(line(), accepted=(accept("odrers", line=7),))
    assert gate.go
    assert [one.line for one in gate.unused] == [7]


@pytest.mark.parametrize(
    "data",
    [
        half(difference(), compare_task_status="TIMEOUT_INTERRUPT", verdict=Verdict.INCONSISTENT),
        half(difference(), complete=False),
        half(difference(), counts=None),
        half(verdict=Verdict.UNKNOWN, counts=Counts()),
    ],
)
def test_what_was_not_compared_to_the_end_cannot_be_accepted(data: HalfVerdict) -> None:
    assert not gate_of(line(data), accepted=(accept(), accept("*", line=3))).go


def later(verdict: VerdictLine, **changes: Any) -> VerdictLine:
    """*verdict* as if its comparison had ended an hour later."""
    assert verdict.data_level_compare_result is not None
    data = verdict.data_level_compare_result.model_copy(update={"ended_at": AT + timedelta(hours=1)})
    return verdict.model_copy(update={"data_level_compare_result": data, **changes})


@given(st.permutations([0, 1, 2]))
def test_a_rerun_replaces_the_earlier_verdict_in_whatever_order(order: list[int]) -> None:
    entries = [
        waved(line(half(difference()))),
        waved(later(line()), file="recheck.jsonl"),
        waved(line(key="other")),
    ]
    gate = evaluate([entries[n] for n in order], (), TODAY)
    assert gate.go
    assert (gate.entries, len(gate.replaced)) == (2, 1)


def test_a_rerun_that_is_not_followed_yet_holds_the_gate() -> None:
    first = waved(line(half(difference())))
    rerun = waved(None, file="recheck.jsonl", finished_at=AT + timedelta(hours=1))
    assert not evaluate([rerun, first], (), TODAY).go


def test_a_rerun_of_one_half_leaves_the_other_half_its_word() -> None:
    objects = half(difference("v", object_type="VIEW"), compare_type="object_comparison")
    first = line(half(difference()), object_level_compare_result=objects, verdict=Verdict.INCONSISTENT)
    rows_again = later(line())
    assert not evaluate([waved(first), waved(rows_again)], (), TODAY).go
    healed = later(line(), object_level_compare_result=half(compare_type="object_comparison"))
    assert evaluate([waved(first), waved(healed)], (), TODAY).go


def test_the_same_key_in_another_project_is_another_entry() -> None:
    gate = evaluate([waved(line()), waved(line(half(difference())), scope=("https://drs.example.com", "q"))], (), TODAY)
    assert (gate.entries, gate.go) == (2, False)


@given(waved_entries())
def test_go_means_that_every_entry_was_created_ended_and_agreed(entries: list[WaveEntry]) -> None:
    good = [
        entry.status is Status.CREATED
        and entry.verdict is not None
        and entry.verdict.final
        and entry.verdict.verdict is Verdict.CONSISTENT
        for entry in entries
    ]
    gate = evaluate(entries, (), TODAY)
    assert gate.go == (bool(good) and all(good))
    assert len(gate.blockers) == good.count(False)


@settings(max_examples=40)
@given(st.text(max_size=20), st.text(max_size=20))
def test_junit_is_sound_xml_whatever_names_there_are(
    tmp_path_factory: pytest.TempPathFactory, key: str, why: str
) -> None:
    path = tmp_path_factory.mktemp("junit") / "gate.xml"
    blocked = waved(line(half(difference(message=why), reason=why), key=f"x{key}"), job_id=key)
    entries = [blocked, waved(line(key="good")), waved(line(half(difference()), key="accepted"))]
    gate = evaluate(entries, (accept(),), TODAY)
    write_junit(path, gate, entries)
    root = ElementTree.parse(path).getroot()  # noqa: S314 - our own file
    assert (root.get("tests"), root.get("failures")) == ("3", str(len(gate.blockers)))
    assert len(root.findall(".//failure")) == len(gate.blockers)
    assert [case.find("system-out") is not None for case in root.iter("testcase")][1:] == [False, True]


def test_entries_of_one_wave_that_share_a_key_do_not_replace_each_other() -> None:
    """`--allow-duplicates` lets keys repeat; the second of a wave is the rerun of no other."""
    first = waved(line(half(difference())))
    gate = evaluate([first, waved(later(line()), nth=1)], (), TODAY)
    assert (gate.entries, gate.go) == (2, False)


def test_json_has_every_reason() -> None:
    said = gate_of(line(half(difference()))).as_json()
    assert said["verdict"] == "NO-GO"
    assert said["blockers"][0]["differences"][0]["table"] == "orders"


def test_an_old_wave_that_is_watched_only_now_does_not_replace_its_rerun() -> None:
    """What counts is when the data was compared, not when the verdict was read."""
    old = line(decided_at=AT + timedelta(hours=9))
    rerun = later(line(half(difference())))
    assert not evaluate([waved(old), waved(rerun, file="recheck.jsonl")], (), TODAY).go


def test_an_entry_without_a_result_is_no_go() -> None:
    gate = evaluate([waved(line()), waved(None, key="k2", status=None)], (), TODAY)
    assert [blocker.why.split(":")[0] for blocker in gate.blockers] == ["no result yet"]


def test_junit_shows_what_was_replaced_as_skipped_and_failures_where_they_are(tmp_path: Path) -> None:
    entries = [
        waved(line(half(difference())), file="wave.jsonl"),
        waved(later(line()), file="again.jsonl"),
        waved(line(half(difference()), key="k2"), file="wave.jsonl"),
        waved(line(half(difference()), key="k2"), file="wave.jsonl", nth=1),
    ]
    write_junit(tmp_path / "gate.xml", evaluate(entries, (), TODAY), entries)
    root = ElementTree.parse(tmp_path / "gate.xml").getroot()  # noqa: S314 - our own file
    suites = {suite.get("name"): dict(suite.attrib) for suite in root}
    assert suites["wave.jsonl"] | {"tests": "3", "failures": "2", "skipped": "1"} == suites["wave.jsonl"]
    assert suites["again.jsonl"] | {"tests": "1", "failures": "0", "skipped": "0"} == suites["again.jsonl"]
    assert (len(root.findall(".//failure")), len(root.findall(".//skipped"))) == (2, 1)


# What Jenkins' xUnit plugin lets through (its schema junit-10): elements, their attributes, what may be in them.
_XUNIT = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id", "package", "file"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": ({"name", "classname", "time", "group"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": ({"type", "message"}, set[str]()),
    "skipped": ({"type", "message"}, set[str]()),
    "system-out": (set[str](), set[str]()),
}
_NEEDED = {"testsuite": {"name", "tests", "failures", "errors"}, "testcase": {"name"}}


def test_junit_is_what_the_strictest_reader_takes(tmp_path: Path) -> None:
    entries = [
        waved(line(half(difference(), difference("items"))), file="night.1/wave.jsonl"),
        waved(later(line(half(difference()))), file="again.jsonl"),
        waved(line(half(difference()), key="k2"), file="wave.jsonl"),
        waved(None, key="k3", status=None, file="wave.jsonl"),
        waved(line(key="k4"), file="wave.jsonl"),
    ]
    write_junit(tmp_path / "gate.xml", evaluate(entries, (accept("*"),), TODAY), entries)
    root = ElementTree.parse(tmp_path / "gate.xml").getroot()  # noqa: S314 - our own file
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = _XUNIT[element.tag]
        assert _NEEDED.get(element.tag, set()) <= set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children


def test_junit_names_a_wave_without_dots_and_a_reason_in_the_text(tmp_path: Path) -> None:
    """Jenkins takes what stands before the last dot for a package; GitLab shows the text and not the message."""
    entries = [waved(line(half(difference(), reason="1 of 4 tables differs")), file="night/wave.1.jsonl")]
    write_junit(tmp_path / "gate.xml", evaluate(entries, (), TODAY), entries)
    root = ElementTree.parse(tmp_path / "gate.xml").getroot()  # noqa: S314 - our own file
    (case,) = root.iter("testcase")
    assert (case.get("classname"), root[0].get("name")) == ("night/wave_1", "night/wave.1.jsonl")
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "rows: 1 of 4 tables differs"
    assert (failure.text or "").splitlines()[0] == "rows: 1 of 4 tables differs"
    assert "shop.orders" in (failure.text or "").splitlines()[1]


def test_an_expired_acceptance_of_many_is_named_once() -> None:
    gone = accept("*", expires=TODAY - timedelta(days=1))
    (blocker,) = gate_of(line(half(difference(), difference("items"))), accepted=(gone,)).blockers
    assert blocker.why.count("expired") == 1
