"""What the readers hand to the checks: one element of the file, parsed but not judged."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from batcher.drs.request_body import ObjectInfo, ObjectInfoWithToken


@dataclass(frozen=True, slots=True)
class Fault:
    """A finding before it has its place. *field* is a dotted path, *value* the offending value as it was parsed."""

    field: str | None
    value: Any
    problem: str
    mend: str


NO_VALUE: Any = object()
"""A `Fault.value` where there is none to show."""


class Usual(msgspec.Struct, gc=False):
    """An element without oddities, taken apart: what is its own, and *common*, which is equal for elements alike.

    Texts are whole (no half of a surrogate pair), objects are as their records have them, nothing stands twice. None
    is for what the element does not give; *common* tells so, and how.
    """

    common: Hashable
    job_id: str
    key: str | None
    labels: Mapping[str, str] | None
    infos: list[ObjectInfo] | None = None
    infos_with_token: list[ObjectInfoWithToken] | None = None


class Whole(msgspec.Struct, gc=False):
    """An element to the last detail. *data* is what JSON made of it, or what the cells of a row amount to; any type.

    *column* (1-based) is where it begins in its line; CSV rows have none. *faults* is what reading has already found.
    """

    data: Any
    column: int | None = None
    faults: Sequence[Fault] = ()


class Element(msgspec.Struct, gc=False):
    """One entry as the file has it; *line* (1-based) is where it begins. Without *usual* it needs a closer look."""

    index: int
    line: int
    usual: Usual | None

    def whole(self) -> Whole:
        """All of it; read anew, as it is seldom asked for."""
        raise NotImplementedError


class Read(Element):
    """An element that was read to the last detail at once."""

    known: Whole

    def whole(self) -> Whole:
        return self.known
