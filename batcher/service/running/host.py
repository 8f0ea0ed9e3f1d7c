"""What the waves of one service share, and how one of them is made: a station for each profile, over whose waves the
limits of a scope hold together.
"""

from collections.abc import Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from batcher.api import Wave
from batcher.clock import Clock, utc
from batcher.follow.following import in_thread
from batcher.life.policy import LookFirst, Reconcile
from batcher.service.given import ServedProfiles, lower
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.register import WaveRow, settings_of
from batcher.service.meters import Meters
from batcher.service.running.recall import Recalled, ran_beside, recalled
from batcher.settings import Loaded, RunSettings
from batcher.settings.credentials import credential_sources
from batcher.settings.deadline import Deadline
from batcher.station import Station

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
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "Host":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def may_begin(self, row: WaveRow, beside: Collection[WaveRow]) -> bool:
        """Whether *row* may run beside those that do. Waves of two profiles share no scope: the limits and credentials
        of each are its own."""
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
            settings=self._settings_of(row, loaded),
            priority=row.priority,
            command=f"batcher serve (wave {row.id})",
            wrap_journal=partial(self._meters.journal_of, row.id),
            format=row.format,
            encoding=row.encoding,
            checked_at=row.created_at,
            lost_since=row.created_at if row.is_restored else None,
        )

    async def recall(self, row: WaveRow, others: Collection[WaveRow]) -> None:
        """*row* goes on after an earlier process: have its channels know what *others* made of its jobs meanwhile.

        Raises `UserError`.
        """
        beside = [self._folder(other) for other in others if ran_beside(row, other)]
        if not beside:
            return
        station, found = self._station(row.profile), list[Recalled]()
        await in_thread(lambda: found.extend(recalled(self._folder(row), beside)), lambda: None)
        for wave, entry, events in found:
            station.remember(wave, entry, events)

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
        station = self._stations.get(profile)
        if station is None:
            loaded = self._service.load(profile, {})
            sources = credential_sources(loaded.settings, loaded.config)
            station = self._stations[profile] = Station(loaded.settings, credentials=sources, clock=self._clock)
            self._stack.push_async_exit(station)  # there is nothing to enter: it opens its way with the first wave
        return station

    def _settings_of(self, row: WaveRow, loaded: Loaded) -> RunSettings:
        settings, own = loaded.settings, self._station(row.profile).settings
        changes: dict[str, Any] = {
            "rate": lower(settings.pace, own.pace),
            "grace": min(settings.grace, self._grace_s),
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


def _meet(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    """Whether two scopes may be the same: a project that IAM is still to name may be any."""
    return one[0] == other[0] and (one[1] == other[1] or "" in (one[1], other[1]))
