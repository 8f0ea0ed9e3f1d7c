"""Entries of a wave chosen by how they ended, as a manifest for the next one."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from batcher.drs.outcome import Half
from batcher.errors import UserError
from batcher.journal.sqlite.store import Store
from batcher.life.result import Status
from batcher.manifest.write import ManifestLine

_RESULTS = {
    Half.OBJECT: "object_level_compare_create_result",
    Half.DATA: "data_level_compare_create_result",
}


class Selection(Struct, kw_only=True):
    """What is chosen: one of *statuses*, and one of *kinds* of error where any are named.

    *count* is how many entries were given out, *unended* how many the results have no line of. Invalid ones have no
    request that could be: *unwritable* has the lines of the manifest where they stand.
    """

    statuses: Collection[Status]
    kinds: Collection[str] = ()
    count: int = 0
    unended: int = 0
    unwritable: list[int] = []

    def lines(self, store: Store, results: Iterable[Mapping[str, Any]]) -> Iterator[ManifestLine]:
        """The chosen entries of the wave in *store*, in the order of its *results*.

        An entry of which one half exists already asks for the other one only, so that nothing is created twice.
        Raises `UserError` where the two do not belong together.
        """
        self.unended = store.entry_count()
        for result in results:
            self.unended -= 1
            if result["status"] not in self.statuses or (self.kinds and result["error_kind"] not in self.kinds):
                continue
            line = self._line(store, result)
            if line is not None:
                self.count += 1
                yield line

    def _line(self, store: Store, result: Mapping[str, Any]) -> ManifestLine | None:
        entry = store.entry(result["index"])
        line = store.line_of(result["index"])
        if line is None or (entry is not None and entry.key != result["key"]):
            raise UserError(
                f"the results and the journal are of two waves: entry {result['key']} is not in the journal."
            )
        if entry is None:
            self.unwritable.append(line)
            return None
        made = {half for half, name in _RESULTS.items() if (result[name] or {}).get("compare_task_id")}
        return ManifestLine.of_body(
            entry.request_body(entry.asked - made or entry.asked, keep=False),
            key=entry.key,
            endpoint=entry.scope.endpoint,
            project_id=entry.scope.project_id,
            x_language=entry.x_language,
            labels=entry.labels,
        )
