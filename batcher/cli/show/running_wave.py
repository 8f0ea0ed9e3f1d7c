"""A wave that is run from the command line, wherever it is recorded: what is asked of it."""

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from batcher.settings import RunSettings
from batcher.wave.engine import WaveEnd
from batcher.wave.opening import OpeningState
from batcher.wave.status import WaveStatus
from batcher.wave.stop import Stop

if TYPE_CHECKING:
    from batcher.follow.follower import FollowEnd, FollowStatus
    from batcher.journal.place import JournalPlace


class RunningWave(Protocol):
    """An async context manager, as `batcher.api.Wave` is, which has the meaning of each."""

    @property
    def settings(self) -> RunSettings:
        """The settings that the wave is run with."""
        ...

    @property
    def credentials(self) -> Mapping[tuple[str, str], str]:
        """Which credential lets requests of each scope in, by (endpoint, project_id), for people."""
        ...

    @property
    def found(self) -> OpeningState | None:
        """What was there when the wave was opened."""
        ...

    @property
    def journal_path(self) -> "JournalPlace | None":
        """The place in which the wave is recorded."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether something may be sent."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def status(self) -> WaveStatus:
        """How far the wave is at this moment."""
        ...

    async def run(self) -> WaveEnd:
        """Run the wave to its end."""
        ...

    def stop(self, stop: Stop) -> None:
        """Stop in order: what is in flight is settled."""
        ...

    def abandon(self) -> None:
        """Stop at once: what is in flight stays in doubt."""
        ...

    def following(self) -> "FollowStatus | None":
        """Where the following of what was created stands; None: nothing is followed."""
        ...

    async def follow(self) -> "FollowEnd | None":
        """Follow what was created; None: nothing is followed."""
        ...
