"""The checks: one element of a manifest in, an entry out, or every finding about it.

What a field may hold is said once, by the request's models; here are the rules between fields, what an
empty field means, and everything that stands beside the request body.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from batcher.drs.create_compare_task import CreateCompareTaskReq
from batcher.drs.endpoints import endpoint_of_region, normalise_endpoint
from batcher.manifest.element import NO_VALUE, Element, Fault
from batcher.manifest.entry import Entry, Finding
from batcher.manifest.fields import BESIDE_FIELDS, DATA_LEVEL, LANGUAGES, OBJECT_LISTS
from batcher.manifest.findings import kind_of, shown
from batcher.manifest.rules import rule_faults
from batcher.manifest.seen import Seen
from batcher.manifest.start_time import BadStartTime, start_time_ms
from batcher.manifest.structure import structure_faults
from batcher.nearest import nearest

_BESIDE = frozenset(BESIDE_FIELDS)
_DATA_PREFIX = f"{DATA_LEVEL}."
_KEY_LENGTH = 200
_ID_SIGNS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_NO_LABELS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDefaults:
    """What a run gives to entries that do not say it themselves. *endpoint* is normalised."""

    endpoint: str | None = None
    project_id: str | None = None
    x_language: str | None = None
    insecure_http: bool = False


def default_key(endpoint: str, project_id: str, body: bytes) -> str:
    """The key of an entry that names none: a digest of its scope and of the request body that is sent."""
    return sha256(b"\0".join((endpoint.encode(), project_id.encode(), body))).hexdigest()[:16]


class Checker:
    """Judges the elements of one manifest, one after the other. *flat* says that fields are CSV columns."""

    def __init__(
        self, file: str, defaults: RunDefaults, *, now: float, allow_duplicates: bool, flat: bool = False
    ) -> None:
        self._file = file
        self._defaults = defaults
        self._now = now
        self._flat = flat
        self._keys = None if allow_duplicates else Seen()
        self._jobs = None if allow_duplicates else Seen()
        self._endpoints: dict[tuple[str, str], str | Fault] = {}

    def judge(self, element: Element) -> Entry | list[Finding]:
        """The entry that *element* makes, or everything that is wrong with it."""
        faults = element.findings
        data = element.data
        if type(data) is not dict:
            if not faults:
                faults.append(Fault(None, data, f"is {kind_of(data)}, and an entry is an object", "Write {…}"))
            return self._findings(element, faults, {})
        body = {name: value for name, value in data.items() if name not in _BESIDE}
        self._tidy(body, faults)
        request: CreateCompareTaskReq | None = None
        try:
            request = CreateCompareTaskReq.model_validate(body)
        except ValidationError as error:
            faults.extend(structure_faults(error))
        faults.extend(rule_faults(body))
        texts = {name: _text(data, name, faults) for name in ("project_id", "x_language", "key")}
        endpoint = self._endpoint(data, faults)
        project_id = self._project_id(texts["project_id"], faults)
        x_language = _language(texts["x_language"], faults) or self._defaults.x_language
        key = _key(texts["key"], faults)
        labels = _labels(data.get("labels"), faults)
        if endpoint and project_id:
            if request is not None and key is None and texts["key"] is None:
                key = default_key(endpoint, project_id, request.to_wire())
            self._duplicates(element, body, (endpoint, project_id), key, faults)
        if faults or request is None or endpoint is None or project_id is None or key is None:
            return self._findings(element, faults, data)
        return Entry(
            index=element.index,
            line=element.line,
            key=key,
            endpoint=endpoint,
            project_id=project_id,
            request=request,
            x_language=x_language,
            labels=labels,
        )

    def defaults_findings(self, line: int, data: Mapping[str, Any], faults: list[Fault]) -> list[Finding]:
        """What is wrong with the manifest's `defaults`; nothing is missing in them, as entries add the rest."""
        body = {name: value for name, value in data.items() if name not in _BESIDE}
        self._tidy(body, faults)
        try:
            CreateCompareTaskReq.model_validate(body)
        except ValidationError as error:
            faults.extend(structure_faults(error, partial=True))
        for name in ("key", "job_id"):
            if name in data:
                faults.append(Fault(name, data[name], "belongs to one entry only", "Take it out of the defaults"))
        texts = {name: _text(data, name, faults) for name in ("project_id", "x_language")}
        if data.get("region") or data.get("endpoint"):
            self._endpoint(data, faults)
        if texts["project_id"] is not None:
            self._project_id(texts["project_id"], faults)
        _language(texts["x_language"], faults)
        _labels(data.get("labels"), faults)
        return [
            Finding(
                file=self._file,
                line=line,
                index=None,
                field=f"defaults.{fault.field}" if fault.field else "defaults",
                value=shown(fault.value, _last(fault.field)),
                problem=fault.problem,
                mend=fault.mend,
            )
            for fault in faults
        ]

    def _tidy(self, body: dict[str, Any], faults: list[Fault]) -> None:
        """What is left empty means nothing is asked for; a start time becomes the digits that are sent."""
        if body.get("object_level_compare_type", "") in ("", None):
            body.pop("object_level_compare_type", None)
        info = body.get(DATA_LEVEL)
        if info is None:
            body.pop(DATA_LEVEL, None)
        elif type(info) is dict:
            body[DATA_LEVEL] = self._tidied_info(info, faults)

    def _tidied_info(self, info: dict[str, Any], faults: list[Fault]) -> dict[str, Any]:
        tidied = {
            name: value
            for name, value in info.items()
            if not (value is None or value == "" or value == [])
            or name not in ("compare_mode", "start_time", *OBJECT_LISTS)
        }
        start_time = tidied.get("start_time")
        if type(start_time) is str:
            try:
                tidied["start_time"] = start_time_ms(start_time, now=self._now)
            except BadStartTime as error:
                faults.append(Fault(f"{_DATA_PREFIX}start_time", start_time, error.problem, error.mend))
        return tidied

    def _endpoint(self, data: Mapping[str, Any], faults: list[Fault]) -> str | None:
        """The endpoint of the entry, by its own region or endpoint, or by that of the run."""
        region, endpoint = _text(data, "region", faults), _text(data, "endpoint", faults)
        if region and endpoint:
            mend = "Give one of them: a region stands for its endpoint"
            faults.append(Fault("region", region, "and endpoint are both given", mend))
            return None
        if not region and not endpoint:
            if self._defaults.endpoint is None and not (data.get("region") or data.get("endpoint")):
                mend = "Give --region or --endpoint, or region or endpoint in the entry"
                faults.append(Fault("endpoint", NO_VALUE, "is missing, and so is region", mend))
            return self._defaults.endpoint
        named = ("region", region) if region else ("endpoint", endpoint or "")
        found = self._endpoints.get(named)
        if found is None:
            if len(self._endpoints) > 1000:
                self._endpoints.clear()
            found = self._endpoints[named] = self._resolved(*named)
        if isinstance(found, Fault):
            faults.append(found)
            return None
        return found

    def _resolved(self, name: str, value: str) -> str | Fault:
        try:
            if name == "region":
                return endpoint_of_region(value)
            return normalise_endpoint(value, insecure_http=self._defaults.insecure_http)
        except ValueError as error:
            return _address_fault(name, value, str(error))

    def _project_id(self, project_id: str | None, faults: list[Fault]) -> str | None:
        if project_id is None:
            if self._defaults.project_id is None:
                mend = "Give --project-id, or project_id in the entry"
                faults.append(Fault("project_id", NO_VALUE, "is missing", mend))
            return self._defaults.project_id
        if len(project_id) > 64 or not _ID_SIGNS.issuperset(project_id):
            mend = "Copy the id from the console, My Credentials: 32 letters and digits"
            faults.append(Fault("project_id", project_id, "is no project id", mend))
            return None
        return project_id

    def _duplicates(
        self,
        element: Element,
        body: Mapping[str, Any],
        scope: tuple[str, str],
        key: str | None,
        faults: list[Fault],
    ) -> None:
        """Add a fault where the key, or the job of a data-level comparison, was seen before."""
        if self._keys is None or self._jobs is None:
            return
        job_id = body.get("job_id")
        if type(job_id) is str and DATA_LEVEL in body:
            first = self._jobs.first_line("\0".join((*scope, job_id)), element.line)
            if first is not None:
                faults.append(_second(job_id, first))
        if key is not None and (first := self._keys.first_line(key, element.line)) is not None:
            given = element.data.get("key")
            if given:
                problem = f"is also the key of {_there(first)}"
                faults.append(Fault("key", key, problem, "Give each entry a key of its own"))
            elif not any(fault.field == "job_id" for fault in faults):
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
                value=shown(fault.value, _last(fault.field)),
                problem=fault.problem,
                mend=fault.mend,
                job_id=shown(job_id) if isinstance(job_id, str) and job_id else None,
                key=key if isinstance(key, str) and not _key_problem(key) else None,
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


