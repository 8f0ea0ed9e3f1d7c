"""Result lines as the judge reads them: with suspicion."""

from collections.abc import Iterable, Iterator

import orjson

from batcher.life.result import Status


def whole_lines(file: bytes) -> Iterator[bytes]:
    """The lines that are whole JSON."""
    for line in file.splitlines():
        try:
            orjson.loads(line)
        except ValueError:
            continue  # it will be missed
        yield line


def strays(file: bytes, journal: Iterable[bytes]) -> list[bytes]:
    """Whole lines of a results file that are neither in the journal nor provisional."""
    known = set(journal)
    whole = (line for line in file.splitlines(keepends=True) if line.endswith(b"\n") and line not in known)
    return [line for line in whole if not _provisional(line)]


def _provisional(line: bytes) -> bool:
    try:
        return orjson.loads(line)["status"] in (Status.NOT_SUBMITTED, Status.UNSETTLED)
    except (ValueError, KeyError):
        return False
