"""Plans a wave for the measurement of machines."""

from msgspec.structs import replace

from batcher.clock import utc_now
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.life.entry import Scope
from batcher.settings import RunSettings
from batcher.simulator.options import project_ids_of
from tests.journal.made import plan
from tests.wave.made import entry


def plan_wave(database: str, endpoint: str, *, scopes: int, entries: int) -> None:
    """Plan a wave with so many *scopes* of so many *entries* each, without a limit, one request at a time in each."""
    places = [Scope(place, endpoint, project) for place, project in enumerate(project_ids_of(scopes))]
    planned = [
        replace(
            entry(index, job=f"job-{index}", halves="object"),
            scope=places[index % len(places)],
        )
        for index in range(scopes * entries)
    ]
    settings = RunSettings(
        **{"endpoint": endpoint, "rate": "off", "landing_time": 3.0, "attempts": 100},
        concurrency=1,
    )
    said = settings.model_dump(mode="json", exclude={"proxy", "digest", "restart", "retry_failed"})
    facts = {"digest": "sha256:0", "begun_at": utc_now().isoformat(), "settings": said}
    keeper = PostgresKeeper(Address.of(database))
    try:
        plan(keeper.new_wave("measured"), planned, places, facts)
    finally:
        keeper.close()
