"""How a following ended, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batcher.drs.outcome import Trouble
from batcher.follow.follower import FollowStatus, ScopeName


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowEnd:
    """How a following ended. *stopped* is why it ended before the last verdict, *signal* which signal made it."""

    verdicts: Path
    status: FollowStatus
    stopped: str | None
    signal: str | None
    halted: Mapping[ScopeName, Trouble]
