"""What becomes of the waves of a database, as one of its services sees it and sees to it.

Workers run them, this service's own or others'. A service looks at the database twice a second: it opens what is
queued, brings a wave's row in line with where the wave stands, and tells whoever listens. Each of that any service may
do first; the others find it done.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec.structs import replace

from batcher.clock import Clock
from batcher.errors import BatcherError
from batcher.journal.postgres.link import DatabaseLink
from batcher.journal.postgres.verdicts import note_settled
from batcher.life.result import Status
from batcher.logger import get_logger
from batcher.machines.standing import SeenWorker, SharedStanding, in_flight_of, standings_of, workers_of
from batcher.service.kept.errors import StoreFailed
from batcher.service.kept.register import WaveRow
from batcher.service.meters import Meters
from batcher.service.models import State
from batcher.service.running.feed import Feed
from batcher.service.running.feeds import Feeds
from batcher.service.running.view import wave_told
from batcher.service.shared import course
from batcher.service.shared.database import SharedServiceDatabase
from batcher.service.shared.judging import SharedJudge
from batcher.service.shared.left_to_others import LeftToOthers, NotHere
from batcher.service.shared.local_workers import LocalWorkers
from batcher.service.shared.mirror import Mirror
from batcher.service.shared.opening import SharedOpener, is_to_open, with_trouble
from batcher.service.shared.register import SharedRegister
from batcher.service.shared.sights import Pace, following_of, status_of, why_untaken
from batcher.service.shared.told_lines import ToldLines
from batcher.wave.status import WaveStatus

log = get_logger("batcher.service")

_LOOK_S = 0.5
_AWAY_S = 2.0  # between two looks at a database that does not answer
_TAKEN_UP_S = 5.0  # between two looks whether somebody goes on with a wave that had come to rest
_OPEN_AT_ONCE = 2
_READ_LATELY_S = 20.0  # a copy goes on for so long after somebody asked for it
_IN_FLIGHT_S = 6.0  # for what is in flight to be answered, where another wave keeps the worker there
_END, _COPY = "end", "copy"
_ACTIVE = (State.HELD, State.QUEUED, State.RUNNING, State.PAUSED, State.STOPPING)
_UNDER_WAY = (State.RUNNING, State.PAUSED, State.STOPPING)


class SharedRunner:
    """The waves of the database, seen from here: a `WaveRunner`. *pace* is what the service's settings have."""

    def __init__(
        self,
        database: SharedServiceDatabase,
        register: SharedRegister,
        mirror: Mirror,
        opener: SharedOpener,
        judge: SharedJudge,
        workers: LocalWorkers,
        clock: Clock,
        meters: Meters,
        *,
        pace: str,
    ) -> None:
        self._database = database
        self._register = register
        self._mirror = mirror
        self._opener = opener
        self._judge = judge
        self._workers = workers
        self._clock = clock
        self._pace = pace
        self._rows: dict[str, WaveRow] = {}  # of waves that have not ended
        self._put: set[str] = set()  # waves that were put since the look that goes on began
        self._standings: dict[str, SharedStanding] = {}
        self._seen_workers: Sequence[SeenWorker] = ()
        self._paces: dict[str, Pace] = {}
        self._forbidden_at: dict[str, float] = {}  # monotonic: since when orders have ended a wave
        self._read_at: dict[str, float] = {}  # monotonic: when somebody last read a wave's lines
        self._openings: dict[str, asyncio.Task[None]] = {}
        self._left = LeftToOthers(clock)
        self._works: dict[tuple[str, str], asyncio.Task[None]] = {}  # by what is done and the wave's id
        self._feeds = Feeds()
        self._lines = ToldLines(self._feeds, meters)
        self._noted: set[str] = set()  # waves of which it was noted that all is settled
        self._take_up_at = 0.0  # monotonic
        self._looking: asyncio.Task[None] | None = None
        self._nudge = asyncio.Event()
        self.is_closing = False

    # --- life ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Look at what is there, and have the workers of this service work."""
        with suppress(StoreFailed):  # it was there a moment ago: the next look tells of it
            await self._look()
        self._workers.begin()
        self._looking = asyncio.create_task(self._look_on(), name="service-look")

    async def close(self, grace_s: float) -> None:
        """Have this service's workers hand on what they have; the waves go on elsewhere, or with the next start."""
        if self.is_closing:
            return
        self.is_closing = True
        log.warning("service.ending", waves=len(self._rows))
        self._feeds.wake()
        tasks = [*self._openings.values(), *self._works.values(), *filter(None, [self._looking])]
        for task in tasks:
            task.cancel()
        await self._workers.end(grace_s)
        for task in tasks:
            with suppress(asyncio.CancelledError, BatcherError):
                await task

    def hurry(self) -> None:
        """Leave at once."""
        self._workers.hurry()

    # --- what there is ------------------------------------------------------------------------------------

    @property
    def to_go(self) -> int:
        """How many waves run, or are to run."""
        return sum(row.state is not State.HELD for row in self._rows.values())

    def row(self, id: str) -> WaveRow | None:
        """The wave with that id, where it has not ended."""
        return self._rows.get(id)

    def told(self, row: WaveRow) -> dict[str, Any]:
        """The wave as it is told, see `WaveModel`."""
        status = self._status(row)
        row = self._left.told(row)
        if status is not None and row.state is State.RUNNING and row.reason is None:
            row = replace(row, reason=why_untaken(self._standings[row.id], self._seen_workers))
        return wave_told(row, status, None if status is None else following_of(self._standings[row.id]))

    def statuses(self) -> list[WaveStatus]:
        """Where each wave stands that runs."""
        return [status for row in self._rows.values() if (status := self._status(row)) is not None]

    def _status(self, row: WaveRow) -> WaveStatus | None:
        standing = self._standings.get(row.id)
        if standing is None or not row.is_begun or row.state not in _UNDER_WAY:
            return None
        pace = self._paces.setdefault(row.id, Pace(self._clock))
        return status_of(standing, self._seen_workers, str(row.given.get("rate", self._pace)), pace.per_s)

    def feed(self, id: str) -> Feed:
        """The events of a wave."""
        return self._feeds.of(id)

    def final_results(self, id: str) -> int | None:
        """None: all lines that are here are final. The copy goes on for as long as somebody asks."""
        self._read_at[id] = self._clock.monotonic()
        return None

    def read(self, row: WaveRow) -> None:
        """Somebody reads the lines of *row*."""
        self._read_at[row.id] = self._clock.monotonic()
        if row.state in _ACTIVE:
            self._rows.setdefault(row.id, row)

    def put(self, row: WaveRow) -> None:
        """The wave *row* is new, or was changed: tell of it, and see to it soon."""
        self._put.add(row.id)
        if row.state in _ACTIVE:
            self._rows[row.id] = row
        else:
            self._forget(row.id)
        self._tell(row)
        self._nudge.set()

    # --- looking ------------------------------------------------------------------------------------------

    async def _look_on(self) -> None:
        while True:
            pause_s = _LOOK_S
            self._nudge.clear()
            try:
                await self._look()
            except StoreFailed as error:
                pause_s = _AWAY_S
                for row in list(self._rows.values()):
                    self._tell(with_trouble(row, error))
            except Exception as error:  # a defect: the API goes on, and so does the next look
                log.error("service.failed", exc_info=error)
                pause_s = _AWAY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._nudge.wait()

    async def _look(self) -> None:
        """See how everything stands, and what follows. Raises `StoreFailed`."""
        self._put.clear()
        await self._take_up()
        found_rows = await self._register.in_states(_ACTIVE)
        rows = {row.id: row for row in found_rows if row.id not in self._put}  # what was put meanwhile is newer
        missing = self._rows.keys() - rows.keys()
        self._rows = rows | {id: self._rows[id] for id in missing}
        for id in missing - self._put:
            row = await self._register.get(id)
            if row is not None and row.state not in _ACTIVE:
                self._begin(_END, id, self._ended(row))
        rows = dict(self._rows)
        under_way = [row.id for row in rows.values() if course.is_under_way(row)]

        def standings(link: DatabaseLink) -> tuple[list[SharedStanding], list[SeenWorker]]:
            flying = in_flight_of(link) if under_way else {}
            found = [one for id in under_way for one in standings_of(link, id, in_flight=flying)]
            return found, workers_of(link)

        found, self._seen_workers = await self._database.ask(standings)
        self._standings = {standing.wave: standing for standing in found}
        for standing in found:
            self._paces.setdefault(standing.wave, Pace(self._clock)).see(standing.settled)
        await self._tell_lines()
        for standing in found:
            row = rows[standing.wave]
            if self._is_over(row, standing):
                self._begin(_END, row.id, self._end(row, standing))
            elif course.what_follows(row, standing):
                changed = await self._register.change_by_standing(row.id, course.what_follows)
                if changed is not None:
                    self._rows[row.id] = changed
        self._open_queued()
        for row in list(self._rows.values()):
            self._tell(row)
        await self._tidy()

    async def _take_up(self) -> None:
        """Somebody goes on with waves that had come to rest, or ruled on their entries, past the services: have their
        rows say so. Raises `StoreFailed`."""
        now = self._clock.monotonic()
        if now < self._take_up_at:
            return
        self._take_up_at = now + _TAKEN_UP_S
        for id in await self._register.gone_on_with():
            row = await self._register.change_by_standing(id, course.taken_up)
            if row is not None and row.is_open:
                log.info("service.wave_begun", wave=id, name=row.name)
        for id in await self._register.ruled_on():
            row = await self._register.change_by_standing(id, course.ruled_on)
            if row is not None:
                self._tell(row)

    def _begin(self, what: str, id: str, work: Coroutine[Any, Any, object]) -> None:
        """Have *work* for a wave done beside the looks, which a large one would hold up; one of its kind at a time."""
        if (what, id) in self._works:
            work.close()
            return

        async def done() -> None:
            try:
                await work
            except StoreFailed as error:  # the next look begins it again
                log.error("service.store_failed", wave=id, error=str(error))
                await asyncio.sleep(_AWAY_S)
            except Exception as error:  # a defect, with this wave: it is told, and the others go on
                log.error("service.wave_failed", wave=id, exc_info=error)
                await asyncio.sleep(_READ_LATELY_S)
            finally:
                work.close()
                del self._works[what, id]

        self._works[what, id] = asyncio.create_task(done(), name=f"{what} {id}")

    async def _end(self, row: WaveRow, standing: SharedStanding) -> None:
        """Nothing more comes of the wave: have its row say so."""
        left: Counter[Status] = Counter()
        if standing.settled < standing.entries:
            left = await self._mirror.left_open(row)
        judged = await self._judge.exit_code(row) if course.is_judged(standing) else 0
        if judged is None:  # a service that has its profile tells
            return
        now = self._clock.now()
        changed = await self._register.change_by_standing(
            row.id, lambda row, standing: course.end_of(row, standing, left, judged, now)
        )
        if changed is None or changed.state in _ACTIVE:
            return
        log.info(
            "service.wave_ended",
            wave=row.id,
            state=changed.state.value,
            exit_code=changed.exit_code,
            reason=changed.reason,
        )
        await self._ended(changed)

    def _is_over(self, row: WaveRow, standing: SharedStanding) -> bool:
        """Whether nothing more comes of the wave: all is settled, or orders have ended it and nothing is in flight."""
        if standing.settled >= standing.entries:
            return not course.is_followed(standing)
        if not standing.is_forbidden:
            self._forbidden_at.pop(row.id, None)
            return False
        since = self._forbidden_at.setdefault(row.id, self._clock.monotonic())
        return not course.is_held(standing) or self._clock.monotonic() - since > _IN_FLIGHT_S

    async def _ended(self, row: WaveRow) -> None:
        """The wave *row* has come to rest: its last lines are here before anybody hears of it."""
        if self._is_read(row.id):
            await self._mirror.bring(row)
        self._forget(row.id)
        self._tell(row)

    def _forget(self, id: str) -> None:
        for known in (self._rows, self._standings, self._paces, self._forbidden_at):
            known.pop(id, None)
        self._lines.forget(id)
        self._noted.discard(id)
        self._left.forget(id)

    def _is_read(self, id: str) -> bool:
        at = self._read_at.get(id)
        return at is not None and self._clock.monotonic() - at < _READ_LATELY_S

    async def _copy(self, row: WaveRow) -> None:
        """Bring the copy of lines that somebody reads in line."""
        await self._mirror.bring(row)
        self.feed(row.id).wake()

    async def _tell_lines(self) -> None:
        """Tell of new lines, and have them brought where somebody reads."""
        for id, standing in self._standings.items():
            row = self._rows.get(id)
            if row is None:
                continue
            if self._is_read(id):
                self._begin(_COPY, id, self._copy(row))
            self._lines.see(id, standing)
            if course.is_followed(standing) and id not in self._noted:
                await self._database.ask(partial(_note_settled, id))  # from then on counts how long they are looked for
                self._noted.add(id)

    # --- opening ------------------------------------------------------------------------------------------

    def _open_queued(self) -> None:
        waiting = [row for row in self._rows.values() if is_to_open(row) and row.id not in self._openings]
        waiting = [row for row in waiting if not self._left.has(row.id)]
        for row in sorted(waiting, key=lambda row: (-row.priority, row.number)):
            if len(self._openings) >= _OPEN_AT_ONCE:
                return
            task = self._openings[row.id] = asyncio.create_task(self._open(row), name=f"open {row.id}")
            task.add_done_callback(partial(self._opened, row.id))

    def _opened(self, id: str, _: asyncio.Task[None]) -> None:
        self._openings.pop(id, None)

    async def _open(self, row: WaveRow) -> None:
        try:
            opened = await self._opener.open(row.id)
        except NotHere as error:
            self._left.leave(row.id, error)
            self._tell(row)
            return
        except StoreFailed as error:
            log.error("service.store_failed", wave=row.id, error=str(error))
            self._tell(with_trouble(row, error))
            await asyncio.sleep(_AWAY_S)
            return
        except Exception as error:  # a defect, with this wave: it is told, and the others go on
            log.error("service.wave_failed", wave=row.id, exc_info=error)
            await asyncio.sleep(_READ_LATELY_S)
            return
        if opened is None:
            await asyncio.sleep(_AWAY_S)  # another service opens it
            return
        if opened.is_open:
            log.info("service.wave_begun", wave=row.id, name=row.name)
        self.put(opened)

    # --- telling of it ------------------------------------------------------------------------------------

    def _tell(self, row: WaveRow) -> None:
        self._feeds.tell(row.id, self.told(row), goes_on=row.id in self._rows)

    async def _tidy(self) -> None:
        """Forget what nobody asks for any more."""
        await self._mirror.tidy(self._rows.keys() | self._read_at.keys())
        for id in [id for id in self._read_at if not self._is_read(id)]:
            del self._read_at[id]
        self._feeds.tidy(self._rows)


def _note_settled(id: str, link: DatabaseLink) -> None:
    row = link.row("SELECT number FROM waves WHERE id = %s", (id,))
    if row is not None:
        note_settled(link, row[0])
