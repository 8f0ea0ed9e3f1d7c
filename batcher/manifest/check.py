"""The checks: one element of a manifest in, an entry out, or every finding about it.

What a field may hold is said once, by the request's models; the rules between fields are in `rules`, what stands
beside the request body in `beside`. Here they come together.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from batcher.drs.create_compare_task import CreateCompareTaskReq
from batcher.manifest.beside import NO_LABELS, RunDefaults, Scopes, key_of, key_problem, labels_of, language_of
from batcher.manifest.duplicates import Watch
from batcher.manifest.element import NO_VALUE, Element, Fault
from batcher.manifest.entry import Entry, Finding
from batcher.manifest.fields import DATA_LEVEL
from batcher.manifest.findings import kind_of, shown
from batcher.manifest.rules import apply_rules
from batcher.manifest.structure import structure_faults

_DATA_PREFIX = f"{DATA_LEVEL}."

_validate = CreateCompareTaskReq.__pydantic_validator__.validate_python


def default_key(endpoint: str, project_id: str, body: bytes) -> str:
    """The key of an entry that names none: a digest of its scope and of the request *body* as it is sent."""
    return sha256(f"{endpoint}\0{project_id}\0".encode() + body).hexdigest()[:16]


class Checker:
    """Judges the elements of one manifest, one after the other.

    *watch* looks for duplicates, which are allowed without it; *flat* says that fields are CSV columns.
    """

    def __init__(
        self, file: str, defaults: RunDefaults, *, now: float, watch: Watch | None = None, flat: bool = False
    ) -> None:
        self._file = file
        self._x_language = defaults.x_language
        self._scopes = Scopes(defaults)
        self._now = now
        self._flat = flat
        self._watch = watch

    def judge(self, element: Element) -> Entry | list[Finding]:
        """The entry that *element* makes, or everything that is wrong with it."""
        data = element.data
        if type(data) is not dict:
            wrong = Fault(None, data, f"is {kind_of(data)}, and an entry is an object", "Write {…}")
            return self._findings(element, element.faults or (wrong,), {})
        body: dict[str, Any] = data.copy()
        faults: list[Fault] = []
        endpoint, project_id = self._scopes.scope_of(body, faults)
        x_language = language_of(body.pop("x_language"), faults) if "x_language" in body else None
        key = key_of(body.pop("key"), faults) if "key" in body else None
        labels = labels_of(body.pop("labels"), faults) if "labels" in body else NO_LABELS
        rule_faults = apply_rules(body, now=self._now)
        request, wire = None, b""
        try:
            request = _validate(body)
        except ValidationError as error:
            faults = [*element.faults, *structure_faults(error), *rule_faults, *faults]
        else:
            wire = request.to_wire()
            if element.faults or rule_faults:
                faults = [*element.faults, *rule_faults, *faults]
        if endpoint is not None and project_id is not None:
            own_key = key is not None
            if key is None and request is not None:
                key = default_key(endpoint, project_id, wire)
            if self._watch is not None:
                job_id = _data_level_job(body)
                faults += self._watch.faults(element.line, (endpoint, project_id), job_id, key, own_key=own_key)
            if not faults and request is not None and key is not None:
                return Entry(
                    index=element.index,
                    line=element.line,
                    key=key,
                    endpoint=endpoint,
                    project_id=project_id,
                    request=request,
                    body=wire,
                    x_language=x_language or self._x_language,
                    labels=labels,
                )
        return self._findings(element, faults, data)

    def defaults_findings(self, line: int, data: Mapping[str, Any], found: Sequence[Fault]) -> list[Finding]:
        """What is wrong with the manifest's `defaults`; nothing is missing in them, as entries add the rest."""
        body, beside = dict(data), list[Fault]()
        for name in ("key", "job_id"):
            if body.pop(name, None) is not None:
                beside.append(Fault(name, data[name], "belongs to one entry only", "Take it out of the defaults"))
        self._scopes.own_scope_of(body, beside)
        language_of(body.pop("x_language", None), beside)
        labels_of(body.pop("labels", None), beside)
        rule_faults = [fault for fault in apply_rules(body, now=self._now) if fault.value is not NO_VALUE]
        faults = [*found, *rule_faults, *beside]
        try:
            _validate(body)
        except ValidationError as error:
            faults = [*found, *structure_faults(error, partial=True), *rule_faults, *beside]
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

    def _findings(self, element: Element, faults: Sequence[Fault], data: Mapping[str, Any]) -> list[Finding]:
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


def _data_level_job(body: Mapping[str, Any]) -> str | None:
    """The job that *body* asks a data-level comparison of."""
    job_id = body.get("job_id")
    return job_id if type(job_id) is str and body.get(DATA_LEVEL) is not None else None
