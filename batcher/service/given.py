"""What the submitter of a wave may set, and how it is joined with the service's own configuration.

Where requests go with whose credentials, what is read from or run on the service's machine, and how the service itself
behaves is its operator's: such settings are refused, each with the reason.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct
from pydantic import BaseModel, ValidationError

from batcher.masking import MASK, mask_text
from batcher.nearest import nearest
from batcher.rates import Pace, Rate
from batcher.service.problem import Problem
from batcher.settings import Loaded, RunSettings, load
from batcher.settings.errors import SettingsError
from batcher.settings.explain import problem_of
from batcher.text import printable

M = TypeVar("M", bound=BaseModel)

_OPERATORS = "is the operator's to set, in the service's own configuration"
REFUSED: Mapping[str, str] = {
    "endpoint": f"{_OPERATORS}: it decides who is sent the service's credentials. Name the region, or a profile",
    "insecure_http": f"{_OPERATORS}: credentials could travel in the clear",
    "ca_bundle": f"{_OPERATORS}: it names a file on the service's machine, and decides whom to trust",
    "proxy": f"{_OPERATORS}: everything would go through it",
    "allow_inconsistent": f"{_OPERATORS}: it names a file on the service's machine",
    "notify": f"{_OPERATORS}: the service would post to any address",
    "on_end": f"{_OPERATORS}: it is a command that runs on the service's machine",
    "look_first": f"{_OPERATORS}: `never` takes the operator's word that nobody else went on with a wave",
    "grace": f"{_OPERATORS}: it decides how long the service takes to end",
    "restart": "would submit everything again. Hand the manifest in again, under another Idempotency-Key",
    "retry_failed": "is done with a wave that has ended: POST /v1/waves/{id}/retry-failed",
    "quiet": "is about a terminal, and there is none",
    "log_format": f"{_OPERATORS}: there is one log",
    "log_level": f"{_OPERATORS}: there is one log",
    "timezone": f"{_OPERATORS}: there is one log. Times in answers are UTC",
}
"""Settings of `run` that the API does not take, each with what is said about it."""

TAKEN = tuple(name for name in RunSettings.model_fields if name not in REFUSED)
"""Settings of `run` that the API takes."""

FIXED = ("endpoint", "region", "project_id", "allow_duplicates", "skip_invalid", "language")
"""Settings that decide what a manifest means: kept as they were when the wave was accepted."""


class ServedProfiles(Struct, frozen=True, kw_only=True):
    """The service's own configuration: its config file (None: the usual places), and the profiles that may be used.

    Without *profiles* waves run with the config file's top level; else with the first, or the one that is asked for.
    """

    config: Path | None = None
    profiles: tuple[str, ...] = ()

    def profile(self, asked: str | None) -> str | None:
        """The profile to run with. Raises `Problem` where the one *asked* for is not offered."""
        if asked is None:
            return self.profiles[0] if self.profiles else None
        if asked not in self.profiles:
            near = nearest(asked, self.profiles)
            offered = f"It offers {', '.join(self.profiles)}" if self.profiles else "It offers none: leave it out"
            mend = f"Did you mean {near}?" if near else offered
            raise invalid([finding("profile", asked, "is no profile that this service offers", mend)])
        return asked

    def load(self, profile: str | None, given: Mapping[str, Any]) -> Loaded:
        """The settings of a wave with *given*. Raises `SettingsError`."""
        return load(given, config=self.config, profile=profile)


def settings_from(service: ServedProfiles, profile: str | None, given: Mapping[str, str]) -> Loaded:
    """The settings that *given*, of a request, ask for. Raises `Problem` with everything that is wrong with them, and
    where the service's own configuration cannot be used any more, or has no such profile."""
    wrong = [_refused(name, given[name]) for name in given if name not in TAKEN]
    try:
        own = service.load(profile, {})
    except SettingsError as error:
        raise Problem(503, error.message) from error
    for name, value in given.items():
        if name in TAKEN:
            wrong += _checked(name, value)
    if "region" in given and own.settings.endpoint is not None:
        why = "cannot be set by a request: the service's own configuration names an endpoint"
        wrong.append(finding("region", given["region"], why, "Leave it out, or use a profile without one"))
    if wrong:
        raise invalid(wrong)
    try:
        loaded = service.load(profile, given)
    except SettingsError as error:  # what does not go together
        raise invalid([finding(None, None, text, "Change one of them") for text in error.findings]) from None
    wrong += _above("rate", given, loaded.settings.pace, own.settings.pace)
    wrong += _above("read_rate", given, loaded.settings.read_pace, own.settings.read_pace)
    if wrong:
        raise invalid(wrong)
    return loaded


