"""Small waves for the tests of journals."""

from collections.abc import Iterable, Mapping
from typing import Any

from batcher.journal.port import MutableRecord
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Intended
from tests.wave.made import DATA, NOON, SCOPE, entry

INTENT = Intended(at=NOON, asked=frozenset({DATA}))
ANSWER = Answered(at=NOON, sent_at=NOON, halves={}, http_status=200, request_id=None)


def plan(
    record: MutableRecord,
    entries: int | Iterable[PlannedEntry],
    scopes: Iterable[Scope] = (SCOPE,),
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Plan a wave: so many entries, or these."""
    with record.planning() as writes:
        for scope in scopes:
            writes.add_scope(scope)
        writes.add_entries(map(entry, range(entries)) if isinstance(entries, int) else entries)
        writes.finish(facts or {"digest": "sha256:0"})
