"""The checks: one element of a manifest in, an entry out, or every finding about it.

What a field may hold is said once, by the request's models; the rules between fields are in `rules`, what stands
beside the request body in `envelope`. Here they come together. What is like a sound entry needs none of it: see
`entry_templates`.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from pydantic import ValidationError

from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.manifest.alike_entries import AlikeEntries
from batcher.manifest.damage import surely_plain
from batcher.manifest.duplicates import DuplicateFilter, DuplicateFinder, DuplicateIndex
from batcher.manifest.entry import NO_LABELS, Entry, Finding
from batcher.manifest.entry_templates import EntryTemplates
from batcher.manifest.envelope import RunDefaults, Scopes, is_key, is_text, key_of, labels_of, language_of
from batcher.manifest.fields import DATA_LEVEL
from batcher.manifest.findings import kind_of, shown
from batcher.manifest.formats.element import NO_VALUE, AlikeBatch, Batch, Element, Flaw, RegularElement
from batcher.manifest.rules import apply_rules
from batcher.manifest.structure import structure_flaws

_DATA_PREFIX = f"{DATA_LEVEL}."

_job_of, _key_of = attrgetter("job_id"), attrgetter("key")
_validate = CreateCompareTaskReq.__pydantic_validator__.validate_python


Judged = list[Entry | list[Finding]] | AlikeEntries
"""What came of some elements: of each its entry, or its findings; or the entries of all of them together."""


class Checker:
    """Judges the elements of one manifest, one after the other.

    *finder* looks for duplicates, which are allowed without it; *flat* says that fields are CSV columns.
    """

    def __init__(
        self, file: str, defaults: RunDefaults, *, now: float, finder: DuplicateFinder | None = None, flat: bool = False
    ) -> None:
        self._file = file
        self._x_language = defaults.x_language
        self._scopes = Scopes(defaults)
        self._now = now
        self._flat = flat
        self._finder = finder
        self._filter = finder if isinstance(finder, DuplicateFilter) else None
        self._duplicates = finder if isinstance(finder, DuplicateIndex) else None
        self._templates: EntryTemplates | None = EntryTemplates()
        self._defaults: Mapping[str, Any] = {}
        self._wrong: frozenset[str | None] = frozenset()  # fields of the defaults

    def judge(self, batch: Batch | AlikeBatch) -> Judged:
        """The entry that each element of *batch* makes, or everything that is wrong with it."""
        if isinstance(batch, Batch):
            return self._judge_each(batch)
        alike = None if self._templates is None or self._duplicates is not None else self._templates.entries_of(batch)
        if alike is None:
            return self._judge_each(batch.apart())
        if self._filter is not None:
            self._filter.look_at_alike(alike)
        return alike

    def _judge_each(self, batch: Batch) -> Judged:
        judged, sound, templates = list[Entry | list[Finding]](), list[Entry](), self._templates
        plain = templates is not None and _are_plain(batch.regular)
        for place, regular in enumerate(batch.regular):
            entry = None
            if regular is not None and templates is not None:
                entry = templates.entry_of(regular, batch.index + place, batch.lines[place], plain=plain)
            if entry is None:
                made = self._judge_whole(batch.element(place))
                if regular is not None and templates is not None and isinstance(made, Entry):
                    templates.learn(regular, made)
            elif self._duplicates is not None and (flaws := self._duplicates.flaws_of(entry)):
                element = batch.element(place)
                data, scope = merged(self._defaults, element.data), entry.terms.scope
                made = self._findings(element, flaws, data, *scope, entry.labels)
            else:
                made = entry
                sound.append(entry)
            judged.append(made)
        if self._filter is not None:
            self._filter.look_at(sound)
        return judged

    def _judge_whole(self, element: Element) -> Entry | list[Finding]:
        own = element.data
        if type(own) is not dict:
            wrong = Flaw(None, own, f"is {kind_of(own)}, and an entry is an object", "Write {…}")
            return self._findings(element, element.flaws or (wrong,), {})
        data = merged(self._defaults, own) if self._defaults else own
        body: dict[str, Any] = data.copy()
        flaws: list[Flaw] = []
        endpoint, project_id = self._scopes.scope_of(body, flaws)
        x_language = language_of(body.pop("x_language"), flaws) if "x_language" in body else None
        key = key_of(body.pop("key"), flaws) if "key" in body else None
        labels = labels_of(body.pop("labels"), flaws) if "labels" in body else NO_LABELS
        rule_flaws = apply_rules(body, now=self._now)
        request = None
        try:
            request = _validate(body)
        except ValidationError as error:
            flaws = [*element.flaws, *structure_flaws(error), *rule_flaws, *flaws]
        else:
            flaws = [*element.flaws, *rule_flaws, *flaws]
        entry = None
        if endpoint is not None and project_id is not None:
            if request is not None:
                entry = Entry.of(
                    request,
                    index=element.index,
                    line=element.line,
                    endpoint=endpoint,
                    project_id=project_id,
                    key=key,
                    x_language=x_language or self._x_language,
                    labels=labels,
                )
            if self._filter is not None and entry is not None:
                self._filter.look_at([entry])
            elif self._finder is not None:
                known_key = key if entry is None else entry.key
                job_id = _data_level_job(body)
                scope = (endpoint, project_id)
                flaws += self._finder.flaws(element.line, scope, job_id, known_key, own_key=key is not None)
        if entry is not None and not flaws:
            return entry
        # What is wrong with the defaults is told once, not once more with every entry that takes it from them.
        told = [flaw for flaw in flaws if flaw.field not in self._wrong or _has(own, flaw.field)]
        return self._findings(element, told, data, endpoint, project_id, labels)

    def take_defaults(self, line: int, data: Mapping[str, Any], found: Sequence[Flaw]) -> list[Finding]:
        """Judge the entries to come over the manifest's `defaults`, and return what is wrong with these.

        Nothing is missing in them, as entries add the rest.
        """
        body, beside = dict(data), list[Flaw]()
        for name in ("key", "job_id"):
            if body.pop(name, None) is not None:
                beside.append(Flaw(name, data[name], "belongs to one entry only", "Take it out of the defaults"))
        self._scopes.own_scope_of(body, beside)
        language_of(body.pop("x_language", None), beside)
        labels_of(body.pop("labels", None), beside)
        rule_flaws = [flaw for flaw in apply_rules(body, now=self._now) if flaw.value is not NO_VALUE]
        flaws = [*found, *rule_flaws, *beside]
        try:
            _validate(body)
        except ValidationError as error:
            flaws = [*found, *structure_flaws(error, partial=True), *rule_flaws, *beside]
        self._defaults = data
        self._wrong = frozenset(flaw.field for flaw in flaws if flaw.field is not None)
        labels = data.get("labels")
        self._templates = None if flaws else EntryTemplates(labels if type(labels) is dict else NO_LABELS)
        return [
            Finding(
                file=self._file,
                line=line,
                index=None,
                field=f"defaults.{flaw.field}" if flaw.field else "defaults",
                value=shown(flaw.value, flaw.field),
                problem=flaw.problem,
                mend=flaw.mend,
            )
            for flaw in flaws
        ]

    def _findings(
        self,
        element: Element,
        flaws: Sequence[Flaw],
        data: Mapping[str, Any],
        endpoint: str | None = None,
        project_id: str | None = None,
        labels: Mapping[str, Any] = NO_LABELS,
    ) -> list[Finding]:
        """The findings about *element*, whose *data* is merged with the defaults, each with what is known of it."""
        job_id, key = data.get("job_id"), data.get("key")
        told = {name: value for name, value in labels.items() if name and is_text(name) and is_text(value)}
        return [
            Finding(
                file=self._file,
                line=element.line,
                column=element.column,
                index=element.index,
                field=self._field(flaw.field),
                value=shown(flaw.value, flaw.field),
                problem=flaw.problem,
                mend=flaw.mend,
                job_id=shown(job_id) if type(job_id) is str and job_id else None,
                key=key if type(key) is str and key and is_key(key) else None,
                endpoint=endpoint,
                project_id=project_id,
                labels=told,
            )
            for flaw in flaws
        ]

    def _field(self, field: str | None) -> str | None:
        """CSV columns are called by their header, not by where they end up in the body."""
        if field is None or not self._flat:
            return field
        if field.startswith("labels."):
            return f"label.{field.removeprefix('labels.')}"
        return field.removeprefix(_DATA_PREFIX)


def _are_plain(regular: Sequence[RegularElement | None]) -> bool:
    """Whether the jobs and keys of a whole batch are surely ids without damage."""
    known = [one for one in regular if one is not None] if None in regular else regular
    return surely_plain(list(map(_job_of, known))) and surely_plain(list(filter(None, map(_key_of, known))))


def _has(data: object, field: str | None) -> bool:
    """Whether *data* itself has something at the dotted path *field*."""
    for name in (field or "").partition("[")[0].split("."):
        if not isinstance(data, dict) or name not in data:
            return False
        data = data[name]
    return True


def _data_level_job(body: Mapping[str, Any]) -> str | None:
    """The job that *body* asks a data-level comparison of."""
    job_id = body.get("job_id")
    return job_id if type(job_id) is str and body.get(DATA_LEVEL) is not None else None


_MERGED = (DATA_LEVEL, "labels")
_ALTERNATIVES = ("region", "endpoint")


def merged(defaults: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """*entry* over *defaults*: field by field, `data_level_compare_info` and `labels` too; lists are replaced whole.

    What the entry has as null takes the default away. An entry's region beats the defaults' endpoint, and the
    other way round. The object lists are alternatives in the same way. Neither argument is changed.
    """
    result = _over(defaults, entry, _ALTERNATIVES)
    for name in _MERGED:
        default, own = defaults.get(name), entry.get(name)
        if isinstance(default, dict) and isinstance(own, dict):
            result[name] = _over(default, own, _LISTS if name == DATA_LEVEL else ())
    return result


_LISTS = ("compare_object_infos", "compare_object_infos_with_token")


def _over(defaults: Mapping[str, Any], own: Mapping[str, Any], alternatives: tuple[str, ...]) -> dict[str, Any]:
    if any(own.get(name) for name in alternatives):
        defaults = {name: value for name, value in defaults.items() if name not in alternatives}
    return {**defaults, **own}
