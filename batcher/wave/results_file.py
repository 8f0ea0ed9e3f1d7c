"""Reading a results file: streamed, and exact about what is wrong with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from msgspec import Struct
from pydantic import ValidationError

from batcher.errors import UserError
from batcher.life.result import Result

# A result line is a few hundred bytes; what has no newline in this many bytes is no results file.
_LONGEST = 4 * 1024 * 1024
_BUFFER = 64 * 1024  # with Python's 8 KB lines take nearly twice as long to be read


class ResultsError(UserError):
    """The file is no results file, or damaged; the message names it, the line and the way out."""


class Torn(Struct):
    """Whether the last line was cut off, by a crash or because the wave is writing it right now."""

    torn: bool = False


def result_lines(path: Path, torn: Torn | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line of the results file at *path* with its 1-based number; a torn last line is left out.

    Raises `ResultsError`.
    """
    for number, line in raw_lines(path, torn):
        yield number, parsed_line(path, number, line)


def raw_lines(path: Path, torn: Torn | None = None) -> Iterator[tuple[int, bytes]]:
    """The same as they stand in the file, newline included."""
    try:
        with path.open("rb", _BUFFER) as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) >= _LONGEST or (number == 1 and not line.startswith(b'{"key"')):
                        raise ResultsError(f"{path} is no results file: its line {number} does not end.")
                    if torn is not None:
                        torn.torn = True
                    return
                yield number, line
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}.") from None


def parsed_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """*line*, which has the 1-based *number* in the file at *path*, as an object. Raises `ResultsError`."""
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise results_problem(path, number, f"is not JSON ({error.msg})") from None
    if not isinstance(parsed, dict):
        raise results_problem(path, number, "is no JSON object")
    return parsed


def results_problem(path: Path, number: int, why: str) -> ResultsError:
    """The error for line *number* (1-based) of *path*, which *why* (a verb phrase) tells."""
    if number == 1:
        return ResultsError(f"{path} is no results file: its line 1 {why}. Name the file that `batcher run -o` wrote.")
    return ResultsError(
        f"{path}, line {number} {why}: the file was damaged or edited. Running the same `batcher run` again "
        "writes it anew from the journal."
    )


def read_results(path: Path) -> Iterator[Result]:
    """Each result in the file at *path*; a torn last line is left out. Raises `ResultsError`."""
    for number, line in raw_lines(path):
        yield result_in(path, number, line)


def result_in(path: Path, number: int, line: bytes) -> Result:
    """The result in *line*, which has the 1-based *number* in the file at *path*. Raises `ResultsError`."""
    try:
        return Result.model_validate(parsed_line(path, number, line))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ResultsError(f"{path}, line {number} is no result: {place}: {first['msg']}.") from None
