"""What a service keeps its waves in and runs them with: a data folder of its own, or a database that machines share."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.port import WaveRegister
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.notices.courier import Outbox
from batcher.service.running.feed import Feed
from batcher.settings import RunSettings
from batcher.wave.status import WaveStatus


class WaveRunner(Protocol):
    """What becomes of the waves, as far as this process knows. Told of each change, it does what follows."""

    is_closing: bool

    async def start(self) -> None:
        """Take up what is there. Raises `StoreFailed`."""
        ...

    async def close(self, grace_s: float) -> None:
        """End in order, within *grace_s*; what this process does not finish goes on."""
        ...

    def hurry(self) -> None:
        """Leave at once."""
        ...

    @property
    def to_go(self) -> int:
        """How many waves run, or are to run."""
        ...

    def row(self, id: str) -> WaveRow | None:
        """The wave with that id, where it is known and has not ended."""
        ...

    def told(self, row: WaveRow) -> dict[str, Any]:
        """The wave as it is told, see `WaveModel`."""
        ...

    def feed(self, id: str) -> Feed:
        """The events of a wave."""
        ...

    def final_results(self, id: str) -> int | None:
        """How many lines of its results file are final; None: all that are there."""
        ...

    def put(self, row: WaveRow) -> None:
        """The wave *row* is new, or was changed: do what its state asks for, and tell of it."""
        ...


class Backend(Protocol):
    """Where waves are kept, and what runs them. Whatever is awaited raises `StoreFailed`."""

    data: DataFolder
    register: WaveRegister
    runner: WaveRunner

    @property
    def outbox(self) -> Outbox:
        """Where notifications wait."""
        ...

    async def open(self) -> None:
        """Take up what earlier processes left."""
        ...

    async def close(self) -> None:
        """Let go of everything; the runner has ended."""
        ...

    async def current(self, id: str) -> WaveRow | None:
        """The wave with that id, as it is now."""
        ...

    async def files(self, row: WaveRow) -> Folder:
        """The files of a wave, as they are by now."""
        ...

    async def edition(self, row: WaveRow, kind: str, path: Path) -> int:
        """The edition of its lines of that *kind*, in the file at *path*: another one where lines were taken back."""
        ...

    def require_able(self, settings: RunSettings, scopes: int) -> None:
        """See that a wave of so many *scopes* can have *settings* here. Raises `Problem`."""
        ...

    def goes_on_as(self, row: WaveRow) -> State:
        """The state of a paused wave once it goes on."""
        ...

    def steer(self, row: WaveRow, changes: Mapping[str, str]) -> None:
        """The settings of a run that may change while it lasts were changed."""
        ...

    def show_again(self, row: WaveRow) -> None:
        """The operator says so: a credential that was refused in the scopes of *row* may be shown once more."""
        ...

    def statuses(self) -> Sequence[WaveStatus]:
        """Where each wave stands that runs."""
        ...

    async def scopes(self) -> list[dict[str, Any]]:
        """Every scope in use, see `ScopeModel`."""
        ...

    async def workers(self) -> list[dict[str, Any]]:
        """Every worker, see `WorkerModel`."""
        ...
