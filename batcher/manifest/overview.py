"""What a sound manifest asks for, summed up for whoever approves it."""

from collections import Counter
from typing import Any

from batcher.manifest.entry import Entry

Scope = tuple[str, str]
_VALUES = 50  # of each label that are counted apart


class Overview:
    """Counts entries as they are read; memory stays bounded."""

    def __init__(self) -> None:
        self.entries = 0
        self.scopes: Counter[Scope] = Counter()
        self.asked: Counter[str] = Counter()
        self.labels: dict[str, Counter[str]] = {}

    def add(self, entry: Entry) -> None:
        """Count one entry."""
        self.entries += 1
        self.scopes[entry.endpoint, entry.project_id] += 1
        request = entry.request
        if request.object_level_compare_type is not None:
            self.asked["object_level"] += 1
        if (info := request.data_level_compare_info) is not None:
            self.asked[info.compare_type] += 1
            self.asked[info.conflict_policy] += 1
            if info.compare_mode is not None:
                self.asked[info.compare_mode] += 1
            if info.start_time is not None:
                self.asked["scheduled"] += 1
        for name, value in entry.labels.items():
            values = self.labels.setdefault(name, Counter()) if len(self.labels) < _VALUES else self.labels.get(name)
            if values is not None:
                values[value if value in values or len(values) < _VALUES else "…"] += 1

    def as_json(self) -> dict[str, Any]:
        """The counts, as `batcher check --json` shows them."""
        names = ("object_level", "lines", "contents", "keep", "cancel", "quick_comparison", "scheduled")
        return {
            "asked": {name: self.asked[name] for name in names},
            "labels": {name: dict(values) for name, values in self.labels.items()},
        }
