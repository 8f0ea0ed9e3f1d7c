"""Memory that nothing uses any more goes back to the system, where a wave is large enough."""

import ctypes
import sys
from pathlib import Path

import pytest

from batcher import Wave, api, memory
from batcher.cli.show import follow_end
from batcher.cli.show.follow_end import FollowSummary
from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.follow.verdict import Verdict
from tests.report.waves import write_wave

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_it_works_with_every_allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.give_back()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())  # musl's, macOS's
    memory.give_back()


def test_no_wave_fails_where_no_library_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def static(_: None) -> None:
        raise OSError("dynamic loading not supported")

    with monkeypatch.context() as patched:
        patched.setattr(ctypes, "CDLL", static)
        memory.give_back()
    monkeypatch.setitem(sys.modules, "ctypes", None)  # its extension was not built
    memory.give_back()


@pytest.mark.parametrize("entries", [2, 3])
async def test_what_planning_took_is_given_back_before_a_large_wave_runs(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(api, "MANY", 3)
    monkeypatch.setattr(api, "trim", lambda: given.append(1))
    rows = "".join(f"job-{number},objects\n" for number in range(entries))
    Path("jobs.csv").write_text(f"job_id,object_level_compare_type\n{rows}")
    monkeypatch.setenv("BATCHER_ENDPOINT", "http://127.0.0.1:1")
    async with Wave("jobs.csv", "results.jsonl"):
        assert len(given) == (entries == 3)


@pytest.mark.parametrize("entries", [2, 3])
def test_what_following_took_is_given_back_before_the_gate_counts(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr(follow_end, "MANY", 3)
    monkeypatch.setattr(follow_end, "give_back", lambda: given.append(1))
    write_wave(Path("r.jsonl"), entries)
    status = FollowStatus(entries=entries, verdicts={Verdict.CONSISTENT: entries}, running=0, looks=0, silent=False)
    FollowSummary.of(
        Path("r.jsonl"), FollowEnd(verdicts=Path("r.verdicts.jsonl"), status=status, stop=None, halted={}), ()
    )
    assert len(given) == (entries == 3)
