"""The verdicts file beside the results as a copy of what the database has, whoever found it.

It may be given up at any time: the next export goes on with what is there. A verdict that was found on this machine
alone, by a `watch` of its own, stays.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from batcher.follow.fast_lines import fast_parser
from batcher.follow.followed_entry import followed, line_of
from batcher.follow.verdict import identity_of
from batcher.follow.verdicts_file import VerdictsFile
from batcher.journal.files import WaveFiles
from batcher.life.result import Result
from batcher.wave.results_file import raw_lines, result_in

_PAGE = 1000  # lines read at a time


class NumberedVerdicts(Protocol):
    """Tells the verdict lines of a wave by their numbers. Raises `JournalFailed`."""

    def numbered_lines(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next verdict lines behind number *after*, each with its number."""
        ...


class _PlaceInManifest(msgspec.Struct):
    index: int


_place_of = msgspec.json.Decoder(_PlaceInManifest).decode


class VerdictsExport:
    """The verdicts of *record* in the file beside *results*, which nobody else writes meanwhile."""

    def __init__(self, record: NumberedVerdicts, results: Path) -> None:
        """Keep what is there and still holds. Blocks. Raises `UserError`."""
        self._record = record
        self._results = results
        self.path = WaveFiles.of(results).verdicts
        self._begin()

    def _begin(self) -> None:
        self._last = -1
        self._has = bytearray()  # by index: it has a verdict in the file
        self._file = VerdictsFile.take(self.path)
        try:
            for result in self._result_lines():
                if self._file.keep(result.index, identity_of(result)) is not None:
                    self._note(result.index)
            self._file.only_kept()
        except BaseException:
            self._file.close()
            raise

    def go_on(self) -> int:
        """Append what was found since; how many lines. Raises `VerdictsError`, `JournalFailed`."""
        written = 0
        while lines := self._record.numbered_lines(self._last, _PAGE):
            new = [line for _, line in lines if self._note(_place_of(line).index)]
            if new:
                self._file.append(b"".join(new))
            self._last = lines[-1][0]
            written += len(new)
        return written

    @property
    def count(self) -> int:
        """How many entries have a verdict in the file."""
        return self._has.count(1)

    def finish(self, now: float, why: str) -> None:
        """Append a line that is not final for each entry whose result has no verdict: *why* says why that is so. They
        go when the following goes on. Raises `UserError`."""
        for result in self._result_lines():
            if self._note(result.index):
                self._file.write(line_of(followed(result, None), now, stopped=why))

    def anew(self) -> None:
        """Begin again, as results were taken back: verdicts on what is not there any more go. Raises `UserError`,
        `JournalFailed`."""
        self._file.close()
        self._begin()
        self.go_on()

    def close(self) -> None:
        """Let go of the file. Raises `VerdictsError`."""
        self._file.close()

    def _result_lines(self) -> Iterator[Result]:
        parsed = fast_parser(Result, result_in)
        for number, line in raw_lines(self._results):
            yield parsed(self._results, number, line)

    def _note(self, index: int) -> bool:
        """The entry at *index* has a verdict in the file; whether it had none."""
        if index >= len(self._has):
            self._has.extend(bytes(index + 1 - len(self._has)))
        had, self._has[index] = self._has[index], 1
        return not had
