"""What the waves of one service share, and how one of them is made: a station for each profile, over whose waves the
limits of a scope hold together. The stations share what belongs to a scope, since it is the same cloud for all of them.
"""

from collections.abc import Collection, Iterable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

from batcher.api import Wave
from batcher.clock import Clock, utc
from batcher.errors import UserError
from batcher.life.policy import LookFirst, Reconcile
from batcher.logger import get_logger
from batcher.service.given import ServedProfiles, lower
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.register import CLOCK_LEEWAY_S, WaveRow, settings_of
from batcher.service.meters import Meters
from batcher.settings import RunSettings
from batcher.settings.credentials import credential_sources
from batcher.settings.deadline import Deadline
from batcher.station import Station

log = get_logger("batcher.service")

MOST_AT_ONCE = 64  # waves that are open at once, in all scopes


class Host:
    """Makes the waves that run in this process, while the context lasts."""

    def __init__(
        self, data: DataFolder, service: ServedProfiles, clock: Clock, meters: Meters, *, grace_s: float
    ) -> None:
        self._data = data
        self._service = service
        self._clock = clock
        self._meters = meters
        self._grace_s = grace_s
        self._stations: dict[str | None, Station] = {}  # by profile
        self._beside: dict[str, list[Path]] = {}  # by wave: journals of those that ran beside it in earlier processes
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Host":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def may_begin(self, row: WaveRow, beside: Collection[WaveRow]) -> bool:
        """Whether *row* may run beside those that do. Waves of two profiles are in a scope one after the other: the
        limits and credentials of each are its own."""
        if len(beside) >= MOST_AT_ONCE:
            return False
        others = (one for one in beside if one.profile != row.profile)
        return not any(_meet(scope, other) for one in others for other in one.scopes for scope in row.scopes)

    def wave(self, row: WaveRow) -> Wave:
        """The next run of *row*, not opened yet. Raises `UserError`."""
        folder = self._folder(row)
        loaded = self._service.load(row.profile, settings_of(row))
        return self._station(row.profile).wave(
            folder.manifest,
            folder.results,
            settings=settings_of_run(row, loaded.settings, self._station(row.profile).settings, self._grace_s),
            priority=row.priority,
            command=f"batcher serve (wave {row.id})",
            wrap_journal=partial(self._meters.journal_of, row.id),
            format=row.format,
            encoding=row.encoding,
            checked_at=row.created_at,
            lost_since=row.created_at if row.is_restored else None,
            beside=self._beside_of(row),
        )

    async def take_note(self, rows: Iterable[WaveRow]) -> None:
        """Have the channels know what earlier processes left of *rows*, before anything is sent."""
        for row in rows:
            try:
                await self._station(row.profile).take_note(self._folder(row).journal)
            except UserError as error:
                log.error("service.recall_failed", wave=row.id, error=error.message)

    def set_beside(self, row: WaveRow, earlier: Iterable[WaveRow]) -> None:
        """Of the waves that *earlier* processes had begun, those that ran beside *row* are asked for what they made."""
        self._beside_of(row)[:] = [self._folder(other).journal for other in earlier if ran_beside(row, other)]

    def _beside_of(self, row: WaveRow) -> list[Path]:
        return self._beside.setdefault(row.id, [])

    def _folder(self, row: WaveRow) -> Folder:
        return self._data.wave(row.id, row.format, row.encoding)

    def show_again(self, row: WaveRow) -> None:
        """The operator says so: a credential that was refused in the scopes of *row* may be shown once more."""
        station = self._stations.get(row.profile)
        if station is not None:
            for endpoint, project_id, _ in row.scopes:
                station.try_again(endpoint, project_id or None)

    def _station(self, profile: str | None) -> Station:
        """The station of *profile*. Raises `UserError`."""
        station, sharing = self._stations.get(profile), next(iter(self._stations.values()), None)
        if station is None:
            loaded = self._service.load(profile, {})
            sources = credential_sources(loaded.settings, loaded.config)
            station = Station(loaded.settings, credentials=sources, clock=self._clock, sharing=sharing)
            self._stations[profile] = station
            self._stack.push_async_exit(station)  # there is nothing to enter: it opens its way with the first wave
        return station


def settings_of_run(row: WaveRow, settings: RunSettings, own: RunSettings, grace_s: float) -> RunSettings:
    """What the next run of *row* has of its *settings*, where the service's *own* stand above them."""
    changes: dict[str, Any] = {
        "rate": lower(settings.pace, own.pace),
        "grace": min(settings.grace, grace_s),
        "retry_failed": row.retry_failed,
    }
    if settings.read_rate is not None:
        changes["read_rate"] = lower(settings.read_pace, own.read_pace)
    if row.deadline_at is not None:
        changes["deadline"] = Deadline(moment=utc(row.deadline_at))
    if row.is_restored:
        changes |= _looking_first(settings)
    return settings.model_copy(update=changes)


def _looking_first(settings: RunSettings) -> dict[str, Any]:
    """What changes for a wave from a backup: nothing is sent that was not looked up, unless the operator says so."""
    if settings.look_first is LookFirst.NEVER:
        return {}
    off = settings.reconcile is Reconcile.OFF  # then what cannot be looked up is unsettled
    return {"look_first": LookFirst.ALWAYS, **({"reconcile": Reconcile.WINDOW} if off else {})}


def ran_beside(row: WaveRow, other: WaveRow) -> bool:
    """Whether *other*, which has begun, ran in a scope of *row* after *row* began, if it has.

    What it made before that is too old to be taken for what *row* made.
    """
    may_meet = any(_meet(scope, another) for scope in row.scopes for another in other.scopes)
    if other.id == row.id or not may_meet:
        return False
    if row.started_at is None or other.ended_at is None:
        return True
    return other.ended_at >= row.started_at - CLOCK_LEEWAY_S


def _meet(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    """Whether two scopes may be the same: a project that IAM is still to name may be any."""
    return one[0] == other[0] and (one[1] == other[1] or "" in (one[1], other[1]))
