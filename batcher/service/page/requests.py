"""The create requests of a manifest as they would be sent, and the check that shows them before anything is kept.

Blocks where it reads; each is called in a thread.
"""

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from msgspec import Struct

from batcher.clock import Clock
from batcher.manifest import Entry, open_manifest
from batcher.run_defaults import UNNAMED_PROJECT, checked, run_defaults
from batcher.service.acceptance import check, receive
from batcher.service.given import ServedProfiles, settings_from
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.limits import ServiceLimits
from batcher.service.page.models import CheckManifest
from batcher.service.readings import threaded
from batcher.service.waves import SubmittedManifest
from batcher.settings import Loaded
from batcher.settings.credentials import credential_sources


class RequestsAsked(Struct, frozen=True, kw_only=True):
    """Which requests: of the entries behind the first *after*, at most *limit*."""

    after: int
    limit: int


def requests(folder: Folder, loaded: Loaded, asked: RequestsAsked) -> dict[str, Any]:
    """The requests that the manifest in *folder* asks for, as they are told, see `RequestsPage`. Raises `UserError`."""
    found = _entries(folder, loaded, asked.after)
    shown = [_told(entry) for entry in islice(found, asked.limit)]
    more = shown and next(found, None) is not None
    return {"requests": shown, "next": shown[-1]["index"] + 1 if more else None}


def _entries(folder: Folder, loaded: Loaded, first: int) -> Iterator[Entry]:
    """The sound entries from the place *first* on."""
    settings = loaded.settings
    manifest = open_manifest(folder.manifest, folder.format, folder.encoding)
    defaults = run_defaults(settings, credential_sources(settings, loaded.config))
    for item in checked(manifest, defaults, now=0.0, allow_duplicates=settings.allow_duplicates):
        if isinstance(item, Entry) and item.index >= first:
            yield item


def _told(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "line": entry.line,
        "key": entry.key,
        "endpoint": entry.endpoint,
        "project_id": None if entry.project_id == UNNAMED_PROJECT else entry.project_id,
        "body": orjson.loads(entry.body),
    }


class UploadChecker:
    """Checks manifests that nobody has handed in yet."""

    def __init__(self, data: DataFolder, service: ServedProfiles, clock: Clock, limits: ServiceLimits) -> None:
        self._data = data
        self._service = service
        self._clock = clock
        self._limits = limits

    async def check(
        self, manifest: SubmittedManifest, asked: CheckManifest, given: Mapping[str, str]
    ) -> dict[str, Any]:
        """What *manifest* would do with the settings *given*, see `CheckedModel`. Raises `Unsound`, `Problem`."""
        loaded = settings_from(self._service, self._service.profile(asked.profile), given)
        draft = Folder(self._data.incoming / f"check-{secrets.token_hex(8)}", manifest.format, manifest.encoding)
        try:
            await receive(manifest.pieces, draft.manifest)
            found = await check(
                draft,
                loaded.settings,
                config=loaded.config,
                encoding=manifest.encoding,
                clock=self._clock,
                most_entries=self._limits.entries,
            )
            shown = await threaded(lambda: requests(draft, loaded, RequestsAsked(after=asked.after, limit=asked.limit)))
        finally:
            await asyncio.to_thread(self._data.discard, draft.path)
        scopes = [{"endpoint": e, "project_id": p or None, "entries": count} for e, p, count in found.scopes]
        rate = str(loaded.settings.pace)
        return {"digest": found.digest, "entries": found.entries, "scopes": scopes, "rate": rate, **shown}
