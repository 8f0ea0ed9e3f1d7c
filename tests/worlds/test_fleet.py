"""Worlds of several machines over one journal, and what keeps these apart taken out in each way that they must notice.

A failing seed replays exactly: scripts/simulate-worlds --fleet --seed SEED --trace
"""

import pytest

from tests.virtual import Stalled
from tests.worlds.fleet import play_fleet
from tests.worlds.fleet_judge import judge_fleet
from tests.worlds.fleet_mutations import FLEET_MUTATIONS, FleetMutation
from tests.worlds.many import play_fleets, quiet
from tests.worlds.violation import Violation

WORLDS = 100
SHARE = 50
ENOUGH = 60  # worlds in which a mutation must be found, of those drawn for it: each is in most tens of them


@pytest.mark.parametrize("first", range(0, WORLDS, SHARE))
def test_no_promise_is_broken_by_a_fleet(first: int) -> None:
    """Each comparison once, none lost, the limit over all machines, no older epoch after a newer one."""
    tally = play_fleets(range(first, first + SHARE))
    assert {seed: list(map(str, violations)) for seed, violations in tally.fleets.items()} == {}
    # Worlds in which nothing happens would prove nothing.
    assert tally.seen["created by fleets"] > SHARE
    assert tally.seen["fleet: freeze"] > SHARE / 2
    assert tally.seen["scopes taken"] > 2 * SHARE
    assert tally.seen["fleet: LOST"] > 0
    assert tally.seen["refused by the fence"] > 0
    assert tally.seen["commits repeated"] > 0
    assert tally.seen["verdicts of fleets"] > SHARE / 2


@pytest.mark.parametrize("mutation", FLEET_MUTATIONS, ids=lambda mutation: mutation.name)
def test_the_fleets_find(mutation: FleetMutation) -> None:
    """A test of the test: without what keeps machines apart a promise is broken that the judge names."""
    seen: set[str] = set()
    with mutation.make(), quiet():
        for seed in mutation.seeds(ENOUGH):
            seen |= {violation.name for violation in _violations(seed)}
            if seen & mutation.broken:
                return
    pytest.fail(f"{ENOUGH} worlds did not notice it; what they saw: {seen or 'nothing'}")


def _violations(seed: int) -> list[Violation]:
    try:
        return judge_fleet(play_fleet(seed))
    except Stalled as error:
        return [Violation("crash", str(error))]


def test_a_fleet_replays_exactly() -> None:
    """The same seed gives the same world, to the last line of its trace."""
    with quiet():
        one, other = (play_fleet(7, trace=True) for _ in range(2))
    assert one.said == other.said
