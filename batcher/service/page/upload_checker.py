"""The check of a manifest before anything of it is kept, which shows its create requests as they would be sent."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from batcher.clock import Clock
from batcher.service.acceptance import check, receive
from batcher.service.given import ServedProfiles, settings_from
from batcher.service.kept.entry_index import EntryIndex
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.limits import ServiceLimits
from batcher.service.page.models import CheckManifest
from batcher.service.readings import threaded
from batcher.service.waves import SubmittedManifest


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
            shown = await threaded(lambda: _requests(draft, asked))
        finally:
            await asyncio.to_thread(self._data.discard, draft.path)
        scopes = [{"endpoint": e, "project_id": p or None, "entries": count} for e, p, count in found.scopes]
        rate = str(loaded.settings.pace)
        return {"digest": found.digest, "entries": found.entries, "scopes": scopes, "rate": rate, **shown}


def _requests(draft: Folder, asked: CheckManifest) -> dict[str, Any]:
    with closing(EntryIndex(draft)) as index:
        return index.requests(asked.after, asked.limit)
