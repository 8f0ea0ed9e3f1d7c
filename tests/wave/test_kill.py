"""The real process, killed with SIGKILL and run again; `scripts/kill-waves` does it by the hundred."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from batcher.simulator.faults import NO_FAULTS
from tests.wave.killing import LOSSY, Nursery, at_every_boundary, at_random, kill_and_resume, nursery


@pytest.fixture
async def home() -> AsyncIterator[Nursery]:
    async with nursery() as made:
        yield made


async def test_killed_at_every_boundary(home: Nursery, tmp_path: Path) -> None:
    """A death right after each step of durability costs nothing and doubles nothing."""
    died = await kill_and_resume(home, tmp_path / "wave", at_every_boundary(), entries=24, faults=NO_FAULTS, seed=1)
    assert died.faults == []
    assert died.kills == 10
    assert died.statuses["created"] == 24


async def test_killed_while_answers_are_lost(home: Nursery, tmp_path: Path) -> None:
    """The same, where the cloud loses answers, is late, and refuses look-ups."""
    died = await kill_and_resume(home, tmp_path / "wave", at_every_boundary(), entries=24, faults=LOSSY, seed=2)
    assert died.faults == []
    assert died.kills >= 8


async def test_killed_at_random_moments(home: Nursery, tmp_path: Path) -> None:
    """A death at any moment: while opening, sending, waiting, writing."""
    rng = random.Random(3)
    died = await kill_and_resume(home, tmp_path / "wave", at_random(rng, 8), entries=120, faults=LOSSY, seed=3)
    assert died.faults == []
    assert died.kills >= 2  # a fast machine is done before the others
