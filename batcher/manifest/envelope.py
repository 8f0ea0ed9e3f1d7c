"""What stands beside the request body in an entry: its scope, language, key and labels."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from batcher.drs.endpoints import endpoint_of_region, is_project_id, normalise_endpoint
from batcher.manifest.damage import ExpectedText, damage_of, nothing
from batcher.manifest.entry import NO_LABELS
from batcher.manifest.fields import LANGUAGES
from batcher.manifest.findings import kind_of, shown
from batcher.manifest.formats.element import NO_VALUE, Flaw
from batcher.nearest import nearest

LONGEST_KEY = 200
SCOPE_FIELDS = ("endpoint", "project_id")
"""What every entry needs, and the run may give to all. A finding about one that has no value is that it is missing."""


class RunDefaults(Struct, frozen=True, kw_only=True):
    """What a run gives to entries that do not say it themselves. *endpoint* is normalised."""

    endpoint: str | None = None
    project_id: str | None = None
    x_language: str | None = None
    insecure_http: bool = False


class Scopes:
    """Finds the scope of entries: their own, or the run's."""

    def __init__(self, defaults: RunDefaults) -> None:
        self._defaults = defaults
        self._resolved: dict[tuple[str, str], str | Flaw] = {}

    def scope_of(self, body: dict[str, Any], flaws: list[Flaw]) -> tuple[str | None, str | None]:
        """Endpoint and project, which are taken out of *body*; None for what has a fault or is missing."""
        endpoint, project_id = self._defaults.endpoint, self._defaults.project_id
        if "project_id" in body or "region" in body or "endpoint" in body:
            before = len(flaws)
            own_endpoint, own_project_id = self.own_scope_of(body, flaws)
            wrong = {flaw.field for flaw in flaws[before:]}
            endpoint = None if wrong & {"region", "endpoint"} else own_endpoint or endpoint
            project_id = None if "project_id" in wrong else own_project_id or project_id
        else:
            wrong = set()
        if endpoint is None and not wrong & {"region", "endpoint"}:
            mend = "Give --region or --endpoint, or region or endpoint in the entry"
            flaws.append(Flaw("endpoint", NO_VALUE, "is missing, and so is region", mend))
        if project_id is None and "project_id" not in wrong:
            mend = "Give --project-id, or project_id in the entry"
            flaws.append(Flaw("project_id", NO_VALUE, "is missing", mend))
        return endpoint, project_id

    def own_scope_of(self, body: dict[str, Any], flaws: list[Flaw]) -> tuple[str | None, str | None]:
        """What the entry itself says of its scope; taken out of *body*."""
        region = text_of(body.pop("region", None), "region", flaws)
        endpoint = text_of(body.pop("endpoint", None), "endpoint", flaws)
        project_id = text_of(body.pop("project_id", None), "project_id", flaws)
        if region and endpoint:
            mend = "Give one of them: a region stands for its endpoint"
            flaws.append(Flaw("region", region, "and endpoint are both given", mend))
            endpoint = None
        elif region:
            endpoint = self._own("region", region, flaws)
        elif endpoint:
            endpoint = self._own("endpoint", endpoint, flaws)
        if project_id is not None and (damage := damage_of(project_id, ExpectedText.ID)):
            flaws.append(Flaw("project_id", project_id, damage.problem, damage.mend))
        elif project_id is not None and not is_project_id(project_id):
            mend = "Copy the id from the console, My Credentials: 32 letters and digits"
            flaws.append(Flaw("project_id", project_id, "is no project id", mend))
        return endpoint, project_id

    def _own(self, name: str, value: str, flaws: list[Flaw]) -> str | None:
        found = self._resolved.get((name, value))
        if found is None:
            if len(self._resolved) > 1000:
                self._resolved.clear()
            found = self._resolved[name, value] = self._resolve(name, value)
        if isinstance(found, Flaw):
            flaws.append(found)
            return None
        return found

    def _resolve(self, name: str, value: str) -> str | Flaw:
        if who := nothing(value):
            return Flaw(name, value, f"is a word for nothing: {who}", "Leave it empty")
        try:
            if name == "region":
                return endpoint_of_region(value)
            return normalise_endpoint(value, insecure_http=self._defaults.insecure_http)
        except ValueError as error:
            return _address_flaw(name, value, str(error))


