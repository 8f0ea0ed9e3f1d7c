"""What is asked for when a wave is opened, and that it may be taken back while its manifest is read."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from batcher.errors import UserError
from batcher.journal.files import WaveFiles
from batcher.life.policy import LookFirst
from batcher.manifest import Judged, Manifest, RunDefaults
from batcher.settings import RunSettings
from batcher.wave.stop import Stop, Stopping


class Request(Struct, frozen=True, kw_only=True):
    """What is asked for when a wave is opened."""

    manifest: Manifest
    defaults: RunDefaults
    files: WaveFiles
    allow_duplicates: bool = False
    skip_invalid: bool = False
    digest: str | None = None
    retry_failed: bool = False
    restart: bool = False
    look_first: LookFirst = LookFirst.AUTO
    settings: Mapping[str, Any] | None = None  # for the record; never a secret
    command: str | None = None  # what was typed, likewise
    checked_at: float | None = None  # when the manifest was checked, Unix seconds; None: it is checked as it is planned
    lost_since: float | None = (
        None  # since when the wave may have been begun by a run whose journal is lost, Unix seconds
    )


def requested(
    settings: RunSettings,
    manifest: Manifest,
    defaults: RunDefaults,
    files: WaveFiles,
    *,
    command: str | None,
    checked_at: float | None,
    lost_since: float | None,
) -> Request:
    """What *settings* ask for; see `Request` for the others."""
    return Request(
        manifest=manifest,
        defaults=defaults,
        files=files,
        allow_duplicates=settings.allow_duplicates,
        skip_invalid=settings.skip_invalid,
        digest=settings.digest,
        retry_failed=settings.retry_failed,
        restart=settings.restart,
        look_first=settings.look_first,
        settings=settings.model_dump(mode="json", exclude={"proxy", "digest", "restart", "retry_failed"}),
        command=command,
        checked_at=checked_at,
        lost_since=lost_since,
    )


class OpeningStopped(UserError):
    """The wave was told to stop while its manifest was still being read: nothing was sent, and nothing is kept."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(f"stopped while the manifest was being read ({stop.text}): nothing was sent")
        self.stop = stop


class StoppableManifest(Manifest):
    """A manifest whose reading ends when the wave is told to stop; a million entries take a while."""

    def __init__(self, manifest: Manifest, stopping: Stopping) -> None:
        super().__init__(manifest._source, manifest.format)
        self._stopping = stopping

    def read_batches(self, defaults: RunDefaults, *, now: float, allow_duplicates: bool = False) -> Iterator[Judged]:
        """What `Manifest.read_batches` gives, until the wave is told to stop. Raises `OpeningStopped`."""
        for judged in super().read_batches(defaults, now=now, allow_duplicates=allow_duplicates):
            if (stop := self._stopping.why) is not None:
                raise OpeningStopped(stop)
            yield judged
