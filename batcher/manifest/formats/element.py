"""What the readers hand to the checks: elements of the file, a batch at a time, parsed but not judged."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from batcher.drs.v3.request_body import ObjectInfo, ObjectInfoWithToken


class Element(Struct):
    """One entry as the file has it. *line* and *column* (1-based) are where it begins; CSV rows have no column.

    *data* is what JSON made of it, or what the cells of a row amount to; any type. *flaws* is what
    reading it has already found.
    """

    index: int
    line: int
    data: Any
    column: int | None = None
    flaws: Sequence["Flaw"] = ()


class RegularElement(msgspec.Struct, gc=False):
    """An element without oddities, taken apart: what is its own, and *common*, which is equal for elements alike.

    Texts are whole (no half of a surrogate pair), objects are as their records have them, nothing stands twice. None
    is for what the element does not give; *common* tells so, and how.
    """

    common: Hashable
    job_id: str
    key: str | None
    labels: Mapping[str, str | None] | None
    infos: list[ObjectInfo] | None = None
    infos_with_token: list[ObjectInfoWithToken] | None = None


class ManyObjects(Struct):
    """Some object lists, and each as it is sent, in JSON."""

    lists: Sequence[list[ObjectInfo]]
    written: Sequence[str]


class AlikeTexts(Struct):
    """What elements have of their own that are alike but for that: they are *like*, with these in the place of its
    job, key, values of labels, and objects. None: *like* has no other. A job or key is not empty; texts are whole, and
    stand in JSON as they are."""

    like: RegularElement
    job_ids: Sequence[str]
    keys: Sequence[str] | None
    labels: Sequence[tuple[str | None, ...]] | None
    objects: ManyObjects | None


class Batch(msgspec.Struct):
    """Some elements, one after the other; *index* is the place of the first, *lines* are where they begin.

    What is not *regular* needs a closer look, for which there is `element`.
    """

    index: int
    lines: Sequence[int]
    regular: Sequence[RegularElement | None]

    @abstractmethod
    def element(self, place: int) -> Element:
        """All there is to know of the element at *place* in the batch; made anew, as it is seldom asked for."""


class AlikeBatch(Struct):
    """Some elements, one after the other, as `Batch` has them, that are alike but for *texts*."""

    index: int
    lines: Sequence[int]
    texts: AlikeTexts

    @abstractmethod
    def apart(self) -> Batch:
        """The same elements, each taken apart by itself; made anew, as it is seldom asked for."""


class SingleElement(Batch):
    """A batch of one, which was read in full at once."""

    known: Element

    @classmethod
    def of(cls, element: Element) -> "SingleElement":
        """The batch of *element* alone."""
        return cls(element.index, (element.line,), (None,), element)

    def element(self, place: int) -> Element:
        """The one element of the batch."""
        return self.known


class Flaw(Struct, frozen=True):
    """A finding before it has its place. *field* is a dotted path, *value* the offending value as it was parsed."""

    field: str | None
    value: Any
    problem: str
    mend: str


NO_VALUE: Any = object()
"""A `Flaw.value` where there is none to show."""

UNREAD: Any = object()
"""Stands for a list that was given but cannot be read; the checks take it as given."""
