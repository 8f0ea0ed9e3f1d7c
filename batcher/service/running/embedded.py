"""A service with a data folder of its own, whose one process runs its waves."""

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from batcher._version import __version__
from batcher.clock import Clock
from batcher.service.audit import Audit
from batcher.service.given import ServedProfiles
from batcher.service.kept.database import ServiceDatabase
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.port import WaveRegister
from batcher.service.kept.register import Register, WaveRow
from batcher.service.meters import Meters
from batcher.service.models import State
from batcher.service.notices.courier import Outbox
from batcher.service.notices.desk import Desk
from batcher.service.notices.outbox import OwnOutbox
from batcher.service.running.backend import WaveRunner
from batcher.service.running.editions import Editions
from batcher.service.running.host import Host
from batcher.service.running.runner import Runner
from batcher.service.running.view import time_told
from batcher.settings import RunSettings
from batcher.wave.status import WaveStatus


class EmbeddedBackend:
    """A `Backend` over the folder *data*, which is held. Raises `UserError` where it is none of ours."""

    def __init__(
        self,
        data: DataFolder,
        service: ServedProfiles,
        clock: Clock,
        meters: Meters,
        desk: Desk,
        *,
        grace_s: float,
        workers: int = 1,
    ) -> None:
        """Without *workers* nothing runs here. *desk* tells others of what happens to them."""
        self.data = data
        self._database = ServiceDatabase(data.database, Audit(data.path / "audit.jsonl", clock.now))
        self.outbox: Outbox = OwnOutbox(self._database, clock)
        self._kept = Register(self._database, desk)
        self.register: WaveRegister = self._kept
        self._host = Host(data, service, clock, meters, grace_s=grace_s)
        self._runner = Runner(self._kept, data, self._host, clock, meters, workers=workers)
        self.runner: WaveRunner = self._runner
        self._editions = Editions(self._kept, self._runner)
        self._clock = clock
        self._workers = workers
        self._began = clock.now()
        self._name = f"{socket.gethostname()}-{os.getpid()}"

    async def open(self) -> None:
        """Take up what earlier processes left, and run it. Raises `StoreFailed`."""
        try:
            self.data.tidy(await self._kept.ids())
            await self._host.__aenter__()
            await self._runner.start()
        except BaseException:
            self._database.close()
            raise

    async def close(self) -> None:
        """Let go of everything; the runner has ended."""
        try:
            await self._host.__aexit__()
        finally:
            self._database.close()

    async def current(self, id: str) -> WaveRow | None:
        """The wave with that id, as it is now. Raises `StoreFailed`."""
        return self._runner.row(id) or await self._kept.get(id)

    async def files(self, row: WaveRow) -> Folder:
        """The files of a wave."""
        return self.data.wave(row.id, row.format, row.encoding)

    async def edition(self, row: WaveRow, kind: str, path: Path) -> int:
        """The edition of its lines of that *kind*, in the file at *path*: another one where lines were taken back."""
        return await self._editions.of(row, kind, path)

    def require_able(self, settings: RunSettings, scopes: int) -> None:
        """Do nothing: a wave can have any settings here."""

    def goes_on_as(self, row: WaveRow) -> State:
        """The state of a paused wave once it goes on."""
        return State.RUNNING if row.id in self._runner.running else State.QUEUED

    def steer(self, row: WaveRow, changes: Mapping[str, str]) -> None:
        """The settings of a run that may change while it lasts were changed."""
        if (run := self._runner.running.get(row.id)) is not None:
            run.change(changes)

    def show_again(self, row: WaveRow) -> None:
        """The operator says so: a credential that was refused in the scopes of *row* may be shown once more."""
        self._host.show_again(row)

    def statuses(self) -> Sequence[WaveStatus]:
        """Where each wave stands that runs."""
        return [status for run in self._runner.running.values() if (status := run.status()) is not None]

    async def scopes(self) -> list[dict[str, Any]]:
        """Every scope in use, see `ScopeModel`."""
        scopes: dict[tuple[str, str | None], dict[str, Any]] = {}
        for id, run in self._runner.running.items():
            status = run.status()
            for scope in status.scopes if status is not None else ():
                told = scopes.setdefault(
                    (scope.endpoint, scope.project_id),
                    {
                        "endpoint": scope.endpoint,
                        "project_id": scope.project_id,
                        "rate": scope.rate_text,
                        "limit": str(run.settings.rate),
                        "in_flight": 0,
                        "paused_until_s": None,
                        "reason": None,
                        "waves": [],
                        "worker": self._name,
                    },
                )
                told["in_flight"] += scope.in_flight
                told["waves"].append(id)
                if scope.paused_until_s is not None:
                    told["paused_until_s"] = round(scope.paused_until_s, 1)
                    told["reason"] = scope.reason
        return [scopes[key] for key in sorted(scopes, key=str)]

    async def workers(self) -> list[dict[str, Any]]:
        """The one process, see `WorkerModel`; none where it runs nothing."""
        if not self._workers:
            return []
        held = [
            {"endpoint": scope["endpoint"], "project_id": scope["project_id"], "epoch": None, "lease_left_s": None}
            for scope in await self.scopes()
        ]
        return [
            {
                "id": self._name,
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "version": __version__,
                "started_at": time_told(self._began),
                "seen_at": time_told(self._clock.now()),
                "lanes": None,
                "waves": list(self._runner.running),
                "scopes": held,
                "refuses": [],
            }
        ]
