"""What goes along with a run: where running comparisons cannot be counted any more, nobody waits for their end."""

import random
from pathlib import Path

import pytest

from batcher.clock import SystemClock
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.follow.admitting_follower import AdmittingFollower
from batcher.settings import RunSettings
from batcher.wave.stop import HowHard, Stop, StopKind, Stopping
from tests.follow.test_running_limit import SCOPE, entry

REFUSED = Trouble(fate=Fate.NOT_LET_IN, kind=ErrorKind.AUTH, error_msg="the token has expired")


@pytest.mark.parametrize("waits_first", [True, False])
async def test_a_scope_that_halts_with_a_place_taken_stops_who_waits_for_it(tmp_path: Path, waits_first: bool) -> None:
    """Its entry is in doubt and will not be settled in this run: the others would wait for ever."""
    stopping = Stopping()
    settings = RunSettings(max_running=1)
    admitting = AdmittingFollower(tmp_path / "r.jsonl", settings, SystemClock(), random.Random(1), stopping)
    admitting.take_up()
    admitting.begin({})
    admitting.ask(entry(0), lambda: None)
    if waits_first:
        admitting.ask(entry(1), lambda: None)
        assert stopping.why is None
    admitting.halted(SCOPE, REFUSED)
    if not waits_first:
        assert stopping.why is None
        admitting.ask(entry(1), lambda: None)
    await admitting.aclose()
    assert stopping.why is not None
    assert (stopping.why.kind, stopping.how) == (StopKind.REFUSED, HowHard.IN_ORDER)
    assert "the token has expired" in stopping.why.text


async def test_it_ends_with_the_wave_for_the_reason_of_the_wave(tmp_path: Path) -> None:
    """Nobody tells it so but the one value that everybody is handed."""
    stopping = Stopping()
    settings = RunSettings(wait=True, wait_ready=60.0)
    admitting = AdmittingFollower(tmp_path / "r.jsonl", settings, SystemClock(), random.Random(1), stopping)
    await admitting.start([], {})
    why = Stop(StopKind.MAX_FAILURES, "3 of 10 entries failed")
    stopping.stop(why)
    end = await admitting.follow()
    await admitting.aclose()
    assert end is not None
    assert end.stop == why
