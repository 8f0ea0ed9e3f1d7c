"""An entry as the plan in the journal holds it: the body that is sent, and the few facts the engine needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson

from batcher.drs.create_compare_task import CreateCompareTaskReq
from batcher.drs.outcome import Half


@dataclass(frozen=True, slots=True)
class Scope:
    """(endpoint, project_id): what shares credentials, a rate limit and a fate. *number* is the journal's."""

    number: int
    endpoint: str
    project_id: str

    def __str__(self) -> str:
        return f"project {self.project_id} at {self.endpoint}"


@dataclass(frozen=True, kw_only=True)
class PlannedEntry:
    """One row of the plan. *body* is the request as JSON bytes, sent as they are on the first attempt.

    *line* is the manifest's 1-based line; *shares_job* tells that other entries name the same job.
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

    @cached_property
    def _wire(self) -> dict[str, Any]:
        wire: dict[str, Any] = orjson.loads(self.body)
        return wire

    @cached_property
    def asked(self) -> frozenset[Half]:
        """The halves the entry wants."""
        wire = self._wire
        return frozenset(
            half
            for half, field in (
                (Half.OBJECT, "object_level_compare_type"),
                (Half.DATA, "data_level_compare_info"),
            )
            if wire.get(field)
        )

    @property
    def _data(self) -> dict[str, Any]:
        return self._wire.get("data_level_compare_info") or {}

    @property
    def compare_type(self) -> str | None:
        """`lines` or `contents`; None without a data-level half."""
        return self._data.get("compare_type")

    @property
    def conflict_policy(self) -> str | None:
        """`cancel` or `keep`, as the manifest has it; None without a data-level half."""
        return self._data.get("conflict_policy")

    @property
    def start_time(self) -> int | None:
        """When the comparison is to start, in milliseconds since the epoch; None: at once."""
        text = self._data.get("start_time")
        return int(text) if text else None

    def request_body(self, halves: frozenset[Half], *, keep: bool) -> bytes:
        """The body that asks for *halves* only; with *keep* an unfinished comparison is not cancelled."""
        if halves == self.asked and not (keep and self.conflict_policy == "cancel"):
            return self.body
        request = CreateCompareTaskReq.model_validate_json(self.body)
        changes: dict[str, Any] = {}
        if Half.OBJECT not in halves:
            changes["object_level_compare_type"] = None
        if Half.DATA not in halves:
            changes["data_level_compare_info"] = None
        elif keep and request.data_level_compare_info is not None:
            changes["data_level_compare_info"] = request.data_level_compare_info.model_copy(
                update={"conflict_policy": "keep"}
            )
        return request.model_copy(update=changes).to_wire()
