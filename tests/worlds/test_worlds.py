"""Thousands of simulated worlds, and the engine broken on purpose in each way that they must notice.

A failing seed replays exactly: scripts/simulate-worlds --seed SEED --trace
"""

from pathlib import Path

import pytest

from tests.worlds.extras import world_of
from tests.worlds.judge import judge
from tests.worlds.many import play_many, play_one, quiet
from tests.worlds.mutations import MUTATIONS, Mutation
from tests.worlds.world import play

WORLDS = 2000
SHARE = 250


@pytest.mark.parametrize("first", range(0, WORLDS, SHARE))
def test_no_promise_is_broken(first: int, tmp_path: Path) -> None:
    """The contract holds in every world, whatever goes wrong there."""
    tally = play_many(range(first, first + SHARE), folder=tmp_path)
    assert {seed: list(map(str, violations)) for seed, violations in tally.broken.items()} == {}
    # Worlds in which nothing happens would prove nothing.
    assert tally.seen["created"] > SHARE
    assert tally.seen["deaths"] > SHARE / 2
    assert tally.seen["look-ups"] > SHARE
    assert tally.seen["unsettled"] < tally.seen["created"] / 2


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_worlds_find(mutation: Mutation, tmp_path: Path) -> None:
    """A test of the test: the engine with this mistake breaks a promise that the judge names."""
    seen: set[str] = set()
    with mutation.make(), quiet():
        for seed in (seed for seed in range(mutation.worlds) if mutation.where(world_of(seed))):
            seen |= {violation.name for violation in play_one(seed, folder=tmp_path)[0]}
            if seen & mutation.broken:
                return
    pytest.fail(f"{mutation.worlds} worlds did not notice it; what they saw: {seen or 'nothing'}")


def test_a_seed_replays_exactly(tmp_path: Path) -> None:
    """The same seed gives the same world, to the last line of its trace."""
    with quiet():
        one, other = (play(7, trace=True, folder=tmp_path) for _ in range(2))
    assert one.said == other.said
    assert one.file == other.file
    assert judge(one) == judge(other) == []
