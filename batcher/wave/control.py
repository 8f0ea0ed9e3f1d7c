"""A hand on the running wave: JSON lines over a Unix socket beside the journal, for its owner only.

    {"do": "rate", "value": "5/s"}     ──▶     {"said": "5/s in each scope", "status": {…}}
                                               {"error": "…"}

The socket is bound, made the owner's alone, and only then listened on: before that every connection is refused,
so there is no moment at which somebody else could use it. Whoever holds the journal's lock is the wave, so a
socket that is there already was left by a process that died, and is replaced. Where the path is too long for a
socket (about a hundred bytes), it lies in the user's runtime folder, under a name made from the journal's.
"""

import asyncio
import os
import socket
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from batcher.errors import UserError
from batcher.journal.files import WaveFiles, runtime_folder
from batcher.journal.wave_lock import is_held

_LINE_LIMIT = 64 * 1024
_LONGEST_VALUE = 1000  # characters
_PATIENCE_S = 10.0

Handler = Callable[[str, str | None], dict[str, Any]]
"""Does what was asked (name and value) and answers; raises `ValueError` with the mend where it cannot."""


class NoWave(UserError):
    """No wave is running there."""


class ControlServer:
    """Takes orders while the `async with` lasts. *handler* is called on the event loop."""

    def __init__(self, files: WaveFiles, handler: Handler) -> None:
        self.path = files.socket
        self._handler = handler
        self._server: asyncio.AbstractServer | None = None
        self._inode: int | None = None

    async def __aenter__(self) -> "ControlServer":
        """Raises OSError where there can be no socket."""
        listening = _bound(self.path)
        try:
            self._inode = self.path.stat().st_ino
            self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=_LINE_LIMIT)
        except BaseException:
            listening.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        try:
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            pass

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not _is_owner(writer.get_extra_info("socket")):
                return
            async with asyncio.timeout(_PATIENCE_S):
                while line := await reader.readline():
                    writer.write(orjson.dumps(self._answer(line)) + b"\n")
                    await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass  # whoever asked has left, or sends no lines: nothing was asked for
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = orjson.loads(line)
        except orjson.JSONDecodeError:
            return {"error": "is no JSON line"}
        do, value = (asked.get("do"), asked.get("value")) if isinstance(asked, dict) else (None, None)
        if not isinstance(do, str) or not (value is None or isinstance(value, str)):
            return {"error": 'write {"do": NAME, "value": TEXT}'}
        try:
            return self._handler(do, value)
        except ValueError as error:
            return {"error": str(error)}


def ask(files: WaveFiles, do: str, value: str | None = None) -> dict[str, Any]:
    """Ask the wave of *files*; its answer. Raises `NoWave`, and `UserError` where it says no."""
    journal = files.journal
    if value is not None and len(value) > _LONGEST_VALUE:
        raise UserError(f"{do} takes no value of {len(value):,} characters")
    try:
        path = files.socket
    except OSError as error:
        raise UserError(f"nobody can tell where the wave on {journal} listens: {error.strerror}") from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE_S)
        try:
            connection.connect(os.fspath(path))
            connection.sendall(orjson.dumps({"do": do, "value": value}) + b"\n")
            with connection.makefile("rb") as lines:
                answer = lines.readline()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            if is_held(journal):
                raise UserError(
                    f"the wave on {journal} is running, and does not listen: it could not make {path} (its log says "
                    "why). A signal to its process stops it in order: kill -TERM PID"
                ) from None
            raise NoWave(
                f"no wave is running on {journal}: nothing listens at {path}. It has ended, or was started elsewhere"
            ) from None
        except PermissionError:
            raise UserError(f"{path} belongs to somebody else: only the user who runs the wave may steer it") from None
        except TimeoutError:
            raise UserError(f"the wave on {journal} does not answer; is its process stopped?") from None
        except OSError as error:
            raise UserError(f"{path} cannot be used to steer the wave: {error.strerror or error}") from None
    if not answer:
        raise UserError(f"the wave on {journal} has just ended")
    said: dict[str, Any] = orjson.loads(answer)
    if "error" in said:
        raise UserError(str(said["error"]))
    return said


def _bound(path: Path) -> socket.socket:
    """A socket bound to *path*, the owner's alone, that does not listen yet."""
    if path.parent == runtime_folder():
        _make_private(path.parent)
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(os.fspath(path))
        path.chmod(0o600)
    except BaseException:
        bound.close()
        raise
    return bound


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder of this user alone")


def _remove_stale(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(f"{path} is there and is no socket")
    path.unlink()


def _is_owner(connection: socket.socket) -> bool:
    """Whether the same user is at the other end; where the system cannot say, the file's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in (os.getuid(), 0)
