"""Secrets that do not print, and the places they are read from."""

import hmac
import os
import select
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from unicodedata import category

from batcher.clock import SystemClock
from batcher.errors import BatcherError
from batcher.masking import MASK, register_secret


class Hidden(str):
    """A header value that is what it is on the wire, but shows as `***` in a repr: of a request, or of locals."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK


class HiddenBytes(bytes):
    """A request body with a secret in it; shows as `***` in a repr."""

    def __repr__(self) -> str:
        return MASK


class Secret:
    """A token, key or password. It prints, formats and logs as `***` and cannot be pickled; see `reveal`.

    Its value is registered with `masking`, the second net, as well.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = Hidden(value)
        register_secret(value)

    def reveal(self) -> str:
        """The value itself: for a header, a signature, a login; for nothing that shows."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere, so it cannot be pickled")


class SecretUnusable(BatcherError):
    """A secret cannot be had from where it should come from. The text says where, why, and the way out."""


class GivenSecret:
    """A secret that cannot change while we run: from an environment variable, or from standard input."""

    def __init__(self, value: str, origin: str) -> None:
        self.origin = origin
        self._secret = Secret(_sound(value, origin))

    def current(self) -> Secret:
        """The secret as it was given; it does not change."""
        return self._secret

    def reload(self) -> Secret:
        """The secret: there is no newer one."""
        return self._secret


class FileSecret:
    """A secret in a file, read again whenever the file has changed on disk.

    *part* takes the secret out of the file's text, by default all of it. While a changed file cannot be used (it
    is being written just now, say), the secret read before stays in force. Raises `SecretUnusable` where there is none.
    """

    def __init__(self, path: Path, origin: str, part: Callable[[str], str] | None = None) -> None:
        self.path = path
        self.origin = origin
        self._part = part
        self._stamp: tuple[int, ...] | None = None
        self._secret: Secret | None = None
        self.reload()

    def current(self) -> Secret:
        """The secret as the file has it now."""
        if self._secret is None or self._stamped() != self._stamp:
            return self.reload()
        return self._secret

    def reload(self) -> Secret:
        """Read the file, whether it seems to have changed or not; what is no file (a pipe, say) has said all it had."""
        stamp = self._stamped()
        if self._secret is not None and not os.path.isfile(self.path):  # noqa: PTH113 - never raises
            return self._secret
        try:
            self._secret = Secret(_sound(self._read(), self.origin))
        except SecretUnusable:
            if self._secret is None:
                raise
        self._stamp = stamp
        return self._secret

    @property
    def readable_by_others(self) -> bool:
        """Whether others on this machine may read the file."""
        try:
            return bool(self.path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)) and os.name == "posix"
        except OSError:
            return False

    def _stamped(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev

    def _read(self) -> str:
        text = read_text(self.path, self.origin)
        return text if self._part is None else self._part(text)


def read_text(path: Path, origin: str) -> str:
    """The text of a small file, or of a pipe that somebody writes to; never waits for long. Raises `SecretUnusable`."""
    try:
        return _read_whole(path).decode("utf-8-sig")
    except TimeoutError:
        raise SecretUnusable(
            f"{origin} is a pipe, and nobody has written to it for {_PATIENCE_S:g} s. Write the secret to it, or name "
            "a file"
        ) from None
    except OSError as error:
        raise SecretUnusable(f"{origin} cannot be read: {error.strerror}. Mend it, or name another file") from None
    except UnicodeDecodeError:
        raise SecretUnusable(f"{origin} is not text. Write nothing but the secret into it, as UTF-8") from None


def _read_whole(path: Path) -> bytes:
    """All bytes, but no more than tell that it is too long. Raises OSError, `TimeoutError`."""
    # Without O_NONBLOCK a pipe that has no writer would hold us up for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        data = b""
        until = SystemClock.monotonic() + _PATIENCE_S
        while len(data) <= _LONGEST:
            # Before a first writer has come, reading from a pipe would find its end.
            left_s = until - SystemClock.monotonic()
            if not stat.S_ISREG(os.fstat(fd).st_mode) and not select.select([fd], [], [], max(0.0, left_s))[0]:
                raise TimeoutError
            try:
                piece = os.read(fd, _LONGEST + 1 - len(data))
            except BlockingIOError:
                continue
            if not piece:
                break
            data += piece
        return data
    finally:
        os.close(fd)


SecretSource = GivenSecret | FileSecret

_PATIENCE_S = 5.0  # with whoever writes to a pipe
_LONGEST = 64 * 1024  # tokens are several kB; what is longer is some other file


def _sound(text: str, origin: str) -> str:
    """*text* without the white space around it, if it can be a secret at all. Raises `SecretUnusable`."""
    value = text.strip()
    if not value:
        raise SecretUnusable(f"{origin} is empty. Put the secret there, or take it away")
    if len(value) > _LONGEST:
        raise SecretUnusable(f"{origin} is longer than any secret. Check that it is the right file")
    if any(sign in value for sign in "\r\n\0"):
        raise SecretUnusable(f"{origin} has several lines. It must hold the secret and nothing else")
    if any(category(sign) in ("Cc", "Cs") for sign in value):
        raise SecretUnusable(f"{origin} holds control characters or bytes that are no UTF-8. Copy the secret anew")
    return value
