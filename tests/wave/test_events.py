"""Events survive the journal: encoding and decoding is the identity, for every event there can be."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.outcome import Accepted, ErrorKind, Fate, Half, Made, Trouble
from batcher.life.events import (
    Answered,
    Event,
    Intended,
    LookedUp,
    LookedUpHalf,
    Reopened,
    Retracted,
    Ruled,
    Sight,
    decode,
    encode,
    kind_of,
    task_ids,
)
from batcher.life.state import fresh, history

texts = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.text("abcdef0123456789-", min_size=1, max_size=36)
moments = st.floats(0, 4e9, allow_nan=False)
halves = st.frozensets(st.sampled_from(Half), min_size=1)
troubles = st.builds(
    Trouble,
    fate=st.sampled_from(Fate),
    kind=st.sampled_from(ErrorKind),
    error_code=st.none() | texts,
    error_msg=st.none() | texts,
    retry_after_s=st.none() | moments,
    limit=st.none() | st.tuples(st.integers(1, 1000), moments),
    listed=st.booleans(),
)
verdicts = st.builds(Made, ids) | st.builds(Accepted, st.none() | ids) | troubles
seen = st.builds(LookedUpHalf, sight=st.sampled_from(Sight), ids=st.lists(ids, max_size=3).map(tuple))


def by_half(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Half, Any]]:
    return st.dictionaries(st.sampled_from(Half), values, max_size=2)


events: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Intended,
        at=moments,
        asked=halves,
        timebase=texts,
        monotonic=st.none() | moments,
        date_at=st.none() | moments,
        conflict_policy=st.sampled_from([None, "keep", "cancel"]),
        known=st.frozensets(ids, max_size=3),
    ),
    st.builds(Retracted, at=moments, why=texts),
    st.builds(
        Answered,
        at=moments,
        sent_at=moments,
        halves=by_half(verdicts),
        http_status=st.none() | st.integers(100, 599),
        request_id=st.none() | texts,
        decided=texts,
        spared=st.booleans(),
    ),
    st.builds(
        LookedUp,
        at=moments,
        halves=by_half(seen),
        since=st.none() | moments,
        listed=st.integers(0, 50),
        blocked=st.booleans(),
        trouble=st.none() | troubles,
        decided=texts,
    ),
    st.builds(Reopened, at=moments, was=texts, why=texts, fresh=st.booleans()),
    st.builds(Ruled, at=moments, ruling=texts, halves=by_half(ids)),
)


@given(events)
def test_the_journal_gives_back_what_it_was_given(event: Event) -> None:
    assert decode(kind_of(event), encode(event)) == event


lives = st.lists(
    st.tuples(
        st.builds(Intended, at=moments, asked=st.just(frozenset(Half))),
        st.builds(
            Answered,
            at=moments,
            sent_at=moments,
            halves=st.fixed_dictionaries({Half.OBJECT: verdicts, Half.DATA: verdicts}),
            http_status=st.none() | st.integers(100, 599),
            request_id=st.none(),
        ),
    ),
    max_size=4,
)


@given(lives)
def test_a_life_is_the_same_after_a_restart(life: list[tuple[Intended, Answered]]) -> None:
    """The state on resume is the one that the process had which died."""
    live = [event for pair in life for event in pair]
    stored = [decode(kind_of(event), encode(event)) for event in live]
    assert history(frozenset(Half), stored) == history(frozenset(Half), live)


@given(lives)
def test_a_half_is_made_refused_open_or_in_doubt(life: list[tuple[Intended, Answered]]) -> None:
    """Whatever happens, each half is in exactly one of the four."""
    state = history(frozenset(Half), [event for pair in life for event in pair])
    for half in state.halves.values():
        assert [half.made is not None, half.refused is not None, half.doubt, half.open].count(True) == 1


def test_no_id_is_overlooked() -> None:
    made = Answered(at=0, sent_at=0, halves={Half.DATA: Made("a")}, http_status=200, request_id=None)
    found = LookedUp(at=0, halves={Half.OBJECT: LookedUpHalf(sight=Sight.FOUND, ids=("b",))})
    guess = LookedUp(at=0, halves={Half.OBJECT: LookedUpHalf(sight=Sight.AMBIGUOUS, ids=("x", "y"))})
    ruled = Ruled(at=0, ruling="created=c", halves={Half.DATA: "c"})
    assert task_ids([made, found, guess, ruled]) == {"a", "b", "c"}
    assert fresh(frozenset(Half)).to_ask == frozenset(Half)
