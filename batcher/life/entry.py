"""An entry as the plan in the journal holds it: the body that is sent, and the few facts the engine needs."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from msgspec import Struct

from batcher.drs.outcome import Half


class Scope(Struct, frozen=True):
    """(endpoint, project_id): what shares credentials, a rate limit and a fate. *number* is the journal's."""

    number: int
    endpoint: str
    project_id: str

    def __str__(self) -> str:
        return f"project {self.project_id} at {self.endpoint}"


class PlannedEntry(Struct, frozen=True, kw_only=True):
    """One row of the plan. *body* is the request as JSON bytes, sent as they are on the first attempt.

    *line* is the manifest's 1-based line; *shares_job* tells that other entries name the same job.
    *wave_entries* is how many entries the wave has; None while it is being planned.
    """

    index: int
    line: int
    key: str
    scope: Scope
    job_id: str
    body: bytes
    x_language: str | None
    labels: Mapping[str, str]
    shares_job: bool = False
    wave_entries: int | None = None

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes: that of its body and its labels, which may be large."""
        size = _OVERHEAD + len(self.body)
        for name, value in self.labels.items():
            size += len(name) + len(value)
        return size

    @property
    def asked(self) -> frozenset[Half]:
        """The halves the entry wants."""
        return self._read[0]

    @property
    def _has_data(self) -> bool:
        return self.body.find(_DATA) >= 0  # `in` would make an exception, and clear it, each time

    @property
    def _data(self) -> Mapping[str, Any]:
        return self._read[1]

    @property
    def _read(self) -> tuple[frozenset[Half], Mapping[str, Any]]:
        return _read(self.body) if len(self.body) <= _SMALL else _read_large(self.body)

    @property
    def compare_type(self) -> str | None:
        """`lines` or `contents`; None without a data-level half."""
        return self._data.get("compare_type") if self._has_data else None

    @property
    def conflict_policy(self) -> str | None:
        """`cancel` or `keep`, as the manifest has it; None without a data-level half."""
        return self._data.get("conflict_policy") if self._has_data else None

    @property
    def start_time(self) -> int | None:
        """When the comparison is to start, in milliseconds since the epoch; None: at once."""
        if self.body.find(_START_TIME) < 0:  # asked several times, and hardly any body has one
            return None
        text = self._data.get("start_time")
        return int(text) if text else None

    def request_body(self, halves: frozenset[Half], *, keep: bool) -> bytes:
        """The body that asks for *halves* only; with *keep* an unfinished comparison is not cancelled."""
        if halves == self.asked and not (keep and self.conflict_policy == "cancel"):
            return self.body
        wire = orjson.loads(self.body)
        if Half.OBJECT not in halves:
            wire.pop("object_level_compare_type", None)
        if Half.DATA not in halves:
            wire.pop("data_level_compare_info", None)
        elif keep and wire.get("data_level_compare_info"):
            wire["data_level_compare_info"]["conflict_policy"] = "keep"
        return orjson.dumps(wire)


_DATA, _START_TIME = b'"data_level_compare_info"', b'"start_time"'
_OVERHEAD = 500  # bytes: of the objects around it
_SMALL = 16_384  # bytes of a body: of larger ones only the last few are kept as they were read
_ASKED = {
    (has_object, has_data): frozenset(half for half, has in ((Half.OBJECT, has_object), (Half.DATA, has_data)) if has)
    for has_object in (False, True)
    for has_data in (False, True)
}


@lru_cache(maxsize=1024)
def _read(body: bytes) -> tuple[frozenset[Half], Mapping[str, Any]]:
    """The halves that *body* asks for, and its data-level block; kept for the entries that are in hand."""
    return _parts(body)


@lru_cache(maxsize=8)
def _read_large(body: bytes) -> tuple[frozenset[Half], Mapping[str, Any]]:
    return _parts(body)


def _parts(body: bytes) -> tuple[frozenset[Half], Mapping[str, Any]]:
    wire = orjson.loads(body)
    data = wire.get("data_level_compare_info") or {}
    return _ASKED[bool(wire.get("object_level_compare_type")), bool(data)], data
