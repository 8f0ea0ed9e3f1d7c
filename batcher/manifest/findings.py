"""Findings as people read them."""

from typing import Any

import orjson

from batcher.manifest.entry import Finding
from batcher.manifest.formats.element import NO_VALUE
from batcher.masking import MASK, is_secret_name, mask_text
from batcher.text import printable

_LONGEST_VALUE = 80  # characters


def finding_line(finding: Finding) -> str:
    """*finding* on one line: place, field and value, problem, mend."""
    place = ", ".join(place_parts(finding))
    return f"{place}: {finding_text(finding)}"


def place_parts(finding: Finding) -> list[str]:
    """File, line, column and index, as far as they are known."""
    parts = [printable(finding.file)]
    if finding.line is not None:
        parts.append(f"line {finding.line}")
    if finding.column is not None:
        parts.append(f"column {finding.column}")
    if finding.index is not None:
        parts.append(f"index {finding.index}")
    return parts


def finding_text(finding: Finding) -> str:
    """*finding* without its place."""
    value = None if finding.value is None else f'"{finding.value}"'
    subject = " ".join(part for part in (finding.field, value) if part)
    problem = f"{subject} {finding.problem}" if subject else finding.problem
    return f"{_sentence(problem)} {_sentence(finding.mend)}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def shown(value: Any, field: str | None = None) -> str | None:
    """*value* as a finding shows it: text as it is, all else as JSON; on one line, shortened, no secret."""
    if value is NO_VALUE:
        return None
    if field is not None and is_secret_name(field.rpartition(".")[2].partition("[")[0]):
        return MASK
    if isinstance(value, str):
        return printable(mask_text(value[: 8 * _LONGEST_VALUE]), _LONGEST_VALUE)
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, RecursionError):  # too deep, or a text that is none
        return "{…}" if isinstance(value, dict) else "[…]"
    return printable(mask_text(text[: 8 * _LONGEST_VALUE]), _LONGEST_VALUE)


def kind_of(value: Any) -> str:
    """What JSON calls *value*, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "an object"
