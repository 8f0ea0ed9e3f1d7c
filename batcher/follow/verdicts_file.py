"""The verdicts file beside the results: one line an entry, in the order in which the verdicts fell.

It is its own journal. A line that is in it is not asked for again; whatever is missing is asked of the cloud, which
keeps results for 60 days. Lines of comparisons that had not ended (`final` is false) stand at its end only, and
the watch that goes on takes them off.
"""

import fcntl
import os
import shutil
import stat
from array import array
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.follow.fast_lines import fast_parser
from batcher.follow.new_verdict import NewVerdict
from batcher.follow.verdict import Identity, Verdict, VerdictLine, identity
from batcher.locks import take
from batcher.whole import draft_beside, sync_folder, whole_bytes

# No manifest has an index beyond this: a file that does is damaged, and must not be believed with memory.
MOST_ENTRIES = 64 * 1024 * 1024
_AT_ONCE = 1000  # lines that are copied at once
_BUFFER = 64 * 1024  # with Python's 8 KB lines take nearly twice as long to be read


class VerdictsError(UserError):
    """The verdicts file cannot be used; the message names it, the place, the cause and the way out."""


class VerdictsTaken(VerdictsError):
    """Another process follows these results."""


def verdict_lines(path: Path) -> Iterator[VerdictLine]:
    """Each whole line of the verdicts file at *path*; none where there is no file. Raises `VerdictsError`."""
    for number, line in raw_verdicts(path):
        yield verdict_in(path, number, line)


def raw_verdicts(path: Path) -> Iterator[tuple[int, bytes]]:
    """The same as they stand in the file, each with its 1-based number."""
    try:
        with path.open("rb", _BUFFER) as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):  # a torn last line is being written, or was when the power went
                    yield number, line
    except FileNotFoundError:
        return
    except OSError as error:
        raise VerdictsError(f"cannot read {path}: {error.strerror}.") from None


def verdict_in(path: Path, number: int, line: bytes) -> VerdictLine:
    """The verdict in *line*, which has the 1-based *number* in the file at *path*. Raises `VerdictsError`."""
    try:
        return VerdictLine.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the line"
        raise VerdictsError(
            f"{path}, line {number} is no verdict: {place}: {first['msg']}. Move the file away, and the same "
            "`batcher watch` asks the cloud for every verdict again."
        ) from None


class _LineIndex:
    """The lines that stand in a verdicts file, at 13 bytes each, however much they say."""

    def __init__(self) -> None:
        self.digests = array("q")  # of what the line is on
        self.codes = bytearray()  # the verdict; `_PASSING` for a line that is not final
        self.kept = bytearray()  # 1: the line stays
        self.size = 0  # of the whole lines together
        self._first = array("I")  # by place in the manifest: 1 + the number of the first line on it, 0 for none
        self._more: dict[int, list[int]] = {}  # the others, where lines were put together by hand

    @classmethod
    def read(cls, path: Path) -> "_LineIndex":
        """Raises `VerdictsError`."""
        found = cls()
        parsed = fast_parser(VerdictLine, verdict_in)
        for number, raw in raw_verdicts(path):
            line = parsed(path, number, raw)
            if line.index >= MOST_ENTRIES:
                raise VerdictsError(f"{path}, line {number} is no verdict: no manifest has an entry {line.index}.")
            found._add(line)
            found.size += len(raw)
        return found

    def _add(self, line: VerdictLine) -> None:
        at, index = len(self.codes), line.index
        about = identity(line.key, line.object_level_compare_result, line.data_level_compare_result)
        self.digests.append(hash(about))
        self.codes.append(_VERDICTS.index(line.verdict) if line.final else _PASSING)
        self.kept.append(0)
        if not line.final:
            return
        if index >= len(self._first):
            self._first.frombytes(bytes(4 * max(index + 1 - len(self._first), min(len(self._first), 1 << 20))))
        if not self._first[index]:
            self._first[index] = at + 1
        else:
            self._more.setdefault(index, []).append(at)

    def on(self, index: int, digest: int) -> int | None:
        """The first line on the comparisons with *digest* of the entry at *index*."""
        if index >= len(self._first) or not self._first[index]:
            return None
        first = self._first[index] - 1
        if self.digests[first] == digest:
            return first
        return next((at for at in self._more.get(index, ()) if self.digests[at] == digest), None)

    @property
    def is_in_order(self) -> bool:
        """Whether no line that goes stands before one that stays."""
        return self.kept.rstrip(b"\0").find(0) < 0


