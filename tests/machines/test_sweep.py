"""Which scopes a worker takes, decided without a database."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.errors import UserError
from batcher.machines.sweep import (
    FOLLOWED,
    OpenScope,
    ScopeFilter,
    Surroundings,
    every_s,
    fair_share,
    next_look_s,
    to_take,
)

EU, CN = "https://drs.eu-west-101.example.com", "https://drs.cn-north-4.example.com"


def work(
    number: int,
    owner: str | None = None,
    left_s: float | None = None,
    free_s: float = 100.0,
    priority: int = 0,
    is_settled: bool = False,
) -> OpenScope:
    return OpenScope(
        number=number, endpoint=EU, project_id=f"p{number}", owner=owner, left_s=left_s, free_s=free_s,
        priority=priority, is_settled=is_settled,
    )  # fmt: skip


def taken(
    *seen: OpenScope, lanes: int = 4, workers: tuple[int, ...] = (4,), mine: tuple[int, ...] = (), cannot: int = 0
) -> list[int]:
    """The numbers of what the worker "me" takes."""
    chosen = to_take(
        Surroundings(work=seen, workers=workers),
        name="me",
        mine=[(EU, f"p{number}") for number in mine],
        lanes=lanes,
        wanted=ScopeFilter(),
        cannot={(EU, f"p{cannot}"): "no credential"},
        rng=random.Random(1),
    )
    return [one.number for one in chosen]


def test_it_takes_what_nobody_has() -> None:
    held, given_back, run_out = work(1, "other", 3.0), work(2), work(3, "other", -0.5)
    assert sorted(taken(held, given_back, run_out)) == [2, 3]


def test_it_takes_no_more_than_it_has_lanes_for() -> None:
    assert len(taken(*(work(number) for number in range(1, 9)), lanes=3, mine=(1,))) == 2
    assert taken(work(1), work(2), lanes=1, mine=(2,)) == []


def test_what_it_has_and_what_it_cannot_take_are_left() -> None:
    assert taken(work(1), work(2), work(3), mine=(1,), cannot=2) == [3]


def test_what_is_in_its_name_and_not_in_its_hands_is_taken_again() -> None:
    """The answer to its take was lost: nobody else could have it before the lease is over."""
    assert taken(work(1, "me", 9.0)) == [1]


def test_the_higher_priority_goes_first_then_the_longest_free() -> None:
    seen = (work(1), work(2, free_s=200.0), work(3, priority=5), work(4, free_s=300.0))
    assert taken(*seen, lanes=3) == [3, 4, 2]


def test_of_what_was_just_planned_others_get_their_share() -> None:
    fresh = [work(number, free_s=0.1) for number in range(1, 7)]
    assert len(taken(*fresh, workers=(4, 4, 4))) == 2
    assert taken(*fresh, workers=(4, 4, 4), mine=(7, 8)) == []


def test_what_nobody_took_for_a_while_anybody_takes() -> None:
    assert len(taken(*(work(number, free_s=7.0) for number in range(1, 7)), workers=(4, 4, 4))) == 4


def test_what_a_dead_worker_left_is_nobodys_share() -> None:
    """It has stood still for a lease already."""
    left = [work(number, "dead", -0.1, free_s=0.1) for number in range(1, 5)]
    assert sorted(taken(*left, workers=(4, 4, 4))) == [1, 2, 3, 4]


@given(scopes=st.integers(0, 60), workers=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_shares_cover_all_scopes_or_all_lanes(scopes: int, workers: list[int]) -> None:
    shares = [fair_share(scopes, workers, lanes) for lanes in workers]
    assert all(0 <= share <= lanes for share, lanes in zip(shares, workers, strict=True))
    assert sum(shares) >= min(scopes, sum(workers))


@given(
    seen=st.lists(
        st.tuples(
            st.sampled_from([None, "me", "other"]),
            st.one_of(st.none(), st.floats(-60, 60)),
            st.floats(0, 1e6),
            st.integers(-100, 100),
        ),
        max_size=12,
    ),
    lanes=st.integers(1, 8),
    mine=st.sets(st.integers(0, 11), max_size=4),
)
def test_it_never_takes_what_another_has(
    seen: list[tuple[str | None, float | None, float, int]], lanes: int, mine: set[int]
) -> None:
    scopes = [work(number, *values) for number, values in enumerate(seen)]
    chosen = taken(*scopes, lanes=lanes, mine=tuple(mine), cannot=99)
    assert len(chosen) == len(set(chosen))
    assert len(chosen) + len(mine) <= max(lanes, len(mine))
    for number in chosen:
        assert scopes[number].is_free or scopes[number].owner == "me"
        assert number not in mine


@pytest.mark.parametrize(
    ("globs", "has"),
    [
        ((), True),
        (("project=p1",), True),
        (("project=p*",), True),
        (("project=q*",), False),
        (("endpoint=drs.eu-*",), True),
        (("endpoint=https://drs.eu-west-101.example.com",), True),
        (("endpoint=drs.cn-*",), False),
        (("p1@drs.eu-*",), True),
        (("p2@*",), False),
        (("p2@*", "project=p?"), True),
    ],
)
def test_scopes_are_named_by_globs(globs: tuple[str, ...], has: bool) -> None:
    assert ScopeFilter.of(globs).has((EU, "p1")) is has


@pytest.mark.parametrize("glob", ["", " ", "projekt=1", "project=", "region=eu-west-101"])
def test_a_glob_that_can_name_nothing_is_refused(glob: str) -> None:
    with pytest.raises(UserError, match="names no scopes: write project=ID, endpoint=HOST or PROJECT@HOST"):
        ScopeFilter.of([glob])


def test_it_looks_again_right_after_the_lease_of_another_is_to_end() -> None:
    rng = random.Random(1)
    near = Surroundings(work=[work(1, "other", 0.5)], workers=[4])
    assert 0.5 < next_look_s(rng, near, name="me") < 0.8
    assert next_look_s(rng, near, name="other") > 2
    far = Surroundings(work=[work(1, "other", 14.0), work(2, "other", -3.0)], workers=[4])
    assert 2.4 <= next_look_s(rng, far, name="me") <= 3.6
    assert 2.4 <= next_look_s(rng, None, name="me") <= 3.6


def test_a_shorter_lease_is_looked_after_more_often() -> None:
    assert (every_s(5), every_s(15), every_s(60)) == (1.0, 3.0, 3.0)


def test_scopes_that_are_only_followed_take_no_lanes() -> None:
    """Else what is to be sent would wait for hours, until comparisons have ended."""
    followed = [work(number, "me", 10.0, is_settled=True) for number in range(1, 5)]
    assert taken(*followed, work(5), work(6), lanes=2, workers=(2,), mine=(1, 2, 3, 4)) == [5, 6]
    assert taken(*followed, work(5), work(6), lanes=2, workers=(2,), mine=(1, 2, 3, 4, 7)) in ([5], [6])
    dead = [work(number, is_settled=True) for number in range(100)]
    assert len(taken(*dead, lanes=2, workers=(2,), cannot=200)) == FOLLOWED * 2
    both = taken(*dead, work(300), lanes=1, workers=(1,), mine=(400,), cannot=200)
    assert len(both) == FOLLOWED
    assert 300 not in both


def test_those_who_follow_share_what_was_handed_on() -> None:
    fresh = [work(number, free_s=0.1, is_settled=True) for number in range(8)]
    assert len(taken(*fresh, workers=(4, 4), cannot=200)) == 4
