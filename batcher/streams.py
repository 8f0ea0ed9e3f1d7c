"""The three standard streams, made so that nothing which happens to them happens to the work.

`secure` puts guarded streams in the place of `sys.stdout` and `sys.stderr`. Writing to them never raises and, while
a wave runs, never waits: whoever reads may have left (a closed pipe), may have no room (a full disk), or may not read
on (a stopped `less`, a terminal behind a dead line). What people are told is masked once more on its way out, and
signs that the stream's encoding does not have become ones that it has. How it went with asked-for data, on standard
output, is told at the end by `outcome`.
"""

import codecs
import errno
import io
import locale
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TypeVar

T = TypeVar("T")

_MOST_KEPT = 1024 * 1024  # bytes that wait for a reader of stderr while a wave runs; what is more is left out
_PATIENCE_S = 3.0  # with a reader that does not read on, once a signal has said that we are to end
_READER_LEFT = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET})

# What stands in for the signs of ours that an encoding may lack; for all others it is a question mark.
_STAND_INS = {"━": "=", "─": "-", "█": "#", "▏": "|", "→": "->", "…": "...", "·": "*"}
_ERRORS = "batcher.stand_in"


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_STAND_INS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error(_ERRORS, _stand_in)


class _Descriptor(io.RawIOBase):
    """Writes to a descriptor. What goes wrong is kept in `trouble`; where *latched* nothing more is written then.

    *trouble* may be there from the beginning: the descriptor was closed when we came.
    """

    def __init__(self, fd: int, trouble: OSError | None, *, latched: bool) -> None:
        super().__init__()
        self._fd = fd
        self._first = trouble
        self._latched = latched
        self.trouble: OSError | None = None  # of what was to be written, so none where nothing was

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if view and not (self._latched and self.trouble):
            try:
                self._write(view)
            except OSError as error:
                self.trouble = error
        return len(view)

    def _write(self, view: memoryview) -> None:
        if self._first is not None:
            raise self._first
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # somebody who shares it has made it so
                waiting = select.poll()
                waiting.register(self._fd, select.POLLOUT)
                waiting.poll()


class _PeoplesDescriptor(_Descriptor):
    """Standard error. While it is `hurried` a thread writes, so that nobody waits for a reader that does not read."""

    def __init__(self, fd: int, trouble: OSError | None) -> None:
        super().__init__(fd, trouble, latched=False)
        self._waiting: deque[bytes] = deque()
        self._kept = 0
        self._left_out = 0
        self._changed = threading.Condition()
        self._hurried = False
        self.patience_s: float | None = None

    def write(self, data: Any) -> int:
        if not self._hurried:
            return super().write(data)
        piece = bytes(data)
        with self._changed:
            if self._kept + len(piece) > _MOST_KEPT:
                self._left_out += 1
            else:
                if self._left_out:
                    piece = self._missing() + piece
                self._waiting.append(piece)
                self._kept += len(piece)
                self._changed.notify_all()
        return len(data)

    def hurry(self) -> None:
        """From now on whoever writes does not wait."""
        self._hurried = True
        threading.Thread(target=self._write_on, name="stderr", daemon=True).start()

    def calm(self) -> None:
        """See all of it written, then write as usual again. It may take long, but not longer than the reader's pauses
        are borne with."""
        with self._changed:
            while self._waiting:
                if not self._changed.wait(self.patience_s):
                    return  # the thread ends with the process, and whatever is told until then is its business
            self._hurried = False
            self._changed.notify_all()
            if self._left_out:
                super().write(self._missing())

    @property
    def is_hurried(self) -> bool:
        """Whether a thread writes."""
        return self._hurried

    def _missing(self) -> bytes:
        text = f"… {self._left_out:,} lines are left out here: nobody read them in time\n"
        self._left_out = 0
        return text.encode("ascii", _ERRORS)

    def _write_on(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if not self._hurried:
                        return
                    self._changed.wait()
                piece = self._waiting[0]
            super().write(piece)
            with self._changed:
                self._waiting.popleft()
                self._kept -= len(piece)
                self._changed.notify_all()


class _Masked(io.TextIOWrapper):
    """What people are told, searched for secrets on its way."""

    _knows = False

    def write(self, text: str) -> int:
        from batcher.masking import mask_values, register_environment  # most commands that go well tell nothing

        if not self._knows:
            self._knows = True
            register_environment()
        super().write(mask_values(text))
        return len(text)


def secure() -> None:
    """Put guarded streams in the place of the standard ones; a closed one gets a descriptor that nobody else takes.

    Otherwise the next file that is opened, a journal say, would be standard output.
    """
    closed = [fd for fd in range(3) if not _is_open(fd)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    bad = OSError(errno.EBADF, os.strerror(errno.EBADF))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(1, bad if 1 in closed else None, latched=True)),
        encoding=_encoding_of(sys.stdout), errors=_ERRORS, line_buffering=os.isatty(1),
    )  # fmt: skip
    sys.stderr = _Masked(
        io.BufferedWriter(_PeoplesDescriptor(2, bad if 2 in closed else None)),
        encoding=_encoding_of(sys.stderr), errors=_ERRORS, line_buffering=True,
    )  # fmt: skip


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _encoding_of(stream: IO[str] | None) -> str:
    return getattr(stream, "encoding", None) or locale.getencoding()


@contextmanager
def never_waiting() -> Iterator[None]:
    """Have nobody wait for the readers of standard error while the context lasts; at its end all is written."""
    raw = _raw_of(sys.stderr)
    if not isinstance(raw, _PeoplesDescriptor):
        yield  # somebody else's stream: a test's, a program's that runs our commands
        return
    raw.hurry()
    try:
        yield
    finally:
        if raw.patience_s is None:
            raw.calm()


def end_soon() -> None:
    """From now on, to the end of the process, a reader of standard error who does not read on holds us up no more."""
    raw = _raw_of(sys.stderr)
    if isinstance(raw, _PeoplesDescriptor):
        raw.patience_s = _PATIENCE_S


def finish() -> None:
    """See what was told written."""
    raw = _raw_of(sys.stderr)
    if isinstance(raw, _PeoplesDescriptor) and raw.is_hurried:
        raw.calm()


def trouble() -> OSError | None:
    """Why asked-for data did not get to standard output; None where all of it did, so far."""
    raw = _raw_of(sys.stdout)
    if not isinstance(raw, _Descriptor):
        return None
    with suppress(ValueError):  # it is closed
        sys.stdout.flush()
    return raw.trouble


def is_reader_gone(error: OSError) -> bool:
    """Whether *error* says that whoever read the output went away, not that there is no room."""
    return error.errno in _READER_LEFT


def while_read(items: Iterable[T]) -> Iterator[T]:
    """*items*, as long as what is printed of them gets anywhere."""
    for item in items:
        yield item
        raw = _raw_of(sys.stdout)
        if isinstance(raw, _Descriptor) and raw.trouble is not None:
            return


def _raw_of(stream: Any) -> Any:
    return getattr(getattr(stream, "buffer", None), "raw", None)
