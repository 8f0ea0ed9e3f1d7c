"""A JSON array of entries, or {"defaults": {…}, "entries": […]}, read piece by piece.

The standard library's scanner parses one element at a time out of a window of text. It was measured to be as
fast as ijson, and unlike it knows line and column, and needs no second library.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import IO, Any

from msgspec import Struct
from msgspec.structs import replace

from batcher.manifest.errors import ManifestError
from batcher.manifest.fields import BODY_FIELDS, ENTRY_FIELDS
from batcher.manifest.findings import shown
from batcher.manifest.formats.alike_lines import AlikeLines
from batcher.manifest.formats.element import AlikeBatch, Batch, Element, Flaw, RegularElement, SingleElement
from batcher.manifest.formats.read_jsonl import LONGEST, twice_flaws
from batcher.manifest.formats.regular_json import regular_of
from batcher.manifest.formats.source import Source
from batcher.manifest.formats.strict_json import NotJson, parse, value_at
from batcher.nearest import nearest

_CHUNK = 1 << 18
_RUN = 1 << 15
_SPACE = re.compile(r"[ \t\r\n]*")
_COLUMN = re.compile(r'\s*:\s*(?:\[|\{\s*"\d+")')
_JOINT = re.compile(r'\}([ \t\r\n]*,[ \t\r\n]*)(\{[ \t\r\n]*"(?:FIELD)")'.replace("FIELD", "|".join(ENTRY_FIELDS)))


class DefaultsElement(Struct, frozen=True):
    """The `defaults` of the file, which come before its entries."""

    line: int
    data: Any
    flaws: Sequence[Flaw]


def read_json(source: Source) -> Iterator[Batch | AlikeBatch | DefaultsElement]:
    """The elements of a JSON file, in order. Raises `ManifestError` where the file as a whole is not JSON."""
    with source.text(newline="") as text:
        window = _SlidingWindow(text, source.name)
        match window.peek():
            case "[":
                yield from _array(window)
            case "{":
                yield from _object(window)
            case "":
                raise ManifestError(source.name, "the file holds only spaces", "A manifest has at least one entry")
            case _:
                window.fail(
                    "a JSON manifest begins with [ or {",
                    "Is it CSV or JSONL? Then say so with --format csv or --format jsonl",
                )
        if window.peek():
            window.fail("there is something after the end", _AFTER_END)


_AFTER_END = "Take it out; if each line is an entry of its own, say --format jsonl"


def _array(window: "_SlidingWindow") -> Iterator[Batch | AlikeBatch]:
    index, alike = 0, AlikeLines()
    for _ in window.items("[", "]"):
        batch = _batch(window, index, alike)
        yield batch
        index += len(batch.lines)


def _batch(window: "_SlidingWindow", index: int, alike: AlikeLines) -> Batch | AlikeBatch:
    """The element that begins here, and those behind it as far as they can be seen."""
    texts = window.texts()
    if (own := alike.texts_of(texts)) is not None:
        taken = window.take(index, texts, ())
        return _AlikeInArray(index, taken.lines, own, taken)
    regular = regular_of(texts)
    alike.learn(texts, regular)
    odd = (place for place, known in enumerate(regular) if known is None)
    until = next((place for place in odd if not _is_json(texts[place])), len(texts))
    if until:
        return window.take(index, texts[:until], regular[:until])
    line, column = window.position()
    value, flaws = window.value()
    return SingleElement.of(Element(index, line, value, column, flaws))


def _is_json(text: str) -> bool:
    try:
        parse(text)
    except NotJson:
        return False
    return True


class _Texts(Batch):
    """Elements in a *buffer*, a *gap* apart; the first of them begins at *at*, and its line at *line_begin*."""

    texts: list[str]
    gap: int
    buffer: str
    at: int
    line_begin: int

    def element(self, place: int) -> Element:
        text = self.texts[place]
        begin = self.at + sum(len(before) + self.gap for before in self.texts[:place])
        line_begin = self.buffer.rfind("\n", self.at, begin) + 1 or self.line_begin
        value = parse(text)
        return Element(self.index + place, self.lines[place], value, begin - line_begin + 1, twice_flaws(value, text))


class _AlikeInArray(AlikeBatch):
    taken: _Texts

    def apart(self) -> Batch:
        return replace(self.taken, regular=regular_of(self.taken.texts))


def _object(window: "_SlidingWindow") -> Iterator[Batch | AlikeBatch | DefaultsElement]:
    """The object form. Its fields are read in the order of the file, so that entries can be streamed."""
    seen: set[str] = set()
    for _ in window.items("{", "}"):
        place = window.position()
        name, _ = window.value() if window.peek() == '"' else window.fail("a field name in double quotes is expected")
        if name in seen:
            window.fail(f'the field "{name}" stands twice', "Keep the one that is meant", place)
        if name not in ("defaults", "entries"):
            _refuse_field(window, name, place)
        if window.peek() != ":":
            window.fail("a colon is expected here", "Mend the JSON")
        window.skip()
        seen.add(name)
        if name == "entries":
            if window.peek() != "[":
                window.fail("`entries` must be a list", "Write [ … ] around the entries")
            yield from _array(window)
        elif "entries" in seen:
            window.fail("`defaults` stands after `entries`", "Put it before them: entries are read as they come", place)
        else:
            window.peek()
            line, _ = window.position()
            value, flaws = window.value()
            yield DefaultsElement(line, value, flaws)
    if "entries" not in seen:
        window.fail("the object has no `entries`", 'Write {"defaults": {…}, "entries": […]}, or a plain array')


def _refuse_field(window: "_SlidingWindow", name: str, place: tuple[int, int]) -> None:
    if name in BODY_FIELDS and window.columns_follow():
        window.fail(
            "the file holds columns, and not entries",
            'Write entries: to_json(orient="records") in pandas, write_json() in polars, toJSON(x) in R',
            place,
        )
    if name in BODY_FIELDS:
        window.fail(
            "the file is a single request body",
            "A manifest is a list of them: put [ before it and ] after it (several of them: jq -s . FILE, or "
            "--format jsonl for one a line)",
            place,
        )
    near = nearest(name, ("defaults", "entries"))
    mend = f"Did you mean {near}?" if near else "A manifest has `defaults` and `entries`, or is a plain array"
    window.fail(f'"{shown(name)}" is no field of a manifest', mend, place)


class _SlidingWindow:
    """A window that moves over a text, from value to value. Offsets are those in the buffer."""

    def __init__(self, text: IO[str], name: str) -> None:
        self._text = text
        self._name = name
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._line = 1  # of _counted
        self._counted = 0
        self._line_begin = 0  # may be negative: before the buffer
        self._gap = ""

    def peek(self) -> str:
        """The next sign that is no space, which the window now begins with; "" at the end."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def columns_follow(self) -> bool:
        """Whether a colon follows, and then a list, or an object with numbers for names, as data frames are written."""
        self.peek()
        return _COLUMN.match(self._buffer, self._at) is not None

    def skip(self) -> None:
        """Go past the sign that `peek` gave."""
        self._at += 1

    def items(self, opening: str, closing: str) -> Iterator[None]:
        """Step from item to item of a list or object; whoever iterates reads each item whole."""
        self.skip()
        if self.peek() == closing:
            self.skip()
            return
        while True:
            if self.peek() == closing:
                self.fail(f"there is a comma before the closing {closing}", "Take the comma out")
            yield
            sign = self.peek()
            if sign not in (",", closing):
                kind = "list" if opening == "[" else "object"
                what = "the file ends" if not sign else f"{sign!r} stands here"
                self.fail(f"{what} inside the {kind}, where a comma or {closing} is expected", "Mend the JSON")
            self.skip()
            if sign == closing:
                return

    def value(self) -> tuple[Any, Sequence[Flaw]]:
        """The value that begins here, and the faults in how it is written."""
        self.peek()
        size = _CHUNK
        while True:
            problem: NotJson | None = None
            try:
                value, end = value_at(self._buffer, self._at)
            except NotJson as error:
                problem = error
                end = len(self._buffer)
            # What reaches to the end of the buffer may go on behind it: 12 of 123, a text without its end.
            if end < len(self._buffer) or not self._may_grow(size):
                break
            size *= 2
        if problem is not None:
            self._refuse(problem)
        flaws = twice_flaws(value, self._buffer, self._at, end)
        self._at = end
        return value, flaws

    def _may_grow(self, size: int) -> bool:
        if len(self._buffer) - self._at >= LONGEST:
            return False
        return self._more(size)

    def _refuse(self, problem: NotJson) -> None:
        if len(self._buffer) - self._at >= LONGEST:
            self.fail("what begins here does not end within 16 MB", "Look for a missing quote or bracket")
        if problem.pos is not None:
            self._at = problem.pos
        ended = self._at >= len(self._buffer.rstrip())
        self.fail("the file ends in the middle of an entry" if ended else problem.problem, "Mend the JSON")

    def texts(self) -> list[str]:
        """The texts of the elements from here on, told by what stands between the first two; none where it is not seen.

        That is an object's end, a comma, and another object that begins with a field of entries. It could stand inside
        an entry, too; but as long as each text is JSON by itself, they are the elements of the file.
        """
        joint = _JOINT.search(self._buffer, self._at, self._at + _RUN)
        if joint is None:
            return []
        self._gap, head = joint[1], joint[2]
        until = self._buffer.rfind(joint[0], self._at, self._at + _RUN)
        first, *others = self._buffer[self._at : until].split(joint[0])
        return [f"{first}}}", *(f"{head}{text}}}" for text in others)]

    def take(self, index: int, texts: list[str], regular: Sequence[RegularElement | None]) -> _Texts:
        """Go to the end of *texts*, the first of those that begin here."""
        line, _ = self.position()
        gap, at = self._gap, self._at
        lines: Sequence[int] = range(line, line + len(texts))
        if gap.count("\n") != 1 or any("\n" in text for text in texts):
            ends = (text.count("\n") + gap.count("\n") for text in texts)
            lines = [*accumulate(ends, initial=line)][:-1]
        self._at += sum(map(len, texts)) + len(gap) * (len(texts) - 1)
        return _Texts(index, lines, regular, texts, len(gap), self._buffer, at, self._line_begin)

    def position(self) -> tuple[int, int]:
        """Line and column of where the window begins, both 1-based."""
        self._count(self._at)
        return self._line, self._at - self._line_begin + 1

    def fail(self, problem: str, mend: str = "Mend the JSON", place: tuple[int, int] | None = None) -> Any:
        """Raise `ManifestError` for what stands here, or at *place*."""
        line, column = place or self.position()
        raise ManifestError(self._name, problem, mend, line=line, column=column)

    def _count(self, upto: int) -> None:
        new = self._buffer.count("\n", self._counted, upto)
        if new:
            self._line += new
            self._line_begin = self._buffer.rfind("\n", self._counted, upto) + 1
        self._counted = upto

    def _more(self, size: int = _CHUNK) -> bool:
        """Read on; what lies before the window is let go."""
        if self._ended:
            return False
        text = self._text.read(size)
        if not text:
            self._ended = True
            return False
        self._count(self._at)
        self._buffer = self._buffer[self._at :] + text
        self._line_begin -= self._at
        self._at = self._counted = 0
        return True
