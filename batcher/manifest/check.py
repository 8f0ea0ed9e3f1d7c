"""The checks: one element of a manifest in, an entry out, or every finding about it.

What a field may hold is said once, by the request's models; the rules between fields are in `rules`, what stands
beside the request body in `beside`. Here they come together.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from batcher.drs.create_compare_task import CreateCompareTaskReq
from batcher.manifest.beside import NO_LABELS, RunDefaults, Scopes, key_of, key_problem, labels_of, language_of
from batcher.manifest.element import NO_VALUE, Element, Fault
from batcher.manifest.entry import Entry, Finding
from batcher.manifest.fields import BESIDE_FIELDS, DATA_LEVEL
from batcher.manifest.findings import kind_of, shown
from batcher.manifest.rules import add_rule_faults
from batcher.manifest.seen import Seen
from batcher.manifest.start_time import BadStartTime, start_time_ms
from batcher.manifest.structure import structure_faults

_BESIDE = frozenset(BESIDE_FIELDS)
_DATA_PREFIX = f"{DATA_LEVEL}."
_OPTIONAL = ("compare_mode", "start_time", "compare_object_infos", "compare_object_infos_with_token")
_EMPTY: tuple[Any, ...] = ("", [])

_validate = CreateCompareTaskReq.__pydantic_validator__.validate_python
_to_json = CreateCompareTaskReq.__pydantic_serializer__.to_json


def default_key(endpoint: str, project_id: str, request: CreateCompareTaskReq) -> str:
    """The key of an entry that names none: a digest of its scope and of what it asks for."""
    body = _to_json(request, exclude_none=True)
    return sha256(f"{endpoint}\0{project_id}\0".encode() + body).hexdigest()[:16]


class Checker:
    """Judges the elements of one manifest, one after the other. *flat* says that fields are CSV columns."""

    def __init__(
        self, file: str, defaults: RunDefaults, *, now: float, allow_duplicates: bool, flat: bool = False
    ) -> None:
        self._file = file
        self._x_language = defaults.x_language
        self._scopes = Scopes(defaults)
        self._now = now
        self._flat = flat
        self._keys = None if allow_duplicates else Seen()
        self._jobs = None if allow_duplicates else Seen()

    def judge(self, element: Element) -> Entry | list[Finding]:
        """The entry that *element* makes, or everything that is wrong with it."""
        faults = list(element.faults)
        data = element.data
        if type(data) is not dict:
            if not faults:
                faults.append(Fault(None, data, f"is {kind_of(data)}, and an entry is an object", "Write {…}"))
            return self._findings(element, faults, {})
        body = {name: value for name, value in data.items() if name not in _BESIDE}
        self._tidy(body, faults)
        request: CreateCompareTaskReq | None = None
        try:
            request = _validate(body)
        except ValidationError as error:
            faults.extend(structure_faults(error))
        add_rule_faults(body, faults)
        endpoint = self._scopes.endpoint(data, faults)
        project_id = self._scopes.project_id(data, faults)
        x_language = language_of(data, faults) if "x_language" in data else None
        key = key_of(data, faults) if "key" in data else None
        labels = labels_of(data, faults) if "labels" in data else NO_LABELS
        if endpoint and project_id:
            if key is None and request is not None:
                key = default_key(endpoint, project_id, request)
            if self._keys is not None:
                self._add_duplicates(element, body, (endpoint, project_id), key, faults)
        if faults or request is None or endpoint is None or project_id is None or key is None:
            return self._findings(element, faults, data)
        return Entry(
            index=element.index,
            line=element.line,
            key=key,
            endpoint=endpoint,
            project_id=project_id,
            request=request,
            x_language=x_language or self._x_language,
            labels=labels,
        )

    def defaults_findings(self, line: int, data: Mapping[str, Any], faults: list[Fault]) -> list[Finding]:
        """What is wrong with the manifest's `defaults`; nothing is missing in them, as entries add the rest."""
        body = {name: value for name, value in data.items() if name not in _BESIDE}
        self._tidy(body, faults)
        try:
            _validate(body)
        except ValidationError as error:
            faults.extend(structure_faults(error, partial=True))
        for name in ("key", "job_id"):
            if name in data:
                faults.append(Fault(name, data[name], "belongs to one entry only", "Take it out of the defaults"))
        if data.get("region") or data.get("endpoint"):
            self._scopes.endpoint(data, faults)
        if data.get("project_id"):
            self._scopes.project_id(data, faults)
        language_of(data, faults)
        labels_of(data, faults)
        return [
            Finding(
                file=self._file,
                line=line,
                index=None,
                field=f"defaults.{fault.field}" if fault.field else "defaults",
                value=shown(fault.value, fault.field),
                problem=fault.problem,
                mend=fault.mend,
            )
            for fault in faults
        ]

    def _tidy(self, body: dict[str, Any], faults: list[Fault]) -> None:
        """What is left empty means nothing is asked for; a start time becomes the digits that are sent."""
        if body.get("object_level_compare_type") == "":
            body["object_level_compare_type"] = None
        info = body.get(DATA_LEVEL)
        if type(info) is not dict:
            return
        values = info.values()
        if "" in values or [] in values:
            info = {name: value for name, value in info.items() if name not in _OPTIONAL or value not in _EMPTY}
        if type(start_time := info.get("start_time")) is str:
            try:
                info = {**info, "start_time": start_time_ms(start_time, now=self._now)}
            except BadStartTime as error:
                faults.append(Fault(f"{_DATA_PREFIX}start_time", start_time, error.problem, error.mend))
        body[DATA_LEVEL] = info

    def _add_duplicates(
        self,
        element: Element,
        body: Mapping[str, Any],
        scope: tuple[str, str],
        key: str | None,
        faults: list[Fault],
    ) -> None:
        """Add a fault where the key, or the job of a data-level comparison, was seen before."""
        assert self._jobs is not None and self._keys is not None  # noqa: S101, PT018 - both are there, or none
        job_id = body.get("job_id")
        same_job = None
        if type(job_id) is str and body.get(DATA_LEVEL) is not None:
            same_job = self._jobs.first_line((scope, job_id), element.line)
            if same_job is not None:
                faults.append(_second(job_id, same_job))
        if key is None or (first := self._keys.first_line(key, element.line)) is None:
            return
        if element.data.get("key"):
            problem = f"is also the key of {_there(first)}"
            faults.append(Fault("key", key, problem, "Give each entry a key of its own"))
        elif same_job is None:
            problem = f"the entry is the same as {_there(first)}"
            mend = "Drop one of them, or submit them one after the other with --allow-duplicates"
            faults.append(Fault(None, NO_VALUE, problem, mend))

    def _findings(self, element: Element, faults: list[Fault], data: Mapping[str, Any]) -> list[Finding]:
        job_id, key = data.get("job_id"), data.get("key")
        return [
            Finding(
                file=self._file,
                line=element.line,
                column=element.column,
                index=element.index,
                field=self._field(fault.field),
                value=shown(fault.value, fault.field),
                problem=fault.problem,
                mend=fault.mend,
                job_id=shown(job_id) if type(job_id) is str and job_id else None,
                key=key if type(key) is str and key and not key_problem(key) else None,
            )
            for fault in faults
        ]

    def _field(self, field: str | None) -> str | None:
        """CSV columns are called by their header, not by where they end up in the body."""
        if field is None or not self._flat:
            return field
        if field.startswith("labels."):
            return f"label.{field.removeprefix('labels.')}"
        return field.removeprefix(_DATA_PREFIX)


def _there(line: int) -> str:
    return f"the entry in line {line}" if line else "an earlier entry"


def _second(job_id: str, first: int) -> Fault:
    return Fault(
        "job_id",
        job_id,
        f"has a data-level comparison in {_there(first)} already, and the second would cancel the first or be dropped",
        "Put both into one entry, or submit them one after the other with --allow-duplicates",
    )
