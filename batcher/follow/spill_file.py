"""What is known of comparisons that run, kept on disk: a million of them would not fit into memory."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from struct import Struct

from batcher.errors import UserError

_HEAD = Struct("<II")  # of a record: the room that it has, and how much of it is used
_GUESS = 2048  # a record is rarely longer: one read brings it all
_SLACK = 64  # counters in it may grow


class SpillFailed(UserError):
    """The disk does not take or give what is known of running comparisons; the text says where and the way out."""


class SpillFile:
    """Records in a temporary file without a name, by their places in it. It goes with the process.

    It lies in *folder*, beside what the wave writes, or where temporary files go. Every call raises `SpillFailed`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            try:
                self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
            except OSError:  # a folder that may not be written to
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise self._failure(error) from None
        self._fd = self._file.fileno()
        self._end = 0

    def put(self, record: bytes, place: int | None = None) -> int:
        """Keep *record*; where it stands from now on: at its old *place* if it has one and still fits there."""
        try:
            if place is not None:
                room, _ = _HEAD.unpack(os.pread(self._fd, _HEAD.size, place))
                if len(record) <= room:
                    self._write(_HEAD.pack(room, len(record)) + record, place)
                    return place
            place, room = self._end, len(record) + _SLACK
            self._write(_HEAD.pack(room, len(record)) + record, place)
        except OSError as error:
            raise self._failure(error) from None
        self._end = place + _HEAD.size + room
        return place

    def get(self, place: int) -> bytes:
        """The record at *place*."""
        try:
            read = os.pread(self._fd, _GUESS, place)
            _, length = _HEAD.unpack_from(read)
            if (missing := _HEAD.size + length - len(read)) > 0:
                read += os.pread(self._fd, missing, place + len(read))
        except OSError as error:
            raise self._failure(error) from None
        return read[_HEAD.size : _HEAD.size + length]

    def close(self) -> None:
        """Let go of it; there is nothing in it that anybody wants later."""
        with suppress(OSError):
            self._file.close()

    def _write(self, body: bytes, place: int) -> None:
        written = os.pwrite(self._fd, body, place)
        while written < len(body):
            written += os.pwrite(self._fd, memoryview(body)[written:], place + written)

    def _failure(self, error: OSError) -> SpillFailed:
        return SpillFailed(
            f"cannot keep what is known of running comparisons on disk ({self._folder}): {error.strerror}. Make room, "
            "and run the same command again: verdicts that were reached are kept.",
            exit_code=3,
        )
