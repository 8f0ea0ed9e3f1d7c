"""What is asked for when a wave is opened."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from batcher.journal.files import WaveFiles
from batcher.life.policy import LookFirst
from batcher.manifest import Manifest, RunDefaults


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
