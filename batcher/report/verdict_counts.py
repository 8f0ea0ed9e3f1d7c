"""How many final verdicts of each kind a verdicts file has, for whoever shows that and nothing else of them."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from io import BytesIO
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct, field

from batcher.drs.structs import UNTOLD
from batcher.errors import UserError
from batcher.follow.fast_lines import fast_parser
from batcher.follow.verdict import Verdict, VerdictLine
from batcher.follow.verdicts_file import verdict_in
from batcher.life.result import Status

_CREATED, _PARTIAL = Status.CREATED, Status.PARTIAL  # Python looks for a member anew at each mention
_BLOCK = 64 * 1024  # bytes of lines that are decoded at once


class _CountedVerdict(Struct, gc=False):
    """What a verdict line is counted by."""

    status: Status
    verdict: Verdict
    final: bool


class VerdictCounts(Struct):
    """The final verdicts in the file at *path*, counted as it grows. Lines that are not final stand at its end only:
    they are read again each time, as a watch that goes on takes them off.

    Of a line only what is counted is checked, and that all of it is JSON: that halves the time. Where one is not, the
    whole check says what is wrong.
    """

    path: Path
    inode: int | None = None
    offset: int = 0  # behind the last final line
    lines: int = 0  # up to there
    found: Counter[Verdict] = field(default_factory=Counter)

    def counts(self) -> Mapping[Verdict, int]:
        """How many there are of each by now. Raises `UserError`."""
        try:
            with self.path.open("rb") as file:
                self._read(file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror}.") from None
        return {verdict: self.found[verdict] for verdict in Verdict if self.found[verdict]}

    def _read(self, file: BinaryIO) -> None:
        there = os.fstat(file.fileno())
        if there.st_ino != self.inode or there.st_size < self.offset:
            self.inode, self.offset, self.lines, self.found = there.st_ino, 0, 0, Counter()
        file.seek(self.offset)
        while block := file.read(_BLOCK) + file.readline():
            if not self._count(block) and not self._count_each(BytesIO(block)):
                return

    def _count(self, block: bytes) -> bool:
        """Count the lines in *block*, if all are whole, sound and final; else count none."""
        try:
            block.decode()  # else what is passed over may be no text
            found = Counter(map(_counted_by, _decoder.decode_lines(block)))
        except UNTOLD:
            return False
        lines = found.total()
        if not block.endswith(b"\n") or lines != block.count(b"\n") or not all(final for *_, final in found):
            return False
        for (status, verdict, _), count in found.items():
            self._add(status, verdict, count)
        self.offset, self.lines = self.offset + len(block), self.lines + lines
        return True

    def _count_each(self, lines: Iterable[bytes]) -> bool:
        """Count *lines* up to the first that is not whole or not final; whether there was none such. Raises
        `UserError`."""
        parsed = fast_parser(VerdictLine, verdict_in)
        for raw in lines:
            if not raw.endswith(b"\n"):
                return False
            line = parsed(self.path, self.lines + 1, raw)
            if not line.final:
                return False
            self._add(line.status, line.verdict, 1)
            self.offset, self.lines = self.offset + len(raw), self.lines + 1
        return True

    def _add(self, status: Status, verdict: Verdict, count: int) -> None:
        if status is _CREATED or status is _PARTIAL:  # the others have a line, and no comparison
            self.found[verdict] += count


_decoder = msgspec.json.Decoder(_CountedVerdict)
_counted_by = attrgetter("status", "verdict", "final")
