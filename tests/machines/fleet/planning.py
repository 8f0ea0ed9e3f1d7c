"""Plans a wave, in a process of its own: it would keep the simulated cloud from answering in time.

Started as `python -m tests.machines.fleet.planning DATABASE ENDPOINT NUMBER SCOPES ENTRIES LIMIT`.
"""

import sys

from msgspec.structs import replace

from batcher.clock import utc_now
from batcher.journal.errors import JournalAbsent
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Patience
from batcher.life.entry import Scope
from batcher.settings import RunSettings
from batcher.simulator.options import project_ids_of
from tests.journal.made import plan
from tests.wave.made import entry

_HALVES = ("object", "data", "both")


def main(
    database: str, endpoint: str, number: str, scopes: str, entries: str, limit: str, *, concurrency: int = 8
) -> None:
    """Plan the wave, where it is not there yet. Raises `JournalFailed` where the database is away."""
    places = [Scope(place, endpoint, project) for place, project in enumerate(project_ids_of(int(scopes)))]
    planned = [
        replace(
            entry(index, job=f"w{number}-{index}", halves=_HALVES[index % 3]),
            scope=places[index // 3 % len(places)],
        )
        for index in range(int(scopes) * int(entries))
    ]
    settings = RunSettings(
        **{"endpoint": endpoint, "rate": limit, "landing_time": 3.0, "attempts": 100},
        concurrency=concurrency,
    )
    said = settings.model_dump(mode="json", exclude={"proxy", "digest", "restart", "retry_failed"})
    facts = {"digest": f"sha256:{number}", "begun_at": utc_now().isoformat(), "settings": said}
    keeper = PostgresKeeper(Address.of(database), patience=Patience(grace_s=0.0))
    try:
        if f"wave-{number}" in keeper.waves():
            return
        try:
            record = keeper.wave(f"wave-{number}")
        except JournalAbsent:
            record = keeper.new_wave(f"wave-{number}")
        plan(record, planned, places, facts)
    finally:
        keeper.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