def _refused(name: str, value: str) -> dict[str, Any]:
    if name in REFUSED:
        shown = value if RunSettings.model_fields[name].repr else MASK
        return finding(name, shown, f"cannot be set by a request: it {REFUSED[name]}", "Leave it out")
    near = nearest(name, (*TAKEN, "name", "priority", "start", "profile"))
    mend = f"Did you mean {near}?" if near else "GET /v1/openapi.json has all parameters"
    return finding(name, value, "is no parameter and no setting", mend)


def _checked(name: str, value: str) -> Iterator[dict[str, Any]]:
    """What is wrong with one setting by itself."""
    try:
        RunSettings(**{name: value})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] == "misfit" or not detail["loc"] or detail["loc"][0] != name:
                continue
            problem, _, mend = problem_of(name, detail).partition("; ")
            yield finding(name, value, problem, mend[:1].upper() + mend[1:] or "Change it, or leave it out")


def _above(name: str, given: Mapping[str, str], asked: Pace, own: Pace) -> Iterator[dict[str, Any]]:
    """The operator's limit stands above what a wave asks for."""
    if name not in given or lower(asked, own) == asked:
        return
    mend = f"Ask for at most {own}, or leave it out"
    yield finding(name, given[name], f"is above what this service allows, which is {own}", mend)


def lower(asked: Pace, own: Pace) -> Pace:
    """What a wave runs at that has *asked* for a pace, where the service's *own* stands above it."""
    if own == "off" or asked == own:
        return asked
    if isinstance(asked, Rate) and (own == "auto" or (isinstance(own, Rate) and asked.per_s <= own.per_s)):
        return asked
    return own


def finding(field: str | None, value: str | None, problem: str, mend: str) -> dict[str, Any]:
    """A finding about something beside a manifest: a setting, a parameter, a member of a body."""
    shown = None if value is None else printable(mask_text(value), 100)
    return {
        "index": None, "line": None, "column": None, "field": field, "value": shown, "problem": problem, "mend": mend,
    }  # fmt: skip


def invalid(findings: Iterable[Mapping[str, Any]]) -> Problem:
    """422 with *findings*."""
    found = list(findings)
    first = found[0]
    subject = " ".join(filter(None, [first["field"], first["value"] and f'"{first["value"]}"']))
    rest = f" And {len(found) - 1} more." if len(found) > 1 else ""
    detail = f"{subject} {first['problem']}. {first['mend']}.{rest}".strip()
    return Problem(422, detail, title="Not valid", findings=found, count=len(found))


def parsed(model: type[M], values: Mapping[str, Any], known: Iterable[str] = ()) -> M:
    """*values* as a *model*. Raises `Problem` with everything that is wrong with them."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        names = {field.alias or name for name, field in model.model_fields.items()}
        raise invalid([_of_detail(dict(detail), names) for detail in error.errors(include_url=False)]) from None


def _of_detail(detail: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    field = ".".join(str(part) for part in detail["loc"]) or None
    value = detail["input"] if isinstance(detail["input"], str | int | float | bool) else None
    shown = None if value is None else str(value)
    match detail["type"]:
        case "extra_forbidden":
            near = nearest(field or "", names)
            mend = f"Did you mean {near}?" if near else f"Known are {', '.join(sorted(names))}"
            return finding(field, shown, "is not known here", mend)
        case "missing":
            return finding(field, None, "is missing", "Give it")
        case "literal_error" | "enum":
            expected = detail["ctx"]["expected"].replace("'", "")
            return finding(field, shown, "is not one of those known", f"Write one of {expected}")
        case "value_error":
            problem, _, mend = str(detail["ctx"]["error"]).partition("; ")
            return finding(field, shown, problem, mend[:1].upper() + mend[1:] or "Change it")
    problem = str(detail["msg"])
    return finding(field, shown, f"is not valid: {problem[:1].lower()}{problem[1:]}", "Change it")
