"""What a column holds, in words of our own: made from the models of the lines, so that they cannot fall apart."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Struct
from pydantic import BaseModel

from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.follow.verdict import VerdictLine
from batcher.life.result import Result
from batcher.manifest.write import BESIDE


class ValueColumn(Enum):
    """A column of single values; any of them may be null."""

    TEXT = "text"
    WHOLE = "whole number"
    TRUTH = "true or false"
    MOMENT = "moment"  # RFC 3339, UTC
    LABELS = "labels"  # an object of texts, with names that are not known beforehand


class ListColumn(Struct, frozen=True):
    """A column of lists."""

    item: "Kind"


class RecordColumn(Struct, frozen=True):
    """A column of objects, each with the same fields. A whole line is one as well."""

    fields: Mapping[str, "Kind"]


_PLAIN: Mapping[type, ValueColumn] = {
    str: ValueColumn.TEXT,
    bool: ValueColumn.TRUTH,
    int: ValueColumn.WHOLE,
    datetime: ValueColumn.MOMENT,
}
Kind = ValueColumn | ListColumn | RecordColumn


def columns_of(what: str) -> RecordColumn:
    """The columns of a line of *what*: `result`, `verdict`, or `manifest` (as `batcher select` writes it)."""
    if what == "result":
        return _record(Result)
    if what == "verdict":
        return _record(VerdictLine)
    beside = {name: ValueColumn.LABELS if name == "labels" else ValueColumn.TEXT for name in BESIDE}
    return RecordColumn({**beside, **_record(CreateCompareTaskReq).fields})


def _record(model: type[BaseModel]) -> RecordColumn:
    return RecordColumn({name: _kind(field.annotation) for name, field in model.model_fields.items()})


def _kind(annotation: Any) -> Kind:
    """The kind of a field's *annotation*. Raises TypeError for one that no line has had so far."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ValueColumn.TEXT
    if origin in (Union, UnionType):
        return _kind(next(one for one in arguments if one is not NoneType))
    if origin in (list, tuple):
        return ListColumn(_kind(arguments[0]))
    if origin is Mapping and arguments == (str, str):
        return ValueColumn.LABELS
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return _record(annotation)
        for base, plain in _PLAIN.items():
            if issubclass(annotation, base):
                return plain
    raise TypeError(f"no column is known for {annotation!r}")