def _address_fault(name: str, value: str, message: str) -> Fault:
    """The sentence *message* about an endpoint or region, taken apart. A value it does not show is not shown."""
    problem, _, mend = message.partition(": ")
    quoted = repr(value.strip())
    told = problem.removeprefix(f"{name} ").removeprefix(f"{quoted} ")
    shown_value = value if quoted in problem and told != problem else NO_VALUE
    problem = told if shown_value is value else f"cannot be used: {problem}"
    return Fault(name, shown_value, problem, mend[:1].upper() + mend[1:])


def _last(field: str | None) -> str | None:
    return None if field is None else field.rpartition(".")[2].partition("[")[0]


def _there(line: int) -> str:
    return f"the entry in line {line}" if line else "an earlier entry"


def _second(job_id: str, first: int) -> Fault:
    return Fault(
        "job_id",
        job_id,
        f"has a data-level comparison in {_there(first)} already, and the second would cancel the first or be dropped",
        "Put both into one entry, or submit them one after the other with --allow-duplicates",
    )


def _text(data: Mapping[str, Any], name: str, faults: list[Fault]) -> str | None:
    """The text under *name*; None where it is absent, null or empty."""
    value = data.get(name)
    if value is None or value == "":
        return None
    if type(value) is not str:
        faults.append(Fault(name, value, f"must be text, and is {kind_of(value)}", "Put it in double quotes"))
        return None
    if not _is_utf8(value):
        faults.append(Fault(name, value, "holds half of a surrogate pair", "Write the character itself"))
        return None
    return value


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _language(value: str | None, faults: list[Fault]) -> str | None:
    if value is None or value in LANGUAGES:
        return value
    near = nearest(value, LANGUAGES)
    mend = f"Did you mean {near}?" if near else f"Write {' or '.join(LANGUAGES)}"
    faults.append(Fault("x_language", value, "is no language of the API", mend))
    return None


