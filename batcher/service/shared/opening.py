"""Opening a service's wave in the database: planned there, or taken up again, for workers to run.

Whoever opens it has it to itself for a while, and says so again and again; a service that dies over it leaves it to the
others. No worker takes the wave before its row says that it is open, in the same transaction.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from batcher import exits
from batcher.clock import Clock, utc
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed, NotAJournal, WaveRefused
from batcher.journal.files import WaveFiles
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.logger import get_logger
from batcher.machines.shared_opening import OpeningTerms, open_shared
from batcher.machines.wanting import OneScopeManifest
from batcher.manifest import ManifestError, finding_line, open_manifest
from batcher.scopes import run_defaults, with_project
from batcher.service.given import ServedProfiles
from batcher.service.kept.errors import StoreFailed
from batcher.service.kept.register import WaveRow, settings_of
from batcher.service.models import State
from batcher.service.running.host import settings_of_run
from batcher.service.running.run import in_brief
from batcher.service.running.verbs import final
from batcher.service.shared.left_to_others import NotHere
from batcher.service.shared.mirror import Mirror
from batcher.service.shared.register import SharedRegister
from batcher.settings import Loaded
from batcher.settings.credentials import credential_sources
from batcher.wave.opening import BadManifest
from batcher.wave.request import OpeningStopped, StoppableManifest, requested
from batcher.wave.stop import Stop, StopKind, Stopping
from batcher.zone import zone_of

log = get_logger("batcher.service")

_CLAIMED_S = 30.0  # unless it is said again
_SAID_AGAIN_S = 8.0
_TRIED_AGAIN_S = 5.0


class SharedOpener:
    """Opens waves, by the name *name* of this service."""

    def __init__(
        self, register: SharedRegister, mirror: Mirror, service: ServedProfiles, address: Address, clock: Clock,
        *, name: str,
    ) -> None:  # fmt: skip
        self._register = register
        self._mirror = mirror
        self._service = service
        self._address = address
        self._clock = clock
        self._name = name

    async def open(self, id: str) -> WaveRow | None:
        """Open the wave with that id, unless another service does, or nobody is to any more.

        The wave as it is then; None: another opens it. Raises `StoreFailed`; `NotHere` where another service may.
        """
        row = await self._register.take_to_open(id, self._name, _CLAIMED_S)
        if row is None:
            return None
        stopping = Stopping()
        task = asyncio.create_task(self._changes(row, stopping), name=f"open {id}")
        try:
            while not (await asyncio.wait({task}, timeout=_SAID_AGAIN_S))[0]:
                if await self._register.take_to_open(id, self._name, _CLAIMED_S) is None:
                    stopping.stop(Stop(StopKind.ASKED, "it is not to be opened any more"))
            changes = await task
        except NotHere:
            await self._register.give_back(id, self._name)
            raise
        except (asyncio.CancelledError, StoreFailed):
            stopping.stop(Stop(StopKind.SUSPENDED, "the service ends"))
            await asyncio.wait({task})
            raise
        if changes is None:
            return None
        return await self._register.release(id, self._name, lambda row: {**changes, "runs": row.runs + 1})

    async def _changes(self, row: WaveRow, stopping: Stopping) -> Mapping[str, Any] | None:
        """What changes of *row*: it is open, or why it cannot be; None: that is for later. Raises `StoreFailed`,
        `NotHere`."""
        now = self._clock.now()
        try:
            deadline_in_s = await self._planned(row, stopping)
        except OpeningStopped:
            return None
        except JournalFailed as error:
            raise StoreFailed(f"the database {self._address} cannot be used: {error.reason}") from error
        except NotAJournal as error:  # it was prepared for a newer version since this service began
            raise NotHere(str(error)) from error
        except BadManifest as error:
            first = finding_line(error.findings[0])
            return _stopped(exits.USAGE, f"the manifest is no longer sound, as it was when it came in: {first}", now)
        except WaveRefused as error:
            if not row.is_begun:
                return _stopped(error.exit_code, in_brief(error.message), now)
            log.warning("service.wave_postponed", wave=row.id, reason=error.message)
            await self._clock.sleep(_TRIED_AGAIN_S)
            return None
        except UserError as error:
            log.error("service.wave_refused", wave=row.id, error=error.message)
            return _stopped(error.exit_code, in_brief(error.message), now)
        opened: dict[str, Any] = {
            "state": State.RUNNING,
            "is_open": True,
            "is_begun": True,
            "started_at": row.started_at or now,
            "ended_at": None,
            "exit_code": None,
            "reason": None,
            "retry_failed": False,
            "counts": final(row.counts),
        }
        if deadline_in_s is not None and row.deadline_at is None:
            opened["deadline_at"] = now + deadline_in_s
        return opened

    async def _planned(self, row: WaveRow, stopping: Stopping) -> float | None:
        """Have the wave planned, or taken up again; seconds until its deadline, None: it has none.

        Raises `UserError`, `BadManifest`, `JournalFailed`, `StoreFailed`, `NotHere`.
        """
        loaded, own = self._settings(row)
        folder = await self._mirror.manifest(row)
        settings = settings_of_run(row, loaded.settings, own.settings, own.settings.grace)
        sources = credential_sources(settings, loaded.config)
        manifest = await asyncio.to_thread(open_manifest, folder.manifest, row.format, row.encoding)
        if manifest.digest != row.digest:
            raise UserError(f"the manifest in the database is damaged: its digest is {manifest.digest}")
        now = self._clock.now()
        try:
            defaults = await with_project(manifest, run_defaults(settings, sources), settings, sources, now)
        except ManifestError:
            raise
        except UserError as error:  # its credentials are its own
            raise NotHere(in_brief(error.message)) from error
        request = requested(
            settings,
            OneScopeManifest(StoppableManifest(manifest, stopping), settings),
            defaults,
            WaveFiles.of_run(None, None, manifest.digest),
            command=f"batcher serve (wave {row.id})",
            checked_at=row.created_at,
            lost_since=None,
        )
        deadline_in_s = None
        if (deadline := settings.deadline) is not None:
            deadline_in_s = deadline.seconds_from(utc(now), zone_of(settings.timezone))
        terms = OpeningTerms(request=request, settings=settings, deadline_in_s=deadline_in_s, releases=False)
        await asyncio.to_thread(self._open, row.id, terms)
        return deadline_in_s

    def _settings(self, row: WaveRow) -> tuple[Loaded, Loaded]:
        """The settings of a run of the wave, and what this service's configuration says of them. Raises `NotHere`."""
        if row.profile is not None and row.profile not in self._service.profiles:
            raise NotHere(f"this one does not offer its profile {row.profile!r}")
        try:
            return self._service.load(row.profile, settings_of(row)), self._service.load(row.profile, {})
        except UserError as error:
            raise NotHere(in_brief(error.message)) from error

    def _open(self, id: str, terms: OpeningTerms) -> None:
        keeper = PostgresKeeper(self._address, program=f"batcher/{self._name} (plans)")
        try:
            open_shared(keeper, id, terms, self._clock)
        finally:
            keeper.close()


def _stopped(exit_code: int, reason: str, now: float) -> Mapping[str, Any]:
    return {"state": State.STOPPED, "exit_code": exit_code, "reason": reason, "ended_at": now}


def is_to_open(row: WaveRow) -> bool:
    """Whether somebody is to open the wave *row*. One that nobody has approved never is."""
    return row.state is State.QUEUED and row.is_approved


def with_trouble(row: WaveRow, error: StoreFailed) -> WaveRow:
    """*row* as it is told while *error* is in the way."""
    return replace(row, reason=f"{error}. It is tried again by itself")
