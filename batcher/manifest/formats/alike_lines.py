"""Lines that say the same but for a few texts: these are cut out of some hundred lines at once.

What writes a manifest of a million entries writes one line a million times, with another job in it, other objects, at
times a key or a label of its own. Where these stand in a line is told once, and proved: with other texts in their
places, the line is read as the same entry with these texts. What then stands around them in other lines has to be the
same to the letter. So no field is missing there, none stands twice, and none is of another type; only the texts remain
to be judged.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby, repeat
from json import JSONDecoder
from operator import eq

from msgspec import Struct
from msgspec.structs import replace

from batcher.manifest.formats.element import AlikeTexts, RegularElement
from batcher.manifest.formats.regular_json import JsonRow, WrittenObjectInfo, decode_row, many_objects_in

_INFOS, _LABEL = "compare_object_infos", "labels."
_END = "\0"  # of a line while lines are compared: a text that holds one is odd
_MOST_LEFT = 64  # batches
_FEW = 16  # lines between others that are taken one by one, alike or not
_raw_decode = JSONDecoder().raw_decode


Part = tuple[list[str], AlikeTexts | None]
"""Some lines that follow each other, and where they are alike what is their own in them."""


class AlikeLines:
    """Takes batches of lines for alike where they have the shape of earlier ones.

    Where they have not, the next batches are left alone: one, then two, up to `_MOST_LEFT`, as it would be in vain.
    """

    def __init__(self) -> None:
        self._shape: LineShape | None = None
        self._left = self._failed = 0

    def parts_of(self, lines: list[str]) -> Sequence[Part]:
        """*lines* in parts: those that are alike, some at least, with what is their own; and those between."""
        if self._shape is None or not lines:
            return [(lines, None)]
        parts = self._shape.parts_of(lines)
        self._note(any(texts is not None for _, texts in parts))
        return parts

    def texts_of(self, lines: list[str]) -> AlikeTexts | None:
        """What is their own in *lines*, where all of these are alike."""
        if self._shape is None or not lines:
            return None
        (_, texts), *others = self._shape.parts_of(lines)
        self._note(texts is not None and not others)
        return None if others else texts

    def _note(self, alike: bool) -> None:
        if alike:
            self._failed = 0
        else:
            self._shape = None
            self._left, self._failed = min(self._failed, _MOST_LEFT), 2 * self._failed + 1

    def learn(self, lines: Sequence[str], regular: Sequence[RegularElement | None]) -> None:
        """Look at *lines*, which were read to *regular*, for what comes next."""
        if self._shape is not None:
            return
        if self._left:
            self._left -= 1
        elif len(lines) > 1 and regular[-1] is not None:
            self._shape = shape_of(lines[-1], regular[-1], regular)


class LineShape(Struct):
    """What lines have in common. *like* is the entry of one of them.

    The line is *around*[0], a text, *around*[1], a text, …; *fields* says of which field each text is: `job_id`, `key`,
    `compare_object_infos` or `labels.NAME`. Texts are without the quotes around them.
    """

    like: RegularElement
    fields: Sequence[str]
    around: Sequence[str]

    def parts_of(self, lines: list[str]) -> list[Part]:
        """*lines*, one at least, in parts: those of this shape, and those of others, or odd in some way."""
        columns = self._cut(lines)
        if self._make(lines, columns):
            return [(lines, self._texts(columns))]
        parts, start = list[Part](), 0
        for fit, run in groupby(self._fit(lines, columns)):
            end = start + len([*run])
            texts = self._texts([column[start:end] for column in columns]) if fit and end - start >= _FEW else None
            if texts is None and parts and parts[-1][1] is None:
                parts[-1][0].extend(lines[start:end])
            else:
                parts.append((lines[start:end], texts))
            start = end
        return parts

    def _texts(self, columns: Sequence[Sequence[str]]) -> AlikeTexts | None:
        """The texts of *columns*; None where one is odd."""
        found = dict(zip(self.fields, columns, strict=True))
        objects = None
        if (written := found.pop(_INFOS, None)) is not None:
            objects = many_objects_in(written)
            if objects is None:
                return None
        for texts in found.values():
            joined = "".join(texts)
            if '"' in joined or "\\" in joined or not joined.isprintable():
                return None
        job_ids, keys = found["job_id"], found.get("key")
        if not all(job_ids) or not all(keys or ()):
            return None
        return AlikeTexts(self.like, job_ids, keys, self._labels(found, len(job_ids)), objects)

    def _cut(self, lines: Sequence[str]) -> list[Sequence[str]]:
        """The texts of each field, where *lines* are of this shape; else anything. Objects are the only ones with
        quotes in them: those before are cut off from the left, those behind from the right."""
        first, *between, last = self.around
        begin, end = len(first), -len(last)
        rests = [line[begin:end] for line in lines]
        left: list[Sequence[str]] = []
        right: list[Sequence[str]] = []
        middle = self.fields.index(_INFOS) if _INFOS in self.fields else len(between)
        for around in between[:middle]:
            behind = len(around) - 1
            cut = [rest.partition('"') for rest in rests]
            left.append([text for text, _, _ in cut])
            rests = [rest[behind:] for _, _, rest in cut]
        for around in reversed(between[middle:]):
            before = 1 - len(around)
            cut = [rest.rpartition('"') for rest in rests]
            right.append([text for _, _, text in cut])
            rests = [rest[:before] for rest, _, _ in cut]
        return [*left, rests, *reversed(right)]

    def _make(self, lines: Sequence[str], columns: Sequence[Sequence[str]]) -> bool:
        """Whether *lines* are what is around the texts of *columns*, with these."""
        return self._made(columns, len(lines)) == _END.join(lines) + _END

    def _fit(self, lines: Sequence[str], columns: Sequence[Sequence[str]]) -> list[bool]:
        """The same of each."""
        made = self._made(columns, len(lines)).split(_END)
        return [*map(eq, made, lines)] if len(made) == len(lines) + 1 else [False] * len(lines)

    def _made(self, columns: Sequence[Sequence[str]], count: int) -> str:
        first, *between, last = self.around
        pieces = [first, *(piece for around in between for piece in ("", around)), "", last + _END]
        made = pieces * count
        for place, texts in enumerate(columns):
            made[2 * place + 1 :: len(pieces)] = texts
        return "".join(made)

    def _labels(self, found: dict[str, Sequence[str]], count: int) -> list[tuple[str | None, ...]] | None:
        """The values of the labels of each line, in the order of its labels; None where they are those of `like`."""
        own = [found.get(_LABEL + name) for name in self.like.labels or ()]
        if not any(own):
            return None
        same = (self.like.labels or {}).values()
        return [*zip(*(texts or repeat(value, count) for texts, value in zip(own, same, strict=True)), strict=True)]


def shape_of(line: str, like: RegularElement, others: Sequence[RegularElement | None]) -> LineShape | None:
    """The shape of *line*, which was read to *like*, where it can be told; labels that are the same in *others* are
    part of it."""
    try:
        row = decode_row(line)
        spans = sorted(_spans(line, row, _varying(like, others)))
        fields = [field for _, _, field in spans]
        edges = [0, *(edge for start, end, _ in spans for edge in (start, end)), len(line)]
        around = [line[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        made, expected = _with_others(row, fields, line)
        text = "".join(piece for pair in zip(around, [*made, ""], strict=True) for piece in pair)
        return LineShape(like, fields, around) if decode_row(text) == expected else None
    except (LookupError, ValueError):  # msgspec's errors are among these
        return None


def _varying(like: RegularElement, others: Sequence[RegularElement | None]) -> list[str]:
    """The labels of *like* that have another value in one of *others*."""
    labels = [other.labels for other in others if other is not None and other.labels]
    return [name for name, value in (like.labels or {}).items() if any(own.get(name, value) != value for own in labels)]


def _spans(line: str, row: JsonRow, labels: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Where in *line* the texts are that other lines have others of. Raises ValueError where that is not sure."""
    yield (*_span(line, "job_id", row.job_id), "job_id")
    if row.key:
        yield (*_span(line, "key", row.key), "key")
    for name in labels:
        value = (row.labels or {})[name]
        if value is None:
            raise ValueError(name)
        yield (*_span(line, name, value), _LABEL + name)
    info = row.data_level_compare_info
    if info and info.compare_object_infos:
        (found,) = re.finditer(rf'"{_INFOS}"\s*:\s*', line)
        yield found.end(), _raw_decode(line, found.end())[1], _INFOS


def _span(line: str, name: str, value: str) -> tuple[int, int]:
    (found,) = re.finditer(rf'"{re.escape(name)}"\s*:\s*"({re.escape(value)})"', line)
    return found.span(1)


def _with_others(row: JsonRow, fields: Sequence[str], line: str) -> tuple[list[str], JsonRow]:
    """Texts for *fields* that are not in *line*, and *row* with these."""
    text = "x" * (max(map(len, re.findall("x+", line)), default=0) + 1)
    made, changed = list[str](), row
    for place, field in enumerate(fields):
        own = name = f"{text}{place}"
        if field == _INFOS:
            own = f'[{{"db_name":"{name}"}}]'
            if not (info := changed.data_level_compare_info):
                raise LookupError(field)
            info = replace(info, compare_object_infos=[WrittenObjectInfo(name)])
            changed = replace(changed, data_level_compare_info=info)
        elif field.startswith(_LABEL):
            changed = replace(changed, labels={**(changed.labels or {}), field.removeprefix(_LABEL): own})
        else:
            changed = replace(changed, **{field: own})
        made.append(own)
    return made, changed