def _key(key: str | None, faults: list[Fault]) -> str | None:
    if key is not None and (problem := _key_problem(key)):
        mend = f"Use at most {_KEY_LENGTH} printable characters, without spaces at the ends"
        faults.append(Fault("key", key, problem, mend))
        return None
    return key


def _key_problem(key: str) -> str | None:
    if len(key) > _KEY_LENGTH:
        return f"has {len(key)} characters"
    if key != key.strip():
        return "begins or ends with a space"
    return None if key.isprintable() else "holds characters that cannot be printed"


def _labels(value: Any, faults: list[Fault]) -> Mapping[str, str]:
    if value is None:
        return _NO_LABELS
    if type(value) is not dict:
        mend = 'Write {"name": "value"}'
        faults.append(Fault("labels", value, f"must be an object, and is {kind_of(value)}", mend))
        return _NO_LABELS
    for fault in _label_faults(value):
        faults.append(fault)
    return value


def _label_faults(labels: dict[str, Any]) -> Iterator[Fault]:
    for name, value in labels.items():
        field = f"labels.{shown(name)}"
        if not name or not _is_utf8(name):
            yield Fault("labels", name, "has a label without a proper name", "Name the label")
        elif type(value) is not str:
            yield Fault(field, value, f"must be text, and is {kind_of(value)}", "Put it in double quotes")
        elif not _is_utf8(value):
            yield Fault(field, value, "holds half of a surrogate pair", "Write the character itself")
