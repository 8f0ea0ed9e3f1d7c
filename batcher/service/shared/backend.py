"""A service over a database that machines share: it takes waves in, and workers run them, its own or others'."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batcher.clock import Clock
from batcher.machines.wanting import bounds_running
from batcher.service.given import ServedProfiles, finding, invalid
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.port import WaveRegister
from batcher.service.kept.register import WaveRow
from batcher.service.meters import Meters
from batcher.service.models import State
from batcher.service.notices.courier import Outbox
from batcher.service.notices.desk import Desk
from batcher.service.running.backend import WaveRunner
from batcher.service.shared.database import SharedServiceDatabase
from batcher.service.shared.judging import SharedJudge
from batcher.service.shared.local_workers import LocalWorkers
from batcher.service.shared.mirror import Mirror, MirrorFolder
from batcher.service.shared.opening import SharedOpener
from batcher.service.shared.outbox import SharedOutbox
from batcher.service.shared.register import SharedRegister
from batcher.service.shared.runner import SharedRunner
from batcher.service.shared.sights import scopes_told, workers_told
from batcher.settings import RunSettings
from batcher.wave.status import WaveStatus


class SharedBackend:
    """A `Backend` over *database*, with copies in *data*; *workers* is how many of this service's own run waves, *name*
    what the service is known by there. *desk* tells others of what happens."""

    def __init__(
        self,
        database: SharedServiceDatabase,
        data: MirrorFolder,
        service: ServedProfiles,
        clock: Clock,
        meters: Meters,
        desk: Desk,
        *,
        name: str,
        workers: int,
    ) -> None:
        address = database.address
        self.data: DataFolder = data
        self._database = database
        self._shared = SharedRegister(database, desk)
        self.register: WaveRegister = self._shared
        self._mirror = Mirror(data, self._shared, address, clock)
        self._pace = str(service.load(service.profile(None), {}).settings.pace)
        opener = SharedOpener(self._shared, self._mirror, service, address, clock, name=name)
        local = LocalWorkers(workers, service, address, clock)
        judge = SharedJudge(self._mirror, service, clock)
        self._seen = SharedRunner(
            database, self._shared, self._mirror, opener, judge, local, clock, meters, pace=self._pace
        )
        self.runner: WaveRunner = self._seen
        self.outbox: Outbox = SharedOutbox(database, clock, name=name)

    async def open(self) -> None:
        """See what there is, and begin to work."""
        try:
            await self.runner.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of everything; the runner has ended."""
        self._mirror.close()
        self._database.close()

    async def current(self, id: str) -> WaveRow | None:
        """The wave with that id, as it is now. Raises `StoreFailed`."""
        return await self._shared.get(id)

    async def files(self, row: WaveRow) -> Folder:
        """Copies of the files of a wave, as they are by now. Raises `StoreFailed`."""
        self._seen.read(row)
        return await self._mirror.bring(row)

    async def edition(self, row: WaveRow, kind: str, path: Path) -> int:
        """The edition of its lines: another one where lines were taken back. Raises `StoreFailed`."""
        return row.runs + await self._shared.reopened(row.id)

    def require_able(self, settings: RunSettings, scopes: int) -> None:
        """Refuse what no worker could keep of a wave of so many *scopes*. Raises `Problem`."""
        if bounds_running(settings) and scopes > 1:
            name = "max_running" if settings.max_running is not None else "max_running_per"
            why = "counts over the whole wave, whose scopes are run by different machines at the same moment"
            raise invalid([finding(name, None, why, "Leave it out, or hand each scope in as a wave of its own")])

    def goes_on_as(self, row: WaveRow) -> State:
        """The state of a paused wave once it goes on."""
        return State.RUNNING if row.is_open else State.QUEUED

    def steer(self, row: WaveRow, changes: Mapping[str, str]) -> None:
        """Nothing is to be done: what was changed is an order already."""

    def show_again(self, row: WaveRow) -> None:
        """Nothing is to be done: a worker tries a credential again by itself."""

    def statuses(self) -> Sequence[WaveStatus]:
        """Where each wave stands that runs."""
        return self._seen.statuses()

    async def scopes(self) -> list[dict[str, Any]]:
        """Every scope in use, see `ScopeModel`. Raises `StoreFailed`."""
        return await self._database.ask(lambda link: scopes_told(link, self._pace))

    async def workers(self) -> list[dict[str, Any]]:
        """Every worker of the database, see `WorkerModel`. Raises `StoreFailed`."""
        return await self._database.ask(workers_told)
