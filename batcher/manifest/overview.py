"""What a sound manifest asks for, summed up for whoever approves it."""

from collections import Counter
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from batcher.manifest.entry import Entry, Terms
from batcher.manifest.names import names_nothing

Scope = tuple[str, str]
_VALUES = 50  # of each label that are counted apart
_TERMS = 1000


class Remark(Enum):
    """What may be right, and is worth a look."""

    DIGITS = "digits"
    NOTHINGS = "nothings"


class RemarkCount(Struct):
    """How many entries a remark is about; *line* and *index* are of the first of them."""

    line: int
    index: int
    count: int = 0


class Overview:
    """Counts entries as they are read; memory stays bounded."""

    def __init__(self) -> None:
        self.entries = 0
        self.labels: dict[str, Counter[str]] = {}
        self._scopes: Counter[Scope] = Counter()
        self._asked: Counter[str] = Counter()
        self.remarks: dict[Remark, RemarkCount] = {}
        self._terms: Counter[Terms] = Counter()  # not yet in the two above

    def add(self, entry: Entry) -> None:
        """Count *entry*, and remark what is worth a look."""
        self.entries += 1
        self._terms[entry.terms] += 1
        if len(self._terms) > _TERMS:
            self._sum_up()
        if entry.job_id.isdigit():
            self._remark(Remark.DIGITS, entry)
        if entry.infos is not None and names_nothing(entry.infos):
            self._remark(Remark.NOTHINGS, entry)
        for name, value in entry.labels.items():
            if (values := self.labels.get(name)) is None:
                if len(self.labels) >= _VALUES:
                    continue
                values = self.labels[name] = Counter()
            values[value if value in values or len(values) < _VALUES else "…"] += 1

    def _remark(self, remark: Remark, entry: Entry) -> None:
        known = self.remarks.get(remark)
        if known is None:
            known = self.remarks[remark] = RemarkCount(entry.line, entry.index)
        known.count += 1

    @property
    def scopes(self) -> Counter[Scope]:
        """How many entries there are for each scope."""
        self._sum_up()
        return self._scopes

    @property
    def asked(self) -> Counter[str]:
        """How many entries ask for what."""
        self._sum_up()
        return self._asked

    def _sum_up(self) -> None:
        for terms, count in self._terms.items():
            self._scopes[terms.scope] += count
            if terms.object_level_compare_type is not None:
                self._asked["object_level"] += count
            for value in (terms.compare_type, terms.conflict_policy, terms.compare_mode):
                if value is not None:
                    self._asked[value] += count
            if terms.start_time is not None:
                self._asked["scheduled"] += count
        self._terms.clear()

    def as_json(self) -> dict[str, Any]:
        """The counts, as `batcher check --json` shows them."""
        names = ("object_level", "lines", "contents", "keep", "cancel", "quick_comparison", "scheduled")
        return {
            "asked": {name: self.asked[name] for name in names},
            "labels": {name: dict(values) for name, values in self.labels.items()},
            "remarks": [{"about": about.value, **asdict(remarked)} for about, remarked in self.remarks.items()],
        }
