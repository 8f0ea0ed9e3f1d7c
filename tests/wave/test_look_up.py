"""One look-up of a doubt: what it proves is as of when the list was asked for."""

import random
from typing import Any, cast

import pytest

from batcher.channel.read_terms import LooksForWave
from batcher.channel.scope_reader import ScopeReader
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import ListOutcome
from batcher.life.events import Intended, LookedUp, Sight
from batcher.life.policy import Policy
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
from tests.wave.test_scope_reader import Deaf, ListCloud

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
        clock, rng = virtual_clock(), random.Random(1)
        nobody, deaf = cast("Any", None), cast("Any", Deaf())
        context = Context(
            policy=Policy(landing_s=LANDING_S), clock=clock, rng=rng, journal=deaf, collector=nobody,
            counts=WaveCounts(clock, 1, {}), stopping=Stopping(), on_result=nobody,
        )  # fmt: skip
        way = entered(cast("Cloud", SlowCloud(lambda _: ([], 0))), clock)
        machine = Told(context, Agenda(clock), way)
        reader = ScopeReader(way, clock, LooksForWave(way, clock, LookSign(context).leave))
        asked = frozenset({OBJECT})
        held = HeldEntry(entry(halves="object"), history(asked, [Intended(at=NOON, asked=asked)]))
        held.sent_at = clock.monotonic()
        await clock.sleep(asked_after_s)
        await LookUps(way, context, machine, reader).make(held)
        return machine.seen

    assert run(main).halves[OBJECT].sight is sight
