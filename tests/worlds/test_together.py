"""Worlds in which several waves share a process, and what is shared broken on purpose.

A failing seed replays exactly: scripts/simulate-worlds --seed SEED --crowd --trace
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from batcher.channel.channel import Channel, Channels
from batcher.channel.job_claims import JobClaims
from batcher.channel.passes import Pass
from batcher.life.entry import PlannedEntry
from batcher.life.reconcile import Others
from batcher.wave.entry_state_machine import EntryStateMachine
from tests.worlds.many import play_crowds, quiet
from tests.worlds.together import judge_together, play

WORLDS = 240
SHARE = 60
ENOUGH = 400  # worlds in which a mutation must be found


@pytest.mark.parametrize("first", range(0, WORLDS, SHARE))
def test_no_promise_is_broken(first: int, tmp_path: Path) -> None:
    """Once, nothing lost, the limits over all waves, and nobody claims what another wave made."""
    tally = play_crowds(range(first, first + SHARE), folder=tmp_path)
    assert {seed: list(map(str, violations)) for seed, violations in tally.crowds.items()} == {}
    # Worlds in which nothing happens would prove nothing.
    assert tally.seen["created by crowds"] > SHARE
    assert tally.seen["doubts in crowds"] > SHARE / 4


def test_a_seed_replays_exactly(tmp_path: Path) -> None:
    with quiet():
        one, other = (play(11, trace=True, folder=tmp_path) for _ in range(2))
    assert one.histories[0].said == other.histories[0].said
    assert judge_together(one) == judge_together(other) == []


@contextmanager
def without_the_table_of_jobs() -> Iterator[None]:
    """Whoever wants to send for a job, sends."""
    whole = JobClaims.take

    def take(self: JobClaims, who: Any, work: Any, again: Callable[[], None]) -> bool:
        with mock.patch.object(JobClaims, "_is_busy", return_value=False):
            return whole(self, who, work, again)

    with mock.patch.object(JobClaims, "take", take):
        yield


@contextmanager
def without_the_others() -> Iterator[None]:
    """What other waves made, or may have made, is not asked for; of those of its own wave an entry knows."""
    whole = EntryStateMachine.others

    async def others(self: EntryStateMachine, entry: PlannedEntry) -> Others:
        return await whole(self, entry) if entry.shares_job else Others()

    with (
        mock.patch.object(JobClaims, "made", return_value=frozenset()),
        mock.patch.object(JobClaims, "doubts", return_value=()),
        mock.patch.object(EntryStateMachine, "others", others),
    ):
        yield


@contextmanager
def with_a_pace_for_each_wave() -> Iterator[None]:
    """The limits of a channel hold for each wave by itself."""
    whole = Channels.to

    def to(self: Channels, endpoint: str, project_id: str) -> Any:
        self._channels.clear()
        return whole(self, endpoint, project_id)

    with mock.patch.object(Channels, "to", to):
        yield


@contextmanager
def that_forgets_what_a_stopped_wave_left() -> Iterator[None]:
    """A wave that stops takes its doubts along: its jobs are free at once, and nobody knows of what may land."""

    def leave_in_doubt(self: JobClaims, who: Any, work: Any, lands_within_s: float) -> None:
        if who in self._claims.get(work.entry.job_id, {}):
            self._drop(work.entry.job_id, who)

    with mock.patch.object(JobClaims, "leave_in_doubt", leave_in_doubt):
        yield


@contextmanager
def that_asks_no_other_journal() -> Iterator[None]:
    """What another wave made in an earlier process is not known, where that has a journal of its own."""
    whole = Channel.enter

    def enter(self: Channel, *args: Any, **more: Any) -> Pass:
        return whole(self, *args, **{**more, "others": None})

    with mock.patch.object(Channel, "enter", enter):
        yield


@contextmanager
def that_begins_as_if_nothing_could_land() -> Iterator[None]:
    """What the process before left in doubt is known once its own wave is opened, and not before."""
    with mock.patch.object(JobClaims, "was_left"):
        yield


@pytest.mark.parametrize(
    ("mutation", "broken"),
    [
        (without_the_table_of_jobs, {"shared job"}),
        (without_the_others, {"claimed", "invented", "lost"}),
        (with_a_pace_for_each_wave, {"limit"}),
        (that_forgets_what_a_stopped_wave_left, {"shared doubt"}),
        (that_asks_no_other_journal, {"claimed", "invented", "lost"}),
        (that_begins_as_if_nothing_could_land, {"dead doubt"}),
    ],
)
def test_the_worlds_find_a_process(mutation: Callable[[], Any], broken: set[str], tmp_path: Path) -> None:
    """A test of the test: with this mistake a promise is broken that the judge names."""
    seen: set[str] = set()
    with mutation(), quiet():
        for seed in range(ENOUGH):
            try:
                seen |= {violation.name for violation in judge_together(play(seed, folder=tmp_path))}
            except Exception as error:  # noqa: BLE001 - whatever it is, the world has found it
                seen.add(type(error).__name__)
            if seen & broken:
                return
    pytest.fail(f"{ENOUGH} worlds did not notice it; what they saw: {seen or 'nothing'}")
