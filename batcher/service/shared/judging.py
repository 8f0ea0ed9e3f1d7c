"""What the gate makes of a service's wave whose comparisons were followed to their verdicts."""

import asyncio

from batcher.clock import utc_now
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


class SharedJudge:
    """Judges waves by their copies, with what the configuration of this *service* accepts."""

    def __init__(self, mirror: Mirror, service: ServedProfiles) -> None:
        self._mirror = mirror
        self._service = service

    async def exit_code(self, row: WaveRow) -> int:
        """What `gate` exits with over *row*: 2 where it cannot be told. Raises `StoreFailed`."""
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
