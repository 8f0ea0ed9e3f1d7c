"""The ledger is what tests judge by: it survives its file, and its judges see what they are there to see."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.outcome import Half
from batcher.simulator.counting_ledger import CountingLedger
from batcher.simulator.ledger import (
    AnswerSent,
    Effect,
    Event,
    FileLedger,
    RequestSeen,
    cancelled,
    creations,
    doubles,
    most_in_window,
    most_open,
    read_ledger,
)

CREATE = "create-compare-task"
CREATES = frozenset({CREATE})


def request(at: float, job_id: str = "jb1", *, call: str = CREATE, project_id: str = "p") -> RequestSeen:
    return RequestSeen(at=at, request_id=f"r{at}", project_id=project_id, call=call, job_id=job_id, asked=(Half.DATA,))


def effect(at: float, job_id: str, task_id: str, *, half: Half = Half.DATA, ended: tuple[str, ...] = ()) -> Effect:
    return Effect(at=at, request_id=f"r{at}", project_id="p", job_id=job_id, created={half: task_id}, cancelled=ended)


def answer(at: float, request_id: str) -> AnswerSent:
    return AnswerSent(at=at, request_id=request_id, project_id="p", http_status=200)


EVENTS: list[Event] = [
    request(1.0),
    effect(1.0, "jb1", "t1"),
    answer(1.1, "r1.0"),
    RequestSeen(at=2.0, request_id="r2.0", project_id="p", call=CREATE, conflict_policy="keep"),
    AnswerSent(at=2.0, request_id="r2.0", project_id="p", error_code="DRS.M00300", http_status=400, fault="slow"),
    Effect(at=3.0, request_id="", project_id="p", job_id="jb1", created={}, cancelled=("t1",)),
    AnswerSent(at=4.0, request_id="r9", project_id="p", fault="silent-after"),
]


def test_a_file_gives_back_what_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = FileLedger(path)
    for event in EVENTS:
        ledger.record(event)
    assert list(read_ledger(path)) == EVENTS  # though it is still open
    ledger.close()
    with path.open("ab") as file:
        file.write(b'{"event":"request","at":5')
    assert list(read_ledger(path)) == EVENTS


def test_a_second_creation_of_a_half_is_a_double() -> None:
    events = [effect(1, "jb1", "t1"), effect(2, "jb1", "t2", half=Half.OBJECT), effect(3, "jb1", "t3", ended=("t1",))]
    assert [creation.compare_task_id for creation in creations(events)] == ["t1", "t2", "t3"]
    found = doubles(events)
    assert list(found) == [("p", "jb1", Half.DATA)]
    assert [creation.compare_task_id for creation in found["p", "jb1", Half.DATA]] == ["t1", "t3"]
    assert not doubles(events, allowed=lambda *_: 2)
    assert cancelled(events) == {"t1"}


def test_what_nobody_asked_for_is_no_creation() -> None:
    made = Effect(at=1, request_id="", project_id="p", job_id="jb1", created={Half.DATA: "t1"}, cancelled=("t0",))
    assert not list(creations([made]))
    assert not cancelled([made])


@given(
    times=st.lists(st.integers(min_value=0, max_value=3000), max_size=40),
    window=st.integers(min_value=1, max_value=2000),
)
def test_the_busiest_window_is_found(times: list[int], window: int) -> None:
    events = [request(at / 1024) for at in times]  # exact as floats
    expected = max((sum(start <= at < start + window for at in times) for start in times), default=0)
    assert most_in_window(events, window / 1024, calls=CREATES).get("p", 0) == expected


def test_the_busiest_window_is_told_by_project_and_call() -> None:
    events = [request(0.0), request(0.5), request(0.6, call="batch-status"), request(0.7, project_id="q")]
    assert most_in_window(events, 1.0, calls=CREATES) == {"p": 2, "q": 1}
    assert most_in_window(events, 0.5, calls=CREATES) == {"p": 1, "q": 1}


def test_requests_under_way_together_are_counted_by_job() -> None:
    events: list[Event] = [request(1), request(2), answer(3, "r1"), answer(4, "r2"), request(5), request(6, "jb2")]
    assert most_open(events, calls=CREATES) == {"jb1": 2, "jb2": 1}


def test_the_tally_sums_up_and_hands_on() -> None:
    kept: list[Event] = []

    class Inner:
        def record(self, event: Event) -> None:
            kept.append(event)

    tally = CountingLedger(Inner(), window_s=1.0)
    for event in [*EVENTS, effect(5.0, "jb1", "t2"), request(6.0), request(6.5), request(8.0)]:
        tally.record(event)
    assert kept[: len(EVENTS)] == EVENTS
    assert tally.as_json() == {
        "requests": {CREATE: 5},
        "answers": {"200": 1, "400 DRS.M00300": 1, "no answer": 1},
        "faults": {"slow": 1, "silent-after": 1},
        "created": 2,
        "cancelled": 0,
        "repeated": 1,
        "busiest_window": {"seconds": 1.0, "create_requests": {"p": 2}},
    }


def test_a_ledger_that_cannot_be_written_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLedger(tmp_path / "nowhere" / "ledger.jsonl")
