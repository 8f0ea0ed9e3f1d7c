"""Small values for the tests of the wave: entries, troubles, comparisons."""

import random
from typing import Any

import orjson

from batcher.channel.channel import Channel, ChannelLimits
from batcher.channel.passes import Pass
from batcher.clock import Clock
from batcher.drs.cloud import Cloud
from batcher.drs.outcome import Comparison, ErrorKind, Fate, Half, Trouble
from batcher.life.entry import PlannedEntry, Scope

SCOPE = Scope(0, "https://drs.example.invalid", "p")
OBJECT, DATA = Half.OBJECT, Half.DATA
NOON = 1_790_000_000.0  # by the cloud's clock


def channel(clock: Clock, *, give_up_after_s: float | None = None, private: bool = True, **limits: Any) -> Channel:
    """A channel to that scope, without a limit unless one is given."""
    asked = {"rate": None, "read_rate": None, "concurrency": 4, **limits}
    allowed = ChannelLimits(give_up_after_s=give_up_after_s, slack_s=5.0, **asked)
    return Channel("p@drs.example.invalid", clock, random.Random(1), allowed, private=private)


def entered(cloud: Cloud, clock: Clock, *, give_up_after_s: float | None = None) -> Pass:
    """The pass of a wave that has a channel to itself."""
    return channel(clock, give_up_after_s=give_up_after_s).enter(cloud, wave="the wave")


def entry(index: int = 0, *, job: str | None = None, policy: str = "cancel", halves: str = "both") -> PlannedEntry:
    """An entry that asks for `lines`, for objects, or for both."""
    wire: dict[str, Any] = {"job_id": job or f"job-{index}"}
    if halves in ("object", "both"):
        wire["object_level_compare_type"] = "objects"
    if halves in ("data", "both"):
        wire["data_level_compare_info"] = {
            "conflict_policy": policy,
            "compare_type": "lines",
            "compare_mode": None,
            "start_time": None,
            "compare_object_infos": [{"db_name": f"db{index}"}],
        }
    return PlannedEntry(
        index=index,
        line=index + 1,
        key=f"key-{index}",
        scope=SCOPE,
        job_id=wire["job_id"],
        body=orjson.dumps(wire),
        x_language=None,
        labels={},
    )


def trouble(fate: Fate, kind: ErrorKind = ErrorKind.SERVER, *, listed: bool = True, **more: Any) -> Trouble:
    """A trouble of that fate."""
    return Trouble(fate=fate, kind=kind, error_code="DRS.M00000", error_msg="said so", listed=listed, **more)


def comparison(task_id: str, *, at: float | None = NOON, kind: str = "lines", status: str = "RUNNING") -> Comparison:
    """A listed comparison, created at *at*."""
    return Comparison(
        compare_task_id=task_id,
        compare_type=kind,
        compare_task_status=status,
        create_time=None if at is None else round(at * 1000),
    )