def _address_flaw(name: str, value: str, message: str) -> Flaw:
    """The sentence *message* about an endpoint or region, taken apart. A value it does not show is not shown."""
    problem, _, mend = message.partition(": ")
    told = problem.removeprefix(f"{name} ").removeprefix(f"{value.strip()!r} ")
    mend = mend[:1].upper() + mend[1:]
    if told == problem:
        return Flaw(name, NO_VALUE, f"cannot be used: {problem}", mend)
    return Flaw(name, value, told, mend)


def text_of(value: Any, name: str, flaws: list[Flaw]) -> str | None:
    """The text *value* of the field *name*; None where it is null or empty."""
    if value is None or value == "":
        return None
    if type(value) is not str:
        flaws.append(Flaw(name, value, f"must be text, and is {kind_of(value)}", "Put it in double quotes"))
        return None
    if not is_whole(value):
        flaws.append(_half_a_pair(name))
        return None
    return value


def is_text(value: Any) -> bool:
    """Whether *value* is a text that can be written."""
    return type(value) is str and is_whole(value)


def is_whole(text: str) -> bool:
    """Whether *text* can be written, as half of a surrogate pair cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _half_a_pair(field: str) -> Flaw:
    return Flaw(field, NO_VALUE, "holds half of a surrogate pair", "Write the character itself")


def language_of(x_language: Any, flaws: list[Flaw]) -> str | None:
    """The language the entry asks for."""
    value = text_of(x_language, "x_language", flaws)
    if value is None or value in LANGUAGES:
        return value
    if who := nothing(value):
        flaws.append(Flaw("x_language", value, f"is a word for nothing: {who}", "Leave it empty"))
        return None
    near = nearest(value, LANGUAGES)
    mend = f"Did you mean {near}?" if near else f"Write {' or '.join(LANGUAGES)}"
    flaws.append(Flaw("x_language", value, "is no language of the API", mend))
    return None


def key_of(value: Any, flaws: list[Flaw]) -> str | None:
    """The key the entry gives itself."""
    key = text_of(value, "key", flaws)
    if key is not None and (problem := key_problem(key)):
        mend = f"Use at most {LONGEST_KEY} printable characters, without spaces at the ends"
        flaws.append(Flaw("key", key, problem, mend))
        return None
    if key is not None and (damage := damage_of(key, ExpectedText.KEY)):
        flaws.append(Flaw("key", key, damage.problem, damage.mend))
        return None
    return key


def key_problem(key: str) -> str | None:
    """Why *key* is no proper key."""
    if len(key) > LONGEST_KEY:
        return f"has {len(key)} characters"
    if key != key.strip():
        return "begins or ends with a space"
    return None if key.isprintable() else "holds characters that cannot be printed"


def is_key(text: str) -> bool:
    """Whether *text* can be the key of an entry."""
    return key_problem(text) is None and damage_of(text, ExpectedText.KEY) is None


def labels_of(labels: Any, flaws: list[Flaw]) -> Mapping[str, str]:
    """The labels of an entry; what is wrong with them goes to *flaws*."""
    if labels is None:
        return NO_LABELS
    if type(labels) is not dict:
        mend = 'Write {"name": "value"}'
        flaws.append(Flaw("labels", labels, f"must be an object, and is {kind_of(labels)}", mend))
        return NO_LABELS
    if None in labels.values():
        labels = {name: value for name, value in labels.items() if value is not None}
    given: dict[str, str] = labels
    for name, value in given.items():
        flaws.extend(_label_flaws(name, value))
    return given


def _label_flaws(name: str, value: Any) -> Iterator[Flaw]:
    if not name or not is_whole(name):
        yield Flaw("labels", NO_VALUE, "has a label without a proper name", "Name the label")
    elif type(value) is not str:
        mend = "Put it in double quotes"
        yield Flaw(f"labels.{shown(name)}", value, f"must be text, and is {kind_of(value)}", mend)
    elif not is_whole(value):
        yield _half_a_pair(f"labels.{shown(name)}")
    elif damage := damage_of(value, ExpectedText.LABEL):
        yield Flaw(f"labels.{shown(name)}", value, damage.problem, damage.mend)
