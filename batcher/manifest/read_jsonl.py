"""JSON Lines: one entry a line, blank lines let be."""

from collections.abc import Iterator, Sequence
from typing import IO, Any

import orjson

from batcher.manifest.element import NO_VALUE, Element, Fault, Whole
from batcher.manifest.errors import ManifestError
from batcher.manifest.source import Source
from batcher.manifest.strict_json import NotJson, parse, twice_keys
from batcher.manifest.usual import usual_of

# A line that does not end is no JSONL; it must not fill the memory.
LONGEST = 16 * 1024 * 1024
_BATCH = 1 << 16


def read_jsonl(source: Source) -> Iterator[Element]:
    """The elements of a JSONL file, in order; a line that is no JSON becomes an element with the fault."""
    with source.text(newline="\n") as text:
        index = number = 0
        for lines in _batches(text):
            for line, usual in zip(lines, usual_of(lines), strict=True):
                number += 1
                if usual is None:
                    if line.isspace():
                        continue
                    if index == 0 and (line[:1] == "[" or line.strip() in ("[", "{")):
                        problem = "JSONL has one whole entry a line, and this begins a longer piece of JSON"
                        raise ManifestError(source.name, problem, "Is it JSON? Then say --format json", line=number)
                yield _Line(index, number, usual, line)
                index += 1


def _batches(text: IO[str]) -> Iterator[list[str]]:
    """The lines of *text*, some at a time; what is beyond `LONGEST` of a line is passed over."""
    batch: list[str] = []
    size = 0
    try:
        while line := text.readline(LONGEST):
            batch.append(line)
            size += len(line)
            if size >= _BATCH:
                if len(line) == LONGEST:
                    _skip_rest(text, line)
                yield batch
                batch, size = [], 0
    except UnicodeDecodeError:
        yield batch
        raise
    yield batch


def _skip_rest(text: IO[str], line: str) -> None:
    """Go to the end of a line that was too long to be read whole."""
    while line and not line.endswith("\n"):
        line = text.readline(LONGEST)


class _Line(Element):
    text: str

    def whole(self) -> Whole:
        try:
            data = orjson.loads(self.text)
        except orjson.JSONDecodeError:
            return _careful(self.text)
        return Whole(data, None, twice_faults(data, self.text))


def _careful(line: str) -> Whole:
    """A line that orjson refuses, parsed by the decoder that can say why."""
    if len(line) >= LONGEST:
        return Whole(None, None, [Fault(None, NO_VALUE, "the line is longer than 16 MB", "Write one entry a line")])
    text = line.rstrip()
    try:
        data = parse(text)
    except NotJson as error:
        return Whole(None, None if error.pos is None else error.pos + 1, [line_fault(text, error)])
    # What orjson refuses and this one takes are lone surrogates: the checks tell of them.
    return Whole(data, None, twice_faults(data, text))


def line_fault(text: str, error: NotJson) -> Fault:
    """What is wrong with a line that is no JSON."""
    begin = text.lstrip()[:1]
    csv = "JSONL has one JSON object a line; is it CSV? Then say --format csv"
    mend = "Mend the line" if begin == "{" else csv
    return Fault(None, NO_VALUE, f"the line is not JSON: {error.problem}", mend)


def twice_faults(value: Any, text: str, start: int = 0, end: int | None = None) -> Sequence[Fault]:
    """A fault for each key that stands twice in an object of *value*, which is what *text*[*start*:*end*] says."""
    if not (twice := twice_keys(value, text, start, end)):
        return ()
    return [Fault(key, NO_VALUE, "stands twice in one object", "Keep the one that is meant") for key in twice]
