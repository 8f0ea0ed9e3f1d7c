"""What the readers hand to the checks: one element of the file, parsed but not judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Element:
    """One entry as the file has it. *line* and *column* (1-based) are where it begins; CSV rows have no column.

    *data* is what JSON made of it, or what the cells of a row amount to; any type. *faults* is what
    reading it has already found.
    """

    index: int
    line: int
    data: Any
    column: int | None = None
    faults: Sequence["Fault"] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding before it has its place. *field* is a dotted path, *value* the offending value as it was parsed."""

    field: str | None
    value: Any
    problem: str
    mend: str


NO_VALUE: Any = object()
"""A `Fault.value` where there is none to show."""
