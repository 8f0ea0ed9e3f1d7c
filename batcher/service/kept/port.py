"""The waves that a service has accepted, whoever keeps them: the port of `register.py` and of `shared/register.py`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from batcher.service.audit import AuditEntry
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import WaveRow
from batcher.service.models import ReadAudit, State


class WaveRegister(Protocol):
    """The waves. Every method raises `StoreFailed`, and those that change something `AuditFailed`.

    What was changed is durable when the call returns, together with whose deed it was, or nothing of it is.
    """

    async def add(self, row: WaveRow, key: str | None, deed: AuditEntry, folder: Folder) -> WaveRow:
        """Keep a new wave with the manifest in *folder*, by *deed*; the wave of the same *key* where there is one.

        A key is its submitter's own.
        """
        ...

    async def of_key(self, who: str, key: str) -> tuple[str, WaveRow] | None:
        """The digest of the manifest and the wave that *who* handed in under *key*; None: there is none."""
        ...

    async def get(self, id: str) -> WaveRow | None:
        """The wave with that id."""
        ...

    async def change(
        self, id: str, decide: Callable[[WaveRow], Mapping[str, Any]], deed: AuditEntry | None = None
    ) -> WaveRow | None:
        """Change the wave with that id as *decide* says of it as it is then.

        The wave as it is now; None: there is none. *deed* is whose doing it is, None: the service's own. What *decide*
        raises comes out, and nothing is changed.
        """
        ...

    async def record(self, deed: AuditEntry) -> None:
        """Record what is done elsewhere than here: before it is begun, or how it went."""
        ...

    async def page(self, state: State | None, limit: int, below: int | None) -> list[WaveRow]:
        """Up to *limit* waves, the newest first, whose number is *below* that."""
        ...

    async def in_states(self, states: Iterable[State]) -> list[WaveRow]:
        """All waves in one of *states*, the oldest first."""
        ...

    async def counts(self) -> dict[State, int]:
        """How many waves there are in each state."""
        ...

    async def audit_page(self, asked: ReadAudit) -> tuple[list[dict[str, Any]], int | None]:
        """The lines of who did what that are *asked* for, and where the next page begins."""
        ...

    async def probe(self) -> None:
        """Ask whether they can be read."""
        ...
