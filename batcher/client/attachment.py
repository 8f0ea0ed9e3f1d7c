"""Which wave of which service a results file belongs to: kept beside it, so that the same command attaches to the same
wave, whatever ended it.

The file is only appended to, a JSON object a line: first the key under which the manifest is handed in, before it is;
then the wave's id; then the editions of the lines. What is torn at its end counts for nothing.
"""

import os
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.journal.attached import MOST_BYTES, attachment_of, known_in
from batcher.journal.files import WaveFiles
from batcher.locks import take
from batcher.wave.sink import SinkFailed
from batcher.whole import sync_folder

__all__ = ("Attachment", "attachment_of")


class Attachment:
    """The file at *path*, of one process at a time; a context manager. *results* (None: standard output) are those
    that it lies beside.

    Raises `UserError` where it cannot be used, or another process has it.
    """

    def __init__(self, path: Path, results: Path | None) -> None:
        self.path = path
        self.results = results
        self._fd = -1
        self._known: dict[str, Any] = {}

    def __enter__(self) -> Self:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self._fd = take(self.path, lambda: os.open(self.path, flags, 0o600))
            body = os.pread(self._fd, MOST_BYTES, 0)
        except (BlockingIOError, PermissionError) as error:
            if isinstance(error, PermissionError) and not os.access(self.path, os.W_OK):
                raise UserError(f"cannot write {self.path}: {error.strerror}.") from error
            raise UserError(f"another batcher submit is at it: {self.path} is in use.") from error
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}.") from error
        try:
            whole = body.rfind(b"\n") + 1
            if whole != len(body):
                os.ftruncate(self._fd, whole)
            self._known = known_in(body)
        except (ValueError, TypeError) as error:
            self.__exit__(None, None, None)
            raise UserError(f"{self.path} is not what batcher submit keeps: name other results with -o.") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            if not self._known:  # nothing was handed in under it
                self.path.unlink(missing_ok=True)
        finally:
            os.close(fd)

    @property
    def wave(self) -> str | None:
        """The wave's id at the service; None: nobody knows that there is one."""
        return self._known.get("wave")

    @property
    def given(self) -> dict[str, str] | None:
        """The settings that the wave was handed in with; None: nobody wrote them down."""
        return self._known.get("given")

    def edition(self, kind: str) -> str | None:
        """Tell the edition of the lines of that *kind* on this side."""
        return self._known.get(kind)

    def key(self, service: str, digest: str) -> str:
        """The key under which the manifest with this *digest* is handed in to *service*: made once.

        Raises `UserError` where this belongs to another manifest or service.
        """
        if not self._known:
            self._require_free()
            self.note(service=service, digest=digest, key=str(uuid.uuid4()))
            sync_folder(self.path.parent)
        which = self.results or "standard output"
        for name, given, what in (("digest", digest, "manifest"), ("service", service, "service")):
            if (known := self._known.get(name)) != given:
                doubt = (
                    ""
                    if self.wave is not None
                    else " Whether that one was taken is not known: hand it in again to find out."
                )
                raise UserError(
                    f"{which} belongs to a wave of another {what} ({known}, and not {given}): name other results with "
                    f"-o, or begin a new wave with --restart, which keeps the files aside.{doubt}"
                )
        return str(self._known["key"])

    def note(self, **known: Any) -> None:
        """Keep something more; durable when this returns. Raises `SinkFailed`."""
        try:
            os.write(self._fd, orjson.dumps(known) + b"\n")
            os.fsync(self._fd)
        except OSError as error:
            raise SinkFailed(f"cannot write {self.path}: {error.strerror}") from error
        self._known |= known

    def forget(self) -> None:
        """What was kept counts for nothing: the manifest was refused. Raises OSError."""
        os.ftruncate(self._fd, 0)
        os.fsync(self._fd)
        self._known = {}

    def put_aside(self) -> list[Path]:
        """Keep what there is of an earlier wave aside, under names of their own, and begin anew; the names."""
        stamp = utc_now().strftime("%Y%m%dT%H%M%SZ")
        kept = []
        files = () if self.results is None else WaveFiles.of(self.results).told
        for path in (*files, self.path):
            if path.exists() and (path != self.path or self._known):
                aside = path.with_name(f"{path.name}.old-{stamp}")
                path.rename(aside)
                kept.append(aside)
        os.close(self._fd)
        self._known = {}
        self.__enter__()
        return kept

    def _require_free(self) -> None:
        """Raises `UserError` where the results are of a wave that this knows nothing of."""
        if self.results is None:
            return
        files = WaveFiles.of(self.results)
        for path in (*files.told, files.journal):
            if path.exists() and path.stat().st_size:
                raise UserError(
                    f"{path} is there already, of a wave that was not handed in from here: name other results with -o."
                )
