"""`batcher watch` of a wave in a database that nobody follows there: what it finds is kept there as well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from batcher.cli.show.terminal import note, tell
from batcher.clock import SystemClock
from batcher.journal.place import WavePlace
from batcher.journal.postgres.looking import opened, planned_wave
from batcher.machines.found_verdicts import FoundVerdicts
from batcher.text import counted


@asynccontextmanager
async def kept_as_found(place: WavePlace, results: Path, *, quiet: bool) -> AsyncIterator[None]:
    """Keep the verdicts beside *results* in the database at *place* while they are found, and say so at the end.

    Raises `UserError` where the wave is not there.
    """
    with ExitStack() as stack:
        keeper = await asyncio.to_thread(stack.enter_context, opened(place.address))
        record = await asyncio.to_thread(planned_wave, keeper, place, place.required_wave())
        found = FoundVerdicts(keeper.verdicts(record.number), results, SystemClock())
        async with found.keeping():
            yield
    if found.failure is not None:
        note(f"not all verdicts are in the database for other machines, but beside {results}: {found.failure}")
    elif found.kept and not quiet:
        tell(f"{counted(found.kept, 'verdict')} kept in the database, where every machine has them")
