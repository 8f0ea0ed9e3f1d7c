"""Comparing again what did not come out consistent: the entries of a next wave, cut down to what is in question."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from batcher.follow.verdict import HalfVerdict, Verdict, VerdictLine
from batcher.journal.port import Record
from batcher.life.entry import PlannedEntry
from batcher.manifest.write import ManifestLine
from batcher.wave.selection import NamedEntries

_OBJECT, _DATA, _OBJECTS = "object_level_compare_type", "data_level_compare_info", "compare_object_infos"


@dataclass(slots=True)
class Recheck:
    """Chooses, of the *chosen* entries, the comparisons with one of *verdicts*; `count` is how many entries they were
    of, `passed_over` how many of the chosen have each other verdict.

    The keys stay: at the gate the new verdict takes the place of the old one.
    """

    verdicts: frozenset[Verdict]
    chosen: NamedEntries = field(default_factory=NamedEntries)
    count: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    tables: int = 0  # that the chosen data-level comparisons were cut down to

    def lines(self, record: Record, verdicts: Iterable[VerdictLine]) -> Iterator[ManifestLine]:
        """The manifest's lines. *record* is the wave's journal, which has the requests."""
        for line in verdicts:
            entry = record.entry(line.index)
            if entry is None or entry.key != line.key:
                continue
            if not self.chosen.takes(entry.key, entry.job_id, entry.labels):
                continue
            body = self._body(entry, line)
            if body is None:
                self.passed_over[line.verdict.value] += 1
                continue
            self.count += 1
            yield ManifestLine(
                key=entry.key,
                endpoint=entry.scope.endpoint,
                project_id=entry.scope.project_id,
                body=body,
                x_language=entry.x_language,
                labels=entry.labels,
            )
        self.chosen.check_found()

    def _body(self, entry: PlannedEntry, line: VerdictLine) -> dict[str, Any] | None:
        """The request again, with only the halves in question; None: none is."""
        asked: dict[str, Any] = orjson.loads(entry.body)
        again = {"job_id": asked["job_id"]}
        if self._chosen(line.object_level_compare_result) and asked.get(_OBJECT):
            again[_OBJECT] = asked[_OBJECT]
        data = line.data_level_compare_result
        if data is not None and self._chosen(data) and asked.get(_DATA):
            # It starts at once: the time that was asked for then has passed.
            info = {**asked[_DATA], "start_time": None}
            if (objects := objects_again(data)) is not None and not info.get("compare_object_infos_with_token"):
                self.tables += sum(len(one.get("table_name", ())) for one in objects)
                info |= {_OBJECTS: objects, "compare_mode": None}
            again[_DATA] = info
        return again if len(again) > 1 else None

    def _chosen(self, half: HalfVerdict | None) -> bool:
        return half is not None and half.compare_task_id is not None and half.verdict in self.verdicts


def objects_again(half: HalfVerdict) -> list[dict[str, Any]] | None:
    """What to compare again of a data-level comparison: the tables that are not known to agree.

    None: that cannot be told, so all of it. What did not run to its end may not have listed every table.
    """
    if half.compare_task_status != "SUCCESSFUL" or not half.complete or not half.differences:
        return None
    databases: dict[str, list[str] | None] = {}
    for difference in half.differences:
        if difference.database is None:
            return None
        if difference.table is None:
            databases[difference.database] = None  # the whole of it
        elif (tables := databases.setdefault(difference.database, [])) is not None:
            tables.append(difference.table)
    return [
        {"db_name": name} if tables is None else {"db_name": name, "table_name": tables}
        for name, tables in databases.items()
    ]