_VERDICTS = tuple(Verdict)
_PASSING = len(_VERDICTS)


class VerdictsFile:
    """The file while it is written, by one following at a time. Of what stands in it some bytes a line are in memory.

    `take` it, `keep` the verdicts that still hold, drop the others by `only_kept`, and `write` new ones.
    """

    def __init__(self, path: Path, fd: int, found: _LineIndex) -> None:
        self.path = path
        self._fd = fd
        self._index = found

    @classmethod
    def take(cls, path: Path) -> "VerdictsFile":
        """Take the file at *path*, making it if there is none. Raises `VerdictsError`."""
        fd = _take(path)
        try:
            return cls(path, fd, _LineIndex.read(path))
        except BaseException:
            os.close(fd)
            raise

    def keep(self, index: int, on: Identity) -> Verdict | None:
        """The final verdict on the comparisons *on* of the entry at *index*; its line stays. None: there is none."""
        if (at := self._index.on(index, hash(on))) is None:
            return None
        self._index.kept[at] = 1
        return _VERDICTS[self._index.codes[at]]

    def only_kept(self) -> None:
        """Have only what is kept in the file; no more is kept after that.

        What else stands in its middle (verdicts of a wave that was begun anew) goes to a copy beside it first. Raises
        `VerdictsError`.
        """
        found, self._index = self._index, _LineIndex()
        try:
            self._fd = _only(self.path, self._fd, found)
        except OSError as error:
            raise VerdictsError(f"cannot write {self.path}: {error.strerror}.") from None

    def write(self, *lines: NewVerdict | VerdictLine) -> None:
        """Append *lines*; they survive the end of this process. Raises `VerdictsError`."""
        self.append(b"".join(line.to_line() for line in lines))

    def append(self, body: bytes) -> None:
        """The same of whole lines as they stand elsewhere."""
        try:
            _append(self._fd, body)
        except OSError as error:
            raise VerdictsError(
                f"cannot write {self.path}: {error.strerror}. Make room, and run the same command again: the verdicts "
                "that are in it are kept, the others are asked for again.",
                exit_code=3,
            ) from None

    def close(self) -> None:
        """Have everything on disk, and let go of the file. Raises `VerdictsError`."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise VerdictsError(f"cannot write {self.path}: {error.strerror}.", exit_code=3) from None
        finally:
            os.close(self._fd)


def _take(path: Path) -> int:
    """The file at *path*, made if there is none, and locked: nobody else has it while this process does."""

    def opened() -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise VerdictsError(f"cannot open {path} for verdicts: {error.strerror}.") from None

    try:
        return take(path, opened)
    except BlockingIOError:
        raise VerdictsTaken(f"another batcher follows these results: it holds {path}. Wait for it to end.") from None
    except OSError as error:
        raise VerdictsError(f"cannot lock {path}: {error.strerror}.") from None


def _only(path: Path, fd: int, found: _LineIndex) -> int:
    """The file at *path*, locked, with only the lines that *found* has as kept.

    *fd* is the locked file as it was, which is closed where another takes its place: whole, and locked before it does.
    Raises OSError; then all is as it was.
    """
    if 0 not in found.kept and os.fstat(fd).st_size == found.size:
        return fd
    path = path.resolve()
    if not found.is_in_order:
        with whole_bytes(path.with_name(f"{path.name}.{utc_now():%Y%m%dT%H%M%SZ}")) as aside, path.open("rb") as was:
            shutil.copyfileobj(was, aside)
    draft = draft_beside(path)
    new = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(new, stat.S_IMODE(os.fstat(fd).st_mode))
        kept = (line for number, line in raw_verdicts(path) if found.kept[number - 1])
        while body := b"".join(islice(kept, _AT_ONCE)):
            _append(new, body)
        os.fsync(new)
        draft.replace(path)
    except BaseException:
        os.close(new)
        draft.unlink(missing_ok=True)
        raise
    os.close(fd)
    sync_folder(path.parent)
    return new


def _append(fd: int, body: bytes) -> None:
    """Append all of *body*, or nothing. Raises OSError."""
    written = 0
    try:
        written = os.write(fd, body)
        while written < len(body):
            written += os.write(fd, memoryview(body)[written:])
    except OSError:
        if written:
            os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise
