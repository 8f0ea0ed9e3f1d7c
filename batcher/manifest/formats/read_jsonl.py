"""JSON Lines: one entry a line, blank lines let be."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

from batcher.manifest.errors import ManifestError
from batcher.manifest.formats.alike_lines import AlikeLines, Part
from batcher.manifest.formats.element import NO_VALUE, AlikeBatch, Batch, Element, Flaw
from batcher.manifest.formats.regular_json import regular_of
from batcher.manifest.formats.source import Source
from batcher.manifest.formats.strict_json import NotJson, parse, twice_keys

# A line that does not end is no JSONL; it must not fill the memory.
LONGEST = 16 * 1024 * 1024
_FEW = 200  # lines that are not alike


def read_jsonl(source: Source) -> Iterator[Batch | AlikeBatch]:
    """The elements of a JSONL file, in order; a line that is no JSON becomes an element with the fault."""
    index, number, alike = 0, 1, AlikeLines()
    for lines, texts in _parts(source, alike):
        numbers: Sequence[int] = range(number, number + len(lines))
        number += len(lines)
        if texts is not None:
            yield _AlikeLineBatch(index, numbers, texts, lines)
            index += len(lines)
            continue
        regular = regular_of(lines)
        if None in regular and not all(map(str.strip, lines)):
            numbers = [number for number, line in zip(numbers, lines, strict=True) if line.strip()]
            lines = [line for line in lines if line.strip()]
            regular = regular_of(lines)
        if index == 0 and lines:
            _refuse_other_json(source.name, lines, numbers[0])
        alike.learn(lines, regular)
        yield _LineBatch(index, numbers, regular, lines)
        index += len(lines)


def _parts(source: Source, alike: AlikeLines) -> Iterator[Part]:
    """The lines that are alike, and the others, fewer at a time: what is made of these is to stay in the processor's
    cache."""
    for lines, texts in chain.from_iterable(map(alike.parts_of, _lines(source.pieces()))):
        if texts is not None:
            yield lines, texts
            continue
        for start in range(0, len(lines), _FEW):
            yield lines[start : start + _FEW], None


def _refuse_other_json(name: str, lines: Sequence[str], number: int) -> None:
    """Raise `ManifestError` where the first *lines* are JSON that goes over several of them."""
    first = lines[0].strip()
    if first[:1] == "[":
        problem = "JSONL has one whole entry a line, and this begins a longer piece of JSON"
        raise ManifestError(name, problem, "Is it JSON? Then say --format json", line=number)
    if first == "{" or (first[:1] == "{" and first[-1:] in "{[," and len(lines) > 1 and lines[1][:1] in (" ", "\t")):
        problem = "JSONL has one whole entry a line, and this one goes over several"
        mend = "Write each on a line of its own: jq -c . FILE. Is it one piece of JSON? Then say --format json"
        raise ManifestError(name, problem, mend, line=number)


def _lines(pieces: Iterable[str]) -> Iterator[list[str]]:
    """The lines that end in each of *pieces*; what is beyond `LONGEST` of a line is passed over."""
    rest, too_long = "", False
    for piece in pieces:
        lines = (rest + piece).split("\n")
        if too_long and len(lines) > 1:
            lines, too_long = lines[1:], False
        rest = lines.pop()
        if too_long:
            rest = ""
        elif len(rest) >= LONGEST:
            lines.append(rest[:LONGEST])
            rest, too_long = "", True
        yield lines
    if rest:
        yield [rest]


class _AlikeLineBatch(AlikeBatch):
    written: Sequence[str]

    def apart(self) -> Batch:
        return _LineBatch(self.index, self.lines, regular_of(self.written), self.written)


class _LineBatch(Batch):
    texts: Sequence[str]

    def element(self, place: int) -> Element:
        line, index, number = self.texts[place], self.index + place, self.lines[place]
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError:
            return _careful(line, index, number)
        return Element(index, number, data, None, twice_flaws(data, line))


def _careful(line: str, index: int, number: int) -> Element:
    """A line that orjson refuses, parsed by the decoder that can say why."""
    if len(line) >= LONGEST:
        flaw = Flaw(None, NO_VALUE, "the line is longer than 16 MB", "Write one entry a line")
        return Element(index, number, None, None, [flaw])
    text = line.rstrip()
    try:
        data = parse(text)
    except NotJson as error:
        return Element(index, number, None, None if error.pos is None else error.pos + 1, [line_flaw(text, error)])
    # What orjson refuses and this one takes are lone surrogates: the checks tell of them.
    return Element(index, number, data, None, twice_flaws(data, text))


def line_flaw(text: str, error: NotJson) -> Flaw:
    """What is wrong with a line that is no JSON."""
    begin = text.lstrip()[:1]
    csv = "JSONL has one JSON object a line; is it CSV? Then say --format csv"
    mend = "Mend the line" if begin == "{" else csv
    return Flaw(None, NO_VALUE, f"the line is not JSON: {error.problem}", mend)


def twice_flaws(value: Any, text: str, start: int = 0, end: int | None = None) -> Sequence[Flaw]:
    """A fault for each key that stands twice in an object of *value*, which is what *text*[*start*:*end*] says."""
    if not (twice := twice_keys(value, text, start, end)):
        return ()
    return [Flaw(key, NO_VALUE, "stands twice in one object", "Keep the one that is meant") for key in twice]
