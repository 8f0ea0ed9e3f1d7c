"""Waves in a database that machines share, for commands that look at one or decide about it.

Whatever keeps them from it is a `UserError` of one sentence. They wait for a database that is away only for a moment:
somebody sits in front of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from batcher.journal.errors import (
    JournalAbsent,
    JournalFailed,
    JournalUnusable,
    LaneLost,
    NotAJournal,
    WaveRefused,
    unusable,
)
from batcher.journal.place import WavePlace
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.link import Patience
from batcher.journal.postgres.of_service import service_wave
from batcher.logger import get_logger
from batcher.text import counted

log = get_logger("batcher.journal")

_AT_HAND = Patience(answer_s=30.0, grace_s=10.0)


@contextmanager
def opened(address: Address, patience: Patience = _AT_HAND) -> Iterator[PostgresKeeper]:
    """The waves in the database at *address*. Raises `UserError`, also of what fails while the context lasts.

    Where that is away meanwhile it is said, and waited for by *patience*.
    """
    try:
        keeper = PostgresKeeper(address, patience=patience, program="batcher (looks)")
        keeper.link.on_away = lambda reason: log.warning("database.away", reason=reason)
        try:
            yield keeper
        finally:
            keeper.close()
    except (NotAJournal, JournalFailed) as error:
        raise unusable(error) from error


@contextmanager
def reading_shared(place: WavePlace) -> Iterator[PostgresWrittenRecord]:
    """The record of the wave at *place*, also while it runs. Raises `UserError`."""
    wave = place.required_wave()
    with opened(place.address) as keeper:
        yield planned_wave(keeper, place, wave)


@contextmanager
def deciding_shared(place: WavePlace) -> Iterator[PostgresWrittenRecord]:
    """The same to write in: what is decided while a worker has a scope that it is about is refused, with its name.

    Raises `UserError`.
    """
    wave = place.required_wave()
    with opened(place.address) as keeper:
        record = planned_wave(keeper, place, wave)
        end_run_out_leases(keeper, record)
        try:
            yield record
        except LaneLost:
            raise WaveRefused(_held(keeper, record, place)) from None


def planned_wave(keeper: PostgresKeeper, place: WavePlace, wave: str) -> PostgresWrittenRecord:
    """The record of the *wave* at *place*, which is planned. Raises `JournalAbsent`, `JournalFailed`."""
    try:
        record = keeper.wave(wave)
    except JournalAbsent as error:
        if (found := service_wave(keeper.link, wave)) is not None:
            said = found.why_not_begun or "has not begun"
            raise JournalAbsent(f"{place} is a service's wave of which there is nothing yet: it {said}.") from None
        listed = WavePlace(place.address)
        raise JournalAbsent(f"{error} `batcher status --journal '{listed}'` lists those that are there.") from None
    if not record.is_planned():
        raise JournalUnusable(f"{place} is being planned, or its planning was broken off: nothing was sent.")
    return record


def end_run_out_leases(keeper: PostgresKeeper, record: PostgresWrittenRecord) -> None:
    """End the leases that ran out on the wave's scopes: nobody has those, and nobody is to believe so."""
    keeper.link.do(
        lambda c: c.execute(
            "UPDATE scopes SET epoch = epoch + 1, owner = NULL, free_since = lease_until, lease_until = NULL "
            "WHERE lease_until <= clock_timestamp() AND id IN (SELECT scope FROM wave_scopes WHERE wave = %s)",
            (record.number,),
        ),
        writing=True,
    )


def _held(keeper: PostgresKeeper, record: PostgresWrittenRecord, place: WavePlace) -> str:
    rows = keeper.link.rows(
        "SELECT s.endpoint, s.project_id, s.owner FROM scopes s "
        "WHERE s.lease_until IS NOT NULL AND s.id IN (SELECT scope FROM wave_scopes WHERE wave = %s) "
        "ORDER BY 1, 2",
        (record.number,),
    )
    if not rows:
        return f"another process had a scope of {place} a moment ago: run the same command again"
    who = "; ".join(f"{owner} has project {project} at {endpoint}" for endpoint, project, owner in rows[:3])
    more = f" (and {counted(len(rows) - 3, 'more scope')})" if len(rows) > 3 else ""
    return (
        f"nothing was decided: {who}{more}. Wait until it has nothing left to do there, or have it hand the wave on: "
        f"batcher control --journal '{place}' stop"
    )
