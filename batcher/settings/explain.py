"""What is wrong with settings, in sentences: source, value, problem and mend."""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from unicodedata import category
from urllib.parse import urlsplit

from pydantic import ValidationError

from batcher.durations import duration_text
from batcher.masking import mask_text, register_secret, register_url
from batcher.nearest import nearest
from batcher.settings.configfile import ConfigFile
from batcher.settings.model import RunSettings
from batcher.settings.names import CREDENTIAL_NAMES, ENV_PREFIX, OTHER_NAMES, flag_name, variable_name
from batcher.text import printable

_LONGEST = 100  # characters of a value that are quoted


def origin(name: str, flags: Mapping[str, Any], environment: Mapping[str, str], file: ConfigFile | None) -> str | None:
    """Where *name* is set: the flag, the variable, or the place in the config file; None where it is not."""
    if name in flags:
        return flag_name(name)
    if name in environment:
        return variable_name(name)
    return file.origin(name) if file is not None else None


def explained(
    error: ValidationError, flags: Mapping[str, Any], environment: Mapping[str, str], file: ConfigFile | None
) -> Iterator[str]:
    """A sentence for each thing that is wrong: source, value, problem and mend."""
    for detail in error.errors(include_url=False):
        if detail["type"] == "misfit":
            for names, problem in detail["ctx"]["misfits"]:
                sources = [f"{name} ({origin(name, flags, environment, file) or 'by default'})" for name in names]
                yield f"{' and '.join(sources)}: {problem}."
            continue
        name = str(detail["loc"][0]) if detail["loc"] else ""
        source = origin(name, flags, environment, file) or name
        typed = flags.get(name, environment.get(name)) if source != name else None
        value = _shown(detail["input"] if typed is None else typed)
        is_shown = name not in RunSettings.model_fields or RunSettings.model_fields[name].repr
        if not is_shown:
            shown = f"{source}: {name}" if source != name and not source.startswith(("--", ENV_PREFIX)) else source
        elif source.startswith("--"):
            shown = f"{source} {value}"
        elif source.startswith(ENV_PREFIX):
            shown = f"{source}={value}"
        else:
            shown = f"{source}: {name} = {detail['input']!r}" if value == _text(detail["input"]) else source
        problem = problem_of(name, detail)
        yield f"{shown} {problem}" + ("" if problem.endswith("?") else ".")


def _text(value: object) -> str:
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"


def _shown(value: object) -> str:
    """*value* as messages quote it: on one line, no secret, no longer than it takes to know it again."""
    return printable(mask_text(_text(value)), _LONGEST)


def problem_of(name: str, detail: Mapping[str, Any]) -> str:
    """What is wrong, in words, from pydantic's error *detail*; ends in the mend."""
    context = detail.get("ctx", {})
    match detail["type"]:
        case "value_error":
            return str(context["error"])
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size" | "finite_number":
            return "is no whole number of a sensible size"
        case "bool_parsing" | "bool_type":
            return "is neither true nor false"
        case "greater_than":
            return f"must be more than {_number(name, context['gt'])}"
        case "greater_than_equal":
            return f"must be at least {_number(name, context['ge'])}"
        case "less_than_equal":
            return f"must be at most {_number(name, context['le'])}"
        case "literal_error" | "enum":
            known = re.findall(r"'([^']*)'", context["expected"])
            near = nearest(_text(detail["input"]), known)
            return f"must be one of {', '.join(known)}" + (f"; did you mean {near}?" if near else "")
        case "string_type":
            return "must be text, in quotes"
        case "path_type":
            return "must be a file name, in quotes"
        case "extra_forbidden":
            near = nearest(name, RunSettings.model_fields)
            return "is no setting" + (f"; did you mean {near}?" if near else "")
    return str(detail["msg"])


def _number(name: str, bound: float) -> str:
    return duration_text(bound) if isinstance(RunSettings.model_fields[name].default, float) else str(bound)


def unsound_texts(
    values: Mapping[str, Any], flags: Mapping[str, Any], environment: Mapping[str, str], file: ConfigFile | None
) -> Iterator[str]:
    """A sentence for each of *values* that holds what no setting does; it is not quoted."""
    for name, value in values.items():
        if not isinstance(value, str):
            continue
        bad = ("Cs",) if name == "on_end" else ("Cs", "Cc")  # a shell command may have several lines
        if any(category(sign) in bad for sign in value.strip()):
            place = origin(name, flags, environment, file) or name
            yield f"{place}: {name} holds control characters or bytes that are no UTF-8. Write it anew."


def register_secrets(settings: RunSettings) -> None:
    """Have what is secret in *settings* masked wherever it would show."""
    if settings.proxy is not None:
        register_url(settings.proxy)
    if settings.notify is not None:  # whoever has a webhook's address can post to it
        parts = urlsplit(settings.notify)
        register_secret(settings.notify, in_part=False)
        register_secret(parts.path.strip("/"), in_part=False)
        register_secret(parts.query, in_part=False)
        register_url(settings.notify)
    if settings.on_end is not None:
        register_secret(settings.on_end, in_part=False)


def warnings(settings: RunSettings, origins: Mapping[str, str], flags: Mapping[str, Any]) -> Iterator[str]:
    """What is set to no effect, or better not set where it is."""
    fields = RunSettings.model_fields
    known = {variable_name(name) for name in (*fields, *CREDENTIAL_NAMES, *OTHER_NAMES)}
    for variable in sorted(os.environ):
        if variable.startswith(ENV_PREFIX) and variable not in known:
            near = nearest(variable, known)
            yield f"{variable} is set, but means nothing to batcher." + (f" Did you mean {near}?" if near else "")
    if "proxy" in flags and "@" in (settings.proxy or ""):
        yield "everybody on this machine can see the user in --proxy, in the process list: set BATCHER_PROXY instead."
    for name in ("restart", "retry_failed"):
        if getattr(settings, name) and name not in flags:
            yield (
                f"{name} is set by {origins[name]}, so every run will do it again. "
                f"It is better given as a flag: {flag_name(name)}."
            )
