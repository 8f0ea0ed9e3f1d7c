"""A wave that is planned and has not got its orders yet: nobody who follows it takes it for stopped."""

import pytest

from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.orders import hold_until_ordered, order_wave
from batcher.machines.shared_status import WaveSighting
from batcher.machines.standing import SharedStanding, standings_of
from batcher.service.models import State
from batcher.service.shared import course
from batcher.service.shared.sights import why_untaken
from tests.journal.made import plan
from tests.journal.postgres.cluster import needed, prepared
from tests.service.test_registers import wave


def follows_from(standing: SharedStanding) -> object:
    """What changes of the row of a wave that runs."""
    return course.what_follows(wave("tested", state=State.RUNNING, is_open=True), standing)


@pytest.mark.parametrize("is_ordered", [False, True])
def test_only_a_stop_that_somebody_ordered_ends_it(is_ordered: bool) -> None:
    keeper = PostgresKeeper(prepared(needed()))
    record = keeper.new_wave("tested")
    hold_until_ordered(keeper.link, record.number)
    plan(record, 3)
    if is_ordered:
        order_wave(keeper.link, record.number, stop="by hand")
    (standing,) = standings_of(keeper.link, "tested")
    keeper.close()
    assert (standing.stage, standing.is_over) == (("stopped", True) if is_ordered else ("planning", False))
    assert WaveSighting(standing=standing, others=0).is_forbidden is is_ordered  # what `run` ends by
    assert follows_from(standing) == ({"state": State.STOPPING, "reason": "by hand"} if is_ordered else {})


def test_one_whose_last_entry_is_settled_between_two_looks_waits_for_nobody() -> None:
    """Its counts are read before its scopes: the service took such a wave for one that nobody takes, and fell over."""
    keeper = PostgresKeeper(prepared(needed()))
    plan(keeper.new_wave("tested"), 3)
    keeper.link.do(lambda c: c.execute("UPDATE wave_scopes SET settled = entries"))
    (standing,) = standings_of(keeper.link, "tested")
    keeper.close()
    assert standing.settled < standing.entries
    assert why_untaken(standing, []) is None
