"""Thousands of simulated worlds, and the engine broken on purpose in each way that they must notice.

A failing seed replays exactly: scripts/simulate-worlds --seed SEED --trace
"""

from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import pytest
from msgspec.structs import replace

from batcher.drs.answer import Answer
from batcher.drs.outcome import Accepted, CreateOutcome, Half, Made
from batcher.drs.v3.classify import classify_create
from batcher.journal.ops import Happened, Op
from batcher.life.decide import Settle
from batcher.life.state import EntryState, history
from batcher.wave.agenda import HeldEntry
from batcher.wave.entry_state_machine import EntryStateMachine
from tests.worlds.disk import LoopJournal
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


def test_the_state_in_memory_is_the_fold_of_the_journal(tmp_path: Path) -> None:
    """Whoever goes on after a death at any step knows what the process knew that died there."""
    whole, compared, wrong = EntryStateMachine.settle, 0, []

    def known(state: EntryState) -> EntryState:  # what an earlier process could not tell is forgotten by a later one
        halves = {name: replace(half, ambiguous=None, unclear=None) for name, half in state.halves.items()}
        return replace(state, halves=halves, failed_looks=0)

    async def settle(self: EntryStateMachine, held: HeldEntry, action: Settle, *before: Op) -> None:
        nonlocal compared
        journal = self._context.journal
        assert isinstance(journal, LoopJournal)
        events = journal._disk.record.events(held.entry.index)
        events += [op.event for op in before if isinstance(op, Happened)]
        compared += 1
        if known(held.state) != known(history(held.entry.asked, events)):
            wrong.append((held.entry.key, held.state, events))
        await whole(self, held, action, *before)

    with quiet(), mock.patch.object(EntryStateMachine, "settle", settle):
        for seed in range(150):
            play_one(seed, folder=tmp_path)
    assert wrong == []
    assert compared > 500


def test_a_cloud_that_accepts_without_naming_a_comparison_is_reconciled(tmp_path: Path) -> None:
    """As another version of the API would: whatever was made is found by a look-up, and no promise is broken."""
    accepted = recovered = 0

    def nameless(answer: Answer, *, asked: Iterable[Half], job_id: str) -> CreateOutcome:
        nonlocal accepted
        outcome = classify_create(answer, asked=asked, job_id=job_id)
        halves = {
            half: Accepted(outcome.request_id) if isinstance(verdict, Made) else verdict
            for half, verdict in outcome.halves.items()
        }
        accepted += sum(isinstance(verdict, Accepted) for verdict in halves.values())
        return replace(outcome, halves=halves)

    with quiet(), mock.patch("tests.worlds.scope.classify_create", nameless):
        for seed in range(120):
            lived = play(seed, folder=tmp_path)
            recovered += sum(line["recovered"] for line in lived.results())
            assert judge(lived) == [], seed
    assert accepted > 300
    assert recovered > accepted / 2
