"""A manifest on its way in: streamed to disk, checked as `batcher check` does, and made durable.

Until its row is committed nothing of it counts: whatever happens before, it is removed at the latest by the next start.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import orjson
from aiohttp import web
from msgspec import Struct
from msgspec.structs import asdict

from batcher.clock import Clock
from batcher.drs.endpoints import region_of_endpoint
from batcher.errors import BatcherError
from batcher.follow.following import in_thread
from batcher.manifest import Entry, Finding, ManifestError, RunDefaults, open_manifest
from batcher.manifest.overview import Overview
from batcher.run_defaults import UNNAMED_PROJECT, checked, run_defaults
from batcher.service.kept.entry_index import IndexWriter
from batcher.service.kept.errors import storing
from batcher.service.kept.folders import Folder
from batcher.service.problem import CONTENT_TYPE, Problem
from batcher.settings import RunSettings
from batcher.settings.configfile import ConfigFile
from batcher.settings.credentials import credential_sources
from batcher.text import counted

_AT_ONCE = 1024 * 1024  # bytes that are gathered before a thread writes them
_TOLD = ("index", "line", "column", "field", "value", "problem", "mend")
FORMATS = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/json": "json",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/json-lines": "jsonl",
}


class CheckedManifest(Struct, frozen=True, kw_only=True):
    """What a sound manifest asks for. *scopes* are (endpoint, project_id, entries), "" being a project IAM names."""

    digest: str
    entries: int
    scopes: tuple[tuple[str, str, int], ...]


class Unsound(BatcherError):
    """The manifest has findings; *file* holds the whole answer, open to be read."""

    def __init__(self, file: BinaryIO, count: int) -> None:
        super().__init__(f"{count} findings")
        self.file = file
        self.count = count

    def response(self) -> web.Response:
        """The answer, 422; it is read from disk as it is sent."""
        return web.Response(status=422, body=self.file, content_type=CONTENT_TYPE)


def format_of(content_type: str) -> str:
    """The manifest's format by its *content_type*. Raises `Problem`."""
    found = FORMATS.get(content_type)
    if found is None:
        raise Problem(
            415,
            f"A manifest of the type {content_type!r} is not known: send text/csv, application/json or "
            "application/x-ndjson as Content-Type.",
            headers={"Accept-Post": "text/csv, application/json, application/x-ndjson"},
        )
    return found


async def receive(pieces: AsyncIterator[bytes], path: Path) -> None:
    """Write the *pieces* to the file at *path*, which is on disk when this returns. Raises `Problem`, `StoreFailed`."""
    with storing(f"the folder {path.parent.parent}"):
        path.parent.mkdir(mode=0o700)
        with path.open("xb") as file:
            gathered = bytearray()
            async for piece in pieces:
                gathered += piece
                if len(gathered) >= _AT_ONCE:
                    await _write(file, bytes(gathered))
                    gathered.clear()
            await _write(file, bytes(gathered), sync=True)


async def _write(file: BinaryIO, body: bytes, *, sync: bool = False) -> None:
    def work() -> None:
        file.write(body)
        if sync:
            file.flush()
            os.fsync(file.fileno())

    await in_thread(work, lambda: None)


async def check(
    folder: Folder,
    settings: RunSettings,
    *,
    config: ConfigFile | None,
    encoding: str | None,
    clock: Clock,
    most_entries: int,
) -> CheckedManifest:
    """Check the manifest in *folder*, in a thread. Raises `Unsound`, `Problem`, `StoreFailed`."""
    sources = credential_sources(settings, config)
    checking = _Checking(folder, settings, frozenset(sources.endpoints or ()), encoding, clock.now(), most_entries)
    defaults = run_defaults(settings, sources)
    with storing(f"the folder {folder.path.parent}"):
        await in_thread(lambda: checking.run(defaults), checking.stop)
    return checking.checked()


