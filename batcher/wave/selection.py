"""Entries of a wave chosen by how they ended, as a manifest for the next one."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from batcher.errors import UserError
from batcher.journal.port import Record
from batcher.life.result import Status
from batcher.manifest.labels import ANY_LABELS, LabelFilter
from batcher.manifest.write import ManifestLine
from batcher.wave.older import HALVES


class NamedEntries(Struct, kw_only=True):
    """Which entries are meant by name: by *keys* or *jobs*, where any are named, and by their *labels*.

    *found* are the keys and jobs that some line had.
    """

    keys: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    labels: LabelFilter = ANY_LABELS
    found: set[str] = set()

    def takes(self, key: str, job_id: str | None, labels: Mapping[str, str]) -> bool:
        """Whether the entry with *key*, *job_id* and *labels* is meant."""
        if self.keys or self.jobs:
            named = {name for name, among in ((key, self.keys), (job_id, self.jobs)) if name in among}
            if not named:
                return False
            self.found.update(filter(None, named))
        return self.labels.takes(labels)

    def check_found(self) -> None:
        """Raises `UserError` where no line had a key or a job that was named."""
        for name, among in (("key", self.keys), ("job_id", self.jobs)):
            for missing in sorted(among - self.found):
                raise UserError(f"no line of the results has the {name} {missing!r}: copy it from there.")


class EntrySelection(Struct, kw_only=True):
    """What is chosen: one of *statuses*, and one of *kinds* of error where any are named; of these, the *chosen*.

    *count* is how many entries were given out, *unended* how many the results have no line of, *passed_over* how many
    of those meant by name ended as each other status. Invalid ones have no request that could be: *unwritable* has the
    lines of the manifest where they stand.
    """

    statuses: Collection[Status]
    kinds: Collection[str] = ()
    chosen: NamedEntries = field(default_factory=NamedEntries)
    count: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    unended: int = 0
    unwritable: list[int] = []

    def lines(self, record: Record, results: Iterable[Mapping[str, Any]]) -> Iterator[ManifestLine]:
        """The chosen entries of the wave in *record*, in the order of its *results*.

        An entry of which one half exists already asks for the other one only, so that nothing is created twice.
        Raises `UserError` where the two do not belong together.
        """
        self.unended = record.entry_count()
        for result in results:
            self.unended -= 1
            if not self.chosen.takes(result["key"], result["job_id"], result["labels"]):
                continue
            if result["status"] not in self.statuses or (self.kinds and result["error_kind"] not in self.kinds):
                self.passed_over[result["status"]] += 1
                continue
            line = self._line(record, result)
            if line is not None:
                self.count += 1
                yield line
        self.chosen.check_found()

    def _line(self, record: Record, result: Mapping[str, Any]) -> ManifestLine | None:
        entry = record.entry(result["index"])
        line = record.line_of(result["index"])
        if line is None or (entry is not None and entry.key != result["key"]):
            raise UserError(
                f"the results and the journal are of two waves: entry {result['key']} is not in the journal."
            )
        if entry is None:
            self.unwritable.append(line)
            return None
        made = {half for half, name in HALVES.items() if (result[name] or {}).get("compare_task_id")}
        return ManifestLine.of_body(
            entry.request_body(entry.asked - made or entry.asked, keep=False),
            key=entry.key,
            endpoint=entry.scope.endpoint,
            project_id=entry.scope.project_id,
            x_language=entry.x_language,
            labels=entry.labels,
        )
