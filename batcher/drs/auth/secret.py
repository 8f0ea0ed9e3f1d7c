"""Secrets that do not print, and the places they are read from."""

import hmac
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

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


class Unusable(Exception):
    """A secret cannot be had from where it should come from. The text says where, why, and the way out."""


class GivenSecret:
    """A secret that cannot change while we run: from an environment variable, or from standard input."""

    def __init__(self, value: str, origin: str) -> None:
        self.origin = origin
        self._secret = Secret(_sound(value, origin))

    def current(self) -> Secret:
        """The secret."""
        return self._secret

    def reload(self) -> Secret:
        """The secret: there is no newer one."""
        return self._secret


class FileSecret:
    """A secret in a file, read again whenever the file has changed on disk.

    *part* takes the secret out of the file's text, by default all of it. While a changed file cannot be used (it
    is being written just now, say), the secret read before stays in force. Raises `Unusable` where there is none.
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
        """Read the file, whether it seems to have changed or not."""
        stamp = self._stamped()
        try:
            self._secret = Secret(_sound(self._read(), self.origin))
        except Unusable:
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
        try:
            with self.path.open("rb") as file:
                data = file.read(_LONGEST + 1)
            text = data.decode("utf-8-sig")
        except OSError as error:
            raise Unusable(f"{self.origin} cannot be read: {error.strerror}. Mend it, or name another file") from None
        except UnicodeDecodeError:
            raise Unusable(f"{self.origin} is not text. Write nothing but the secret into it, as UTF-8") from None
        return text if self._part is None else self._part(text)


SecretSource = GivenSecret | FileSecret

_LONGEST = 64 * 1024  # tokens are several kB; what is longer is some other file


def _sound(text: str, origin: str) -> str:
    """*text* without the white space around it, if it can be a secret at all. Raises `Unusable`."""
    value = text.strip()
    if not value:
        raise Unusable(f"{origin} is empty. Put the secret there, or take it away")
    if len(value) > _LONGEST:
        raise Unusable(f"{origin} is longer than any secret. Check that it is the right file")
    if any(sign in value for sign in "\r\n\0"):
        raise Unusable(f"{origin} has several lines. It must hold the secret and nothing else")
    return value