class _Checking:
    """One check, with its findings on disk: a million of them need no memory."""

    def __init__(
        self,
        folder: Folder,
        settings: RunSettings,
        endpoints: frozenset[str],
        encoding: str | None,
        now: float,
        most_entries: int,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._endpoints = endpoints
        self._encoding = encoding
        self._now = now
        self._most = most_entries
        self._overview = Overview()
        self._index: IndexWriter
        self._invalid = 0
        self._last: int | None = None
        self._findings = _FindingsFile(folder.path / "findings")
        self._digest = ""
        self._is_stopped = False
        self._unsound: Unsound | None = None

    def stop(self) -> None:
        """Nobody waits for it any more."""
        self._is_stopped = True

    def run(self, defaults: RunDefaults) -> None:
        """See `check`; blocks."""
        self._index, whole = IndexWriter(self._folder.entries), False
        try:
            self._read(defaults)
            whole = not self._findings.count
            if not whole:
                self._unsound = self._findings.told(self._overview.entries)
        finally:
            self._findings.forget()
            self._index.close(keep=whole)

    def _read(self, defaults: RunDefaults) -> None:
        settings = self._settings
        try:
            manifest = open_manifest(self._folder.manifest, self._folder.format, self._encoding)
        except ManifestError as error:
            self._findings.add(error.finding)
            return
        self._digest = manifest.digest
        if settings.digest is not None and settings.digest != manifest.digest:
            self._findings.add(_other_digest(settings.digest, manifest.digest))
            return
        items = checked(manifest, defaults, now=self._now, allow_duplicates=settings.allow_duplicates)
        for item in items:
            if self._is_stopped:
                return
            self._take(item)

    def _take(self, item: Entry | Finding) -> None:
        if isinstance(item, Finding):
            if self._settings.skip_invalid and item.index is not None:
                self._invalid += item.index != self._last
                self._last = item.index
                self._index.add_invalid(item)
            else:
                self._findings.add(item)
            return
        if region_of_endpoint(item.endpoint) is None and item.endpoint not in self._endpoints:
            self._findings.add(_foreign(self._folder, item))
        self._overview.add(item)
        if not self._findings.count:
            self._index.add(item, _known(item.project_id))
        if self._overview.entries + self._invalid > self._most:
            raise Problem(
                413, f"The manifest has more than {self._most:,} entries: split it into several waves.",
                headers={"Connection": "close"},
            )  # fmt: skip

    def checked(self) -> CheckedManifest:
        """What was found. Raises `Unsound`."""
        if self._unsound is not None:
            raise self._unsound
        scopes = self._overview.scopes.items()
        return CheckedManifest(
            digest=self._digest,
            entries=self._overview.entries + self._invalid,
            scopes=tuple((endpoint, _known(project), count) for (endpoint, project), count in scopes),
        )


def _known(project_id: str) -> str:
    return "" if project_id == UNNAMED_PROJECT else project_id


def _foreign(folder: Folder, entry: Entry) -> Finding:
    return Finding(
        file=folder.manifest.name,
        line=entry.line,
        index=entry.index,
        field="endpoint",
        value=entry.endpoint,
        problem="is none that this service sends to",
        mend="Name a region; other endpoints are the operator's to name, in the service's own configuration",
    )


def _other_digest(asked: str, found: str) -> Finding:
    return Finding(
        file="",
        line=None,
        index=None,
        field="digest",
        value=asked,
        problem=f"is not that of this manifest, which is {found}",
        mend="Send the manifest that was approved",
    )


class _FindingsFile:
    """Findings, written to a file as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.count = 0

    def add(self, finding: Finding) -> None:
        """Take one more. Raises OSError."""
        if self._file is None:
            self._file = self._path.open("x+b")
        told = {name: value for name, value in asdict(finding).items() if name in _TOLD}
        self._file.write((b",\n" if self.count else b"") + orjson.dumps({name: told[name] for name in _TOLD}))
        self.count += 1

    def told(self, entries: int) -> Unsound:
        """The whole answer. Raises OSError."""
        assert self._file is not None  # noqa: S101 - there are findings
        sound = f"{counted(entries, 'entry', 'entries')} {'is' if entries == 1 else 'are'} sound"
        detail = f"The manifest has {counted(self.count, 'finding')}; {sound}. Nothing was kept."
        head = {
            **{"type": "about:blank", "title": "Not valid", "status": 422, "detail": detail},
            **{"count": self.count, "sound": entries},
        }
        self._file.flush()
        self._file.seek(0)
        whole = self._path.with_name("answer").open("x+b")
        try:
            whole.write(orjson.dumps(head)[:-1] + b',"findings":[\n')
            shutil.copyfileobj(self._file, whole)
            whole.write(b"\n]}\n")
            whole.flush()
        except BaseException:
            with suppress(OSError):  # it closes all the same
                whole.close()
            raise
        whole.seek(0)
        return Unsound(whole, self.count)

    def forget(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with suppress(OSError):  # what it could not write was told already
                self._file.close()
            self._file = None
