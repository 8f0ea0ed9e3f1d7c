"""What is asked for when a wave is opened."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from batcher.life.policy import LookFirst
from batcher.manifest import Manifest, RunDefaults


class Request(Struct, frozen=True, kw_only=True):
    """What is asked for when a wave is opened. *results* is None for standard output."""

    manifest: Manifest
    defaults: RunDefaults
    journal: Path
    results: Path | None
    is_named: bool = False  # the journal was named, and is not simply the one beside the results
    beside: tuple[Path, ...] = ()  # what else tells of the wave: its verdicts
    allow_duplicates: bool = False
    skip_invalid: bool = False
    digest: str | None = None
    retry_failed: bool = False
    restart: bool = False
    look_first: LookFirst = LookFirst.AUTO
    settings: Mapping[str, Any] | None = None  # for the record; never a secret
    command: str | None = None  # what was typed, likewise
    checked_at: float | None = None  # when the manifest was checked, Unix seconds; None: it is checked as it is planned
