"""What the gate makes of a service's wave whose comparisons were followed to their verdicts."""

import asyncio

from batcher.clock import Clock, utc_now
from batcher.errors import UserError
from batcher.gate.accepted import read_acceptances
from batcher.gate.result import evaluate
from batcher.gate.wave_entries import entries_of
from batcher.homes import expanded
from batcher.logger import get_logger
from batcher.service.given import ServedProfiles
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import WaveRow, settings_of
from batcher.service.shared.mirror import Mirror

log = get_logger("batcher.service")

_LEFT_FOR_S = 30.0  # to services that have the wave's profile


class SharedJudge:
    """Judges waves by their copies, with what the configuration of this *service* accepts."""

    def __init__(self, mirror: Mirror, service: ServedProfiles, clock: Clock) -> None:
        self._mirror = mirror
        self._service = service
        self._clock = clock
        self._left: dict[str, float] = {}  # monotonic: until when a wave is left to other services

    async def exit_code(self, row: WaveRow) -> int | None:
        """What `gate` exits with over *row*: 2 where it cannot be told. None: this service does not offer its profile,
        and another one has a while to tell. Raises `StoreFailed`."""
        if row.profile is not None and row.profile not in self._service.profiles:
            now = self._clock.monotonic()
            if now < self._left.setdefault(row.id, now + _LEFT_FOR_S):
                return None
        folder = await self._mirror.bring(row)
        try:
            return await asyncio.to_thread(self._judged, row, folder)
        except UserError as error:
            log.error("service.wave_refused", wave=row.id, error=error.message)
            return error.exit_code

    def _judged(self, row: WaveRow, folder: Folder) -> int:
        accepted = self._service.load(row.profile, settings_of(row)).settings.allow_inconsistent
        acceptances = () if accepted is None else read_acceptances(expanded(accepted))
        return evaluate(entries_of([folder.results], journal=folder.place), acceptances, utc_now().date()).exit_code
