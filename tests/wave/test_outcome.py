"""The result line: what is written is what a `Result` says, to the byte."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.outcome import Half, Trouble
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Intended
from batcher.life.result import Result, Status
from batcher.life.result_line import result_line, result_of
from batcher.life.state import history
from tests.wave.test_events import lives, troubles

texts = st.text(max_size=20)
moments = st.floats(0, 4e9)
entries = st.builds(
    PlannedEntry,
    index=st.integers(0, 10**6),
    line=st.just(1),
    key=texts,
    scope=st.just(Scope(0, "https://drs.example", "project")),
    job_id=texts,
    body=st.just(b"{}"),
    x_language=st.none(),
    labels=st.dictionaries(texts, texts, max_size=3),
)


@given(entries, lives, st.sampled_from(Status), st.none() | troubles, moments)
def test_a_line_is_what_its_result_would_write(
    entry: PlannedEntry,
    life: list[tuple[Intended, Answered]],
    status: Status,
    trouble: Trouble | None,
    finished_at: float,
) -> None:
    state = history(frozenset(Half), [event for pair in life for event in pair])
    line = result_line(entry, state, status, trouble, finished_at)
    result = result_of(entry, state, status, trouble, finished_at)
    assert result.to_line() == line
    assert tuple(Result.model_fields) == tuple(Result.model_validate_json(line).model_dump())
    assert abs(result.finished_at - datetime.fromtimestamp(finished_at, UTC)).total_seconds() < 0.001
    assert (result.submitted_at is None) == (not life)
    assert result.labels == entry.labels
