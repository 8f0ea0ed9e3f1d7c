"""What the request's models find, in words for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from batcher.manifest.damage import nothing
from batcher.manifest.fields import (
    BODY_FIELDS,
    DATA_FIELDS,
    DATA_LEVEL,
    ENTRY_FIELDS,
    EXAMPLES,
    KNOWN_AT,
    MISSING_MENDS,
)
from batcher.manifest.findings import kind_of, shown
from batcher.manifest.formats.element import NO_VALUE, UNREAD, Flaw
from batcher.nearest import nearest

Loc = tuple[int | str, ...]
NUMBER_MEND = "A number loses zeros in front, and digits: keep it as text, in double quotes"
_OPTIONAL = ("object_level_compare_type", "compare_mode")


def structure_flaws(error: ValidationError, *, partial: bool = False) -> Iterator[Flaw]:
    """A fault for each error of the models, in the order of the tables; *partial*: nothing counts as missing."""
    for detail in error.errors(include_url=False, include_context=True):
        if detail["input"] is UNREAD or (partial and detail["type"] == "missing"):
            continue
        yield _flaw(detail["type"], detail["loc"], detail["input"], detail.get("ctx", {}), detail["msg"])


def path_of(loc: Loc) -> str:
    """*loc* as a dotted path: `data_level_compare_info.compare_object_infos[0].db_name`."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{shown(part)}" if path else f"{shown(part)}"
    return path


def _flaw(kind: str, loc: Loc, value: Any, context: Mapping[str, Any], message: str) -> Flaw:
    field, name = path_of(loc), str(loc[-1])
    match kind:
        case "missing":
            return Flaw(field, NO_VALUE, "is missing", MISSING_MENDS[name])
        case "extra_forbidden":
            return Flaw(field, value, "is no known field", _unknown_mend(loc))
        case "string_too_short":
            return Flaw(field, NO_VALUE, "is empty", MISSING_MENDS[_field_of(loc)])
        case "too_short":
            mend = "Name the tables, or leave table_name out for the whole database"
            return Flaw(field, NO_VALUE, "is an empty list", mend)
        case "literal_error":
            return _not_allowed(field, value, context["expected"])
        case "string_type" if value is None and name in MISSING_MENDS:
            return Flaw(field, NO_VALUE, "is null", MISSING_MENDS[name])
        case "string_type":
            mend = "Write it in double quotes" if isinstance(value, int | float) else "Write one text in double quotes"
            if field == "job_id" and type(value) in (int, float):
                mend = f"{NUMBER_MEND}: dtype=str in pandas, pl.String in polars, VARCHAR in DuckDB"
            return Flaw(field, value, f"must be text, and is {kind_of(value)}", mend)
        case "list_type":
            return Flaw(field, value, f"must be a list, and is {kind_of(value)}", f"Write {EXAMPLES[name]}")
        case "model_type":
            example = EXAMPLES.get(_field_of(loc), "[{…}]")[1:-1]
            return Flaw(field, value, f"must be an object, and is {kind_of(value)}", f"Write {example}")
        case "string_unicode":
            return Flaw(field, NO_VALUE, "holds half of a surrogate pair", "Write the character itself")
    return Flaw(field, value, message[:1].lower() + message[1:], "See batcher schema manifest")


def _field_of(loc: Loc) -> str:
    return next(part for part in reversed(loc) if isinstance(part, str))


def _not_allowed(field: str, value: Any, expected: str) -> Flaw:
    known = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    allowed = " or ".join(known)
    if value == "" or value is None:
        return Flaw(field, NO_VALUE, "is empty" if value == "" else "is null", f"Write {allowed}")
    if who := nothing(value):
        optional = field.rpartition(".")[2] in _OPTIONAL
        mend = "Leave it empty" if optional else f"Write {allowed}"
        return Flaw(field, value, f"is a word for nothing: {who}", mend)
    near = nearest(value, known) if isinstance(value, str) and len(known) > 1 else None
    mend = f"Did you mean {near}?" if near else f"Write {allowed}"
    return Flaw(field, value, f"must be {allowed}", mend)


def _unknown_mend(loc: Loc) -> str:
    name = str(loc[-1])
    parent = next((part for part in reversed(loc[:-1]) if isinstance(part, str)), "")
    if parent == "" and name in DATA_FIELDS:
        return f"Move it into {DATA_LEVEL}"
    if parent == DATA_LEVEL and name in ENTRY_FIELDS:
        return f"Move it out of {DATA_LEVEL}" + ("" if name in BODY_FIELDS else ", beside it")
    if parent == "" and name.startswith("label."):
        return 'Write "labels": {"name": "value"}; label.NAME is for CSV'
    if parent == "compare_object_infos_with_token" and name == "table_name":
        return f'Write "table_name_with_token": {EXAMPLES["table_name_with_token"]}'
    if parent == "compare_object_infos" and name == "table_name_with_token":
        return "Write table_name, or call the list compare_object_infos_with_token"
    known = KNOWN_AT.get(parent, ())
    near = nearest(name, known)
    if near:
        return f"Did you mean {near}?"
    if parent == "":
        return "For information of your own there is labels, an object of texts"
    return f"Known here are {', '.join(known)}"
