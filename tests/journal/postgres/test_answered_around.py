"""What tells the cloud's time at a request: answers of all waves of the scope, as a small wave may have none itself."""

from contextlib import closing

from msgspec.structs import replace

from batcher.journal.ops import Happened
from batcher.journal.postgres.keeper import PostgresKeeper
from tests.journal.made import ANSWER, INTENT, OTHER, plan
from tests.journal.postgres.cluster import needed, prepared
from tests.wave.made import SCOPE, entry


def test_answers_to_other_waves_in_the_scope_are_found() -> None:
    with closing(PostgresKeeper(prepared(needed()))) as keeper:
        large, small = keeper.new_wave("large"), keeper.new_wave("small")
        plan(large, [entry(0), replace(entry(1), scope=OTHER), entry(2)], [SCOPE, OTHER])
        plan(small, [entry(0, job="small")], [SCOPE])
        for index in range(2):
            large.commit([Happened(index=index, event=INTENT), Happened(index=index, event=ANSWER)])
        small.commit([Happened(index=0, event=INTENT)])
        large.commit([Happened(index=2, event=INTENT)])
        found = small.answered_around(entry(0, job="small"))
        assert [(other.job_id, other.scope, events) for other, events in found] == [("job-0", SCOPE, [INTENT, ANSWER])]
