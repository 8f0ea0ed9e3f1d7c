"""The verdicts file beside the results: one line an entry, in the order in which the verdicts fell.

It is its own journal. A line that is in it is not asked for again; whatever is missing is asked of the cloud, which
keeps results for 60 days. Lines of comparisons that had not ended (`final` is false) stand at its end only, and
the watch that goes on takes them off.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.follow.verdict import VerdictLine
from batcher.whole import draft_beside, sync_folder, whole_bytes


class VerdictsError(UserError):
    """The verdicts file cannot be used; the message names it, the place, the cause and the way out."""


def verdict_lines(path: Path) -> Iterator[VerdictLine]:
    """Each whole line of the verdicts file at *path*; none where there is no file. Raises `VerdictsError`."""
    for number, line in raw_verdicts(path):
        yield verdict_in(path, number, line)


def raw_verdicts(path: Path) -> Iterator[tuple[int, bytes]]:
    """The same as they stand in the file, each with its 1-based number."""
    try:
        with path.open("rb") as file:
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


Identity = tuple[str, tuple[str | None, ...]]


def identity(line: VerdictLine) -> Identity:
    """What a verdict is on: the entry, and the comparisons made for it. A wave begun anew has others."""
    return line.key, tuple(half.compare_task_id for half in line.halves)


class VerdictsFile:
    """The file while a watch writes it; one watch at a time. `kept` are the verdicts that were there already, by the
    place of their entry: keys may repeat (`--allow-duplicates`).
    """

    def __init__(self, path: Path, fd: int, kept: Mapping[int, VerdictLine]) -> None:
        self.path = path
        self.kept = dict(kept)
        self._fd = fd

    @classmethod
    def open(cls, path: Path, wanted: Mapping[int, Identity]) -> "VerdictsFile":
        """Take the file at *path*, making it if there is none, and keep of it the final verdicts on *wanted*.

        *wanted* has the identity of each entry by its place. What else stands in the file's middle (verdicts of
        a wave that was begun anew) goes to a copy beside it first. Raises `VerdictsError`.
        """
        fd = _take(path)
        try:
            kept: dict[int, VerdictLine] = {}
            keeps: list[bool] = []
            for line in verdict_lines(path):
                keeps.append(line.final and wanted.get(line.index) == identity(line) and line.index not in kept)
                if keeps[-1]:
                    kept[line.index] = line
            fd = _only(path, fd, kept, keeps)
        except OSError as error:
            os.close(fd)
            raise VerdictsError(f"cannot write {path}: {error.strerror}.") from None
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, kept)

    def write(self, line: VerdictLine) -> None:
        """Append *line*; it survives the end of this process. Raises `VerdictsError`."""
        body = line.to_line()
        size = os.fstat(self._fd).st_size
        try:
            _append(self._fd, body)
        except OSError as error:
            os.ftruncate(self._fd, size)
            raise VerdictsError(
                f"cannot write {self.path}: {error.strerror}. Make room, and run the same command again: the verdicts "
                "that are in it are kept, the others are asked for again.",
                exit_code=3,
            ) from None

    def close(self) -> None:
        """Have everything on disk, and let go of the file."""
        try:
            os.fsync(self._fd)
        finally:
            os.close(self._fd)


def _take(path: Path) -> int:
    """The file at *path*, made if there is none, and locked: nobody else has it while this process does."""
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise VerdictsError(f"cannot open {path} for verdicts: {error.strerror}.") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):
                return fd
        except BlockingIOError:
            os.close(fd)
            raise VerdictsError(
                f"another batcher follows these results: it holds {path}. Wait for it to end."
            ) from None
        except OSError as error:
            os.close(fd)
            raise VerdictsError(f"cannot lock {path}: {error.strerror}.") from None
        os.close(fd)  # another put a new file in its place between opening and locking


def _is_at(fd: int, path: Path) -> bool:
    ours = os.fstat(fd)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (ours.st_ino, ours.st_dev) == (there.st_ino, there.st_dev)


def _only(path: Path, fd: int, kept: Mapping[int, VerdictLine], keeps: list[bool]) -> int:
    """The file at *path*, locked, with only what is *kept*. *keeps* tells of each whole line whether it is.

    *fd* is the locked file as it was, which is closed where another takes its place: whole, and locked before it does.
    Raises OSError; then all is as it was.
    """
    body = b"".join(line.to_line() for line in kept.values())
    if os.fstat(fd).st_size == len(body) and all(keeps):
        return fd
    path = path.resolve()
    if False in keeps[: len(kept)]:
        with whole_bytes(path.with_name(f"{path.name}.{utc_now():%Y%m%dT%H%M%SZ}")) as aside:
            aside.write(path.read_bytes())
    draft = draft_beside(path)
    new = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(new, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(new, stat.S_IMODE(os.fstat(fd).st_mode))
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
    """Append all of *body*. Raises OSError."""
    written = 0
    while written < len(body):
        written += os.write(fd, memoryview(body)[written:])
