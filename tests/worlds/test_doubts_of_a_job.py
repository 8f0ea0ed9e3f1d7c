"""Two doubts of one job that are read from the journal far from each other: neither waits for the other for ever.

A wave reads its open entries some hundred at a time, and reads on when there is room. So an entry can come to its next
request while the doubt of another entry of its job has not been read yet, although the channel knows of it.
"""

import asyncio
import random
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from unittest import mock

import orjson
import pytest

from batcher.channel.channel import ChannelLimits, Channels
from batcher.drs.outcome import Fate
from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.journal.files import WaveFiles
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Happened, Op, Settled
from batcher.life.events import Answered, Event, Intended, Reopened
from batcher.life.policy import Policy
from batcher.life.result import Status
from batcher.life.result_line import result_line
from batcher.life.state import history
from batcher.manifest import Entry, RunDefaults
from batcher.simulator.config import CloudConfig
from batcher.wave import lane
from batcher.wave.opening import begin
from batcher.wave.request import Request
from tests.virtual import WALL_AT_START, run
from tests.wave.made import OBJECT, trouble
from tests.worlds.many import quiet
from tests.worlds.process import Process
from tests.worlds.spec import ENDPOINT, Faults, Life, Spec, WorldManifest, draw_spec
from tests.worlds.world import Company, World

SHARED = "job-shared"
NEAR, REFUSED, FAR = 0, 1, 20
"""The entries of that job: two doubts, which are not read together, and one that the cloud refused."""

BATCH = 16  # entries read at a time: as with 256, and more entries, but sooner done
LONG_AGO_S = 10_000.0
TURNS = 20_000


@pytest.mark.parametrize("retry_failed", [False, True], ids=["", "retry-failed"])
@pytest.mark.parametrize(
    "given_up",
    [(FAR,), (NEAR,), (FAR, NEAR), (FAR, FAR), (FAR, None)],
    ids=["far", "near", "far and near", "far and far", "one that is not sent again"],
)
def test_doubts_of_one_job_do_not_wait_for_each_other(
    given_up: tuple[int | None, ...], retry_failed: bool, tmp_path: Path
) -> None:
    """Not where waves know of each other, however far from each other their doubts are read."""
    for place, world in zip(given_up, _resumed(tmp_path, given_up, retry_failed=retry_failed), strict=True):
        status = _statuses(world)
        settled_once = {place} - {None}
        assert {index for index, one in status.items() if one is Status.UNSETTLED} == settled_once
        assert {index for index, one in status.items() if one is Status.FAILED} == (
            set() if retry_failed else {REFUSED}
        )
        assert len(status) == FAR + 1


@pytest.mark.parametrize("given_up", [NEAR, FAR])
def test_nothing_is_sent_for_a_job_before_its_other_doubt_was_looked_up(given_up: int, tmp_path: Path) -> None:
    """Nor where a wave has its channels to itself, which then know of no doubt that has not been read."""
    (world,) = _resumed(tmp_path, (given_up,), private=True)
    (line,) = [line for line in world.disk.record.lines() if orjson.loads(line)["index"] == given_up]
    looked_up_at = datetime.fromisoformat(orjson.loads(line)["finished_at"]).timestamp() - WALL_AT_START
    (sent,) = [one for one in world.traffic.sent if one.job[1] == SHARED]
    assert sent.entry == {NEAR: FAR, FAR: NEAR}[given_up]
    assert sent.left_at > looked_up_at


def _statuses(world: World) -> dict[int, Status]:
    record = world.disk.record
    results = {index: record.result_of(index) for index in range(FAR + 1)}
    return {index: result[1] for index, result in results.items() if result is not None}


def _resumed(
    folder: Path, given_up: tuple[int | None, ...], *, private: bool = False, retry_failed: bool = False
) -> list[World]:
    """Waves in one process, taken up again: one for each of *given_up*, which is the doubt of the job that ended
    unsettled once; the other one may be sent again. None: the latter is not there."""

    async def main() -> list[World]:
        records: list[MemoryRecord] = []
        worlds: list[World] = []
        for wave in range(len(given_up)):
            beside = worlds[0] if worlds else None
            worlds.append(World(_spec(wave), folder / f"{wave}.jsonl", trace=False, beside=beside, database=records))
        base, life = worlds[0].spec, Life(retry_failed=retry_failed)
        process = Process(life, 0.0, 0.0, worlds[0].say)
        for world, place in zip(worlds, given_up, strict=True):
            left = _Left(world, process)
            for index in range(FAR + 1):
                left.doubt(index, given_up=index == place, is_refused=index == REFUSED)
        limits = ChannelLimits(
            rate=None, read_rate=None, concurrency=8, give_up_after_s=None, slack_s=base.policy.slack_s
        )
        channels = Channels(process, random.Random(1), limits, private=private)
        company = Company(process, channels, 0, None)
        await asyncio.gather(*(world.live(1, life, calm=True, company=company) for world in worlds))
        channels.close()
        for world in worlds:
            world.disk.close()
        return worlds

    with quiet(), mock.patch.object(lane, "_BATCH", BATCH):
        return run(main, turns=TURNS)


def _spec(wave: int) -> Spec:
    """A cloud in which nothing goes wrong, and a wave that has little room in memory: it reads on late."""
    entries = tuple(
        Entry.of(
            index=index,
            line=index + 1,
            key=f"wave-{wave}-{index}",
            endpoint=ENDPOINT,
            project_id="p-0",
            request=CreateCompareTaskReq(
                job_id=SHARED if index in (NEAR, REFUSED, FAR) else f"job-{wave}-{index}",
                object_level_compare_type="objects",
            ),
            x_language=f"entry-{index}",
        )
        for index in range(FAR + 1)
    )
    return replace(
        draw_spec(0),
        seed=wave,
        entries=entries,
        allow_duplicates=True,
        policy=Policy(held=4, concurrency=8),
        rate=None,
        read_rate=None,
        config=CloudConfig(limit=None, read_limit=None),
        faults=Faults(),
        lives=(Life(),),
        settings=None,
    )


class _Left:
    """A wave as an earlier process left it: its requests left long ago, and nothing of them landed."""

    def __init__(self, world: World, process: Process) -> None:
        self._record, self._process = world.disk.record, process
        self._at = process.now() - LONG_AGO_S
        request = Request(
            manifest=WorldManifest(world.spec.entries, f"sha256:{world.spec.seed:064x}"),  # type: ignore[arg-type]
            defaults=RunDefaults(endpoint=None, project_id=None, x_language=None, insecure_http=False),
            files=WaveFiles.of(world.disk.results),
            allow_duplicates=True,
            retry_failed=False,
            look_first=world.spec.look_first,
        )
        begin(request, self._record, process)

    def doubt(self, index: int, *, given_up: bool, is_refused: bool) -> None:
        """What is known of the entry there: it is in doubt, or *is_refused*. One that was not *given_up* was refused
        once, and sent again with --retry-failed."""
        self._happened(index, self._intent(), ends=Status.UNSETTLED if given_up else None)
        if given_up:
            return
        refused = Answered(
            at=self._at, sent_at=self._at, halves={OBJECT: trouble(Fate.REFUSED)}, http_status=400, request_id=None
        )
        self._happened(index, refused, ends=Status.FAILED)
        if not is_refused:
            again = Reopened(at=self._at, was=Status.FAILED, why="--retry-failed", fresh=True)
            self._happened(index, again)
            self._happened(index, self._intent())

    def _intent(self) -> Intended:
        monotonic = self._process.monotonic() - LONG_AGO_S
        return Intended(at=self._at, asked=frozenset({OBJECT}), timebase=self._process.timebase, monotonic=monotonic)

    def _happened(self, index: int, event: Event, *, ends: Status | None = None) -> None:
        record = self._record
        ops: list[Op] = [Happened(index=index, event=event)]
        if ends is not None:
            entry = record.entry(index)
            assert entry is not None
            state = history(entry.asked, [*record.events(index), event])
            ops.append(
                Settled(index=index, status=ends, line=result_line(entry, state, ends, trouble(Fate.MAYBE), self._at))
            )
        record.commit(ops)
