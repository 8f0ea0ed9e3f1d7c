"""One look-up of a doubt: what it proves is as of when the list was asked for."""

import random
from math import inf
from typing import Any, cast

import pytest

from batcher.channel.cloud_clock import StampedComparison
from batcher.channel.passes import Pass
from batcher.channel.read_terms import LooksForWave
from batcher.channel.scope_reader import ScopeReader
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import ListOutcome
from batcher.journal.ops import Op
from batcher.life.decide import LookUp, Settle
from batcher.life.events import Intended, LookedUp, Sight
from batcher.life.policy import Policy
from batcher.life.result import Status
from batcher.life.state import history
from batcher.wave.agenda import Agenda, HeldEntry
from batcher.wave.context import Context
from batcher.wave.entry_state_machine import EntryStateMachine
from batcher.wave.look_sign import LookSign
from batcher.wave.look_up import LookUps
from batcher.wave.status import WaveCounts
from batcher.wave.stop import Stopping
from tests.pace.server import virtual_clock
from tests.virtual import run
from tests.wave.made import NOON, OBJECT, entered, entry
from tests.wave.test_scope_reader import Deaf, ListCloud, row

LANDING_S, TAKES_S = 20.0, 4.0


class SlowCloud(ListCloud):
    """A cloud whose empty list takes a while to arrive."""

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: object = None) -> ListOutcome:
        """What was there when it was asked for."""
        outcome = await super().list_comparisons(job_id, page=page)
        await virtual_clock().sleep(TAKES_S)
        return outcome


class Told(EntryStateMachine):
    """A state machine that keeps what a look-up told."""

    seen: LookedUp

    async def next(self, held: HeldEntry, event: Any, *, late: bool = False) -> None:
        """Keep *event*."""
        self.seen = event


def looking(cloud: ListCloud, machine: type[EntryStateMachine]) -> tuple[Pass, EntryStateMachine, LookUps]:
    """A way to *cloud*, and what looks up and decides for the last entry of a scope."""
    clock, rng = virtual_clock(), random.Random(1)
    nobody, deaf = cast("Any", None), cast("Any", Deaf())
    context = Context(
        policy=Policy(landing_s=LANDING_S), clock=clock, rng=rng, journal=deaf, collector=nobody,
        counts=WaveCounts(clock, 1, {}), stopping=Stopping(), on_result=nobody,
    )  # fmt: skip
    way = entered(cast("Cloud", cloud), clock)
    agenda = Agenda(clock)
    agenda.complete()
    leads = machine(context, agenda, way)
    reader = ScopeReader(way, clock, LooksForWave(way, clock, LookSign(context).leave))
    return way, leads, LookUps(way, context, leads, reader)


@pytest.mark.parametrize(
    ("asked_after_s", "sight"),
    [
        (LANDING_S - TAKES_S - 1, Sight.ABSENT),
        (LANDING_S - 1, Sight.ABSENT),
        (LANDING_S + 0.1, Sight.PROVEN_ABSENT),
    ],
)
def test_a_list_proves_nothing_of_what_may_land_after_it_was_asked_for(asked_after_s: float, sight: Sight) -> None:
    async def main() -> LookedUp:
        clock = virtual_clock()
        _, machine, look_ups = looking(SlowCloud(lambda _: ([], 0)), Told)
        assert isinstance(machine, Told)
        asked = frozenset({OBJECT})
        held = HeldEntry(entry(halves="object"), history(asked, [Intended(at=NOON, asked=asked)]))
        held.sent_at = clock.monotonic()
        await clock.sleep(asked_after_s)
        await look_ups.make(held)
        return machine.seen

    assert run(main).halves[OBJECT].sight is sight


class HalfDeaf(ListCloud):
    """Each job has one comparison, made at NOON; that of the job "known" is told only after so many *failures*."""

    def __init__(self, failures: float) -> None:
        super().__init__(lambda _: ([], 0))
        self.failures = failures

    async def list_comparisons(self, job_id: str, *, page: int, on_sent: object = None) -> ListOutcome:
        """That one, or a page that cannot be read."""
        rows: Any = [{**row(job_id), "compare_type": "object_comparison", "create_time": int(NOON * 1000)}]
        if job_id == "known" and self.failures:
            self.failures -= 1
            rows = None
        self.page = lambda _: (rows, 1)
        return await super().list_comparisons(job_id, page=page)


class Ended(EntryStateMachine):
    """A state machine that records no end."""

    async def settle(self, held: HeldEntry, action: Settle, *before: Op) -> None:
        """See `HeldEntry.action`."""


@pytest.mark.parametrize(("failures", "status"), [(0, Status.CREATED), (5, Status.CREATED), (inf, Status.UNSETTLED)])
def test_what_tells_the_clouds_time_is_looked_up_again_where_that_failed(failures: float, status: Status) -> None:
    """Else the last doubt of a scope is left to a person for one look-up that failed. It ends, though."""

    async def main() -> Settle:
        clock = virtual_clock()
        way, _, look_ups = looking(HalfDeaf(failures), Ended)
        began = clock.monotonic()
        known = StampedComparison(
            task_id="task-known", job_id="known", timebase=clock.timebase, after=began, before=began + 0.1
        )
        way.cloud_clock.remember(known)
        intent = Intended(at=NOON, asked=frozenset({OBJECT}), timebase=clock.timebase, monotonic=began)
        held = HeldEntry(entry(halves="object"), history(intent.asked, [intent]))
        await clock.sleep(2 * LANDING_S)
        for _ in range(100):
            await look_ups.make(held)
            if isinstance(held.action, Settle):
                return held.action
            assert isinstance(held.action, LookUp)
            await clock.sleep(held.action.after_s)
        raise AssertionError("it is looked up for ever")

    assert run(main).status is status
