"""The waves of the service: handed in, approved, steered, looked at. HTTP handlers go through here."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from hashlib import file_digest
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from batcher.clock import Clock
from batcher.follow.following import in_thread
from batcher.life.events import UNDO
from batcher.life.result import Status
from batcher.life.ruling import NotSettled, Ruling
from batcher.logger import get_logger
from batcher.service.acceptance import check, receive
from batcher.service.audit import BEGUN, FAILED, AuditEntry
from batcher.service.given import FIXED, ServedProfiles, finding, invalid, settings_from
from batcher.service.kept.decisions import recheck_manifest, settle_entry
from batcher.service.kept.errors import StoreFailed, storing
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import WaveRow, settings_of
from batcher.service.limits import ServiceLimits
from batcher.service.meters import Meters
from batcher.service.models import LONGEST_NAME, Change, ListWaves, NewWave, State
from batcher.service.notices.desk import Desk
from batcher.service.problem import Problem
from batcher.service.roles import Who
from batcher.service.running import verbs
from batcher.service.running.backend import Backend
from batcher.settings import Loaded

log = get_logger("batcher.service")

_AGAIN = ", compared again"
_SIGNS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that is taken for another


class SubmittedManifest(Struct, frozen=True, kw_only=True):
    """A manifest that is handed in: its bytes as they come, its format and encoding (None: UTF-8)."""

    pieces: AsyncIterator[bytes]
    format: str
    encoding: str | None = None


class Waves:
    """What may be asked of waves, and done with them.

    Its methods raise `Problem` where they refuse, and `StoreFailed` where the database does.
    """

    def __init__(
        self,
        backend: Backend,
        service: ServedProfiles,
        clock: Clock,
        *,
        approval: bool,
        limits: ServiceLimits,
        grace_s: float,
        meters: Meters,
        desk: Desk,
    ) -> None:
        """*backend* keeps them and runs them, *desk* tells others of what happens to them."""
        self.backend = backend
        self.data = backend.data
        self.register = backend.register
        self.runner = backend.runner
        self.service = service
        self._clock = clock
        self._approval = approval
        self._limits = limits
        self._grace_s = grace_s
        self.desk = desk
        self.meters = meters

    async def __aenter__(self) -> "Waves":
        """Take up what earlier processes left, and run it."""
        await self.backend.open()
        return self

    async def end(self) -> None:
        """Take nothing new, have what is in flight settled, and let every reader go."""
        await self.runner.close(self._grace_s)

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.end()
        finally:
            await self.backend.close()

    # --- handing in -------------------------------------------------------------------------------------

    async def submit(
        self, manifest: SubmittedManifest, asked: NewWave, given: Mapping[str, str], who: Who, key: str | None
    ) -> tuple[WaveRow, bool]:
        """Accept a new wave; the wave that it is, and whether it is new. It is durable when this returns.

        *given* are the settings that were asked for. Raises `Unsound`, `Problem`.
        """
        self._require_open()
        profile = self.service.profile(asked.profile)
        loaded = settings_from(self.service, profile, given)
        id = "".join(secrets.choice(_SIGNS) for _ in range(12))
        draft = Folder(self.data.incoming / id, manifest.format)
        try:
            await receive(manifest.pieces, draft.manifest)
            row = WaveRow(
                id=id,
                name=asked.name or "",
                format=manifest.format,
                encoding=manifest.encoding,
                digest="",
                entries=0,
                priority=asked.priority,
                profile=profile,
                given=dict(given),
                fixed=_fixed(loaded),
                starts=asked.start,
                submitted_by=who.name,
                created_at=self._clock.now(),
                state=State.QUEUED,
            )
            return await self._accept(draft, row, loaded, who, key)
        finally:
            await asyncio.to_thread(self.data.discard, draft.path)

    async def _accept(
        self, draft: Folder, row: WaveRow, loaded: Loaded, who: Who, key: str | None
    ) -> tuple[WaveRow, bool]:
        """Check the manifest in *draft*, and make it a wave."""
        if key is not None and (known := await self._of_key(row.submitted_by, key, draft)) is not None:
            return known, False
        found = await check(
            draft,
            loaded.settings,
            config=loaded.config,
            encoding=row.encoding,
            clock=self._clock,
            most_entries=self._limits.entries,
        )
        self.backend.require_able(loaded.settings, len(found.scopes))
        held = self._approval or not row.starts
        row = replace(
            row,
            name=row.name or found.digest.removeprefix("sha256:")[:12],
            digest=found.digest,
            entries=found.entries,
            scopes=found.scopes,
            needs_approval=self._approval,
            state=State.HELD if held else State.QUEUED,
        )
        # Whatever comes now is done to its end: a client that leaves has a wave, or has none, and never half of one.
        task = asyncio.create_task(self._admit(draft, row, who, key), name=f"admit {row.id}")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            raise

    async def _admit(self, draft: Folder, row: WaveRow, who: Who, key: str | None) -> tuple[WaveRow, bool]:
        about = {"name": row.name, "digest": row.digest, "entries": row.entries, "settings": dict(row.given)}
        if row.of is not None:
            about["of"] = row.of
        deed = AuditEntry(who=who, action="submit", wave=row.id, detail=about)
        try:
            with storing(f"the folder {self.data.waves}"):
                await asyncio.to_thread(self.data.admit, draft.path, row.id)
            kept = await self.register.add(row, key, deed, self.data.wave(row.id, row.format, row.encoding))
        except BaseException:
            await asyncio.to_thread(self.data.discard, self.data.wave(row.id, row.format).path)
            raise
        if kept.id != row.id:  # another request with the same key was quicker
            await asyncio.to_thread(self.data.discard, self.data.wave(row.id, row.format).path)
            _require_same(kept.digest, row.digest)
            return kept, False
        log.info(
            "service.wave_accepted",
            wave=kept.id,
            name=kept.name,
            entries=kept.entries,
            state=kept.state.value,
            by=who.name,
        )
        self.runner.put(kept)
        return kept, True

    async def _of_key(self, who: str, key: str, draft: Folder) -> WaveRow | None:
        """The wave that *who* handed in with this *key*. Raises `Problem` where that was another manifest."""
        found = await self.register.of_key(who, key)
        if found is None:
            return None
        with storing(f"the folder {self.data.incoming}"):
            _require_same(found[0], await asyncio.to_thread(_digest, draft))
        return found[1]

    def _require_open(self) -> None:
        if self.runner.is_closing:
            raise Problem(503, "The service is ending: hand it in again in a moment.", headers={"Retry-After": "10"})

    # --- looking ----------------------------------------------------------------------------------------

    async def get(self, id: str) -> WaveRow:
        """The wave with that id. Raises `Problem` 404."""
        row = await self.backend.current(id)
        if row is None:
            raise _unknown(id)
        return row

    async def told(self, id: str) -> dict[str, Any]:
        """The same as it is told."""
        return self.runner.told(await self.get(id))

    async def page(self, asked: ListWaves) -> dict[str, Any]:
        """Some waves as they are told, the newest first, and how to get the next."""
        below = None if asked.after is None else int(asked.after)
        rows = await self.register.page(asked.state, asked.limit + 1, below)
        more = len(rows) > asked.limit
        shown = rows[: asked.limit]
        return {
            "waves": [self.runner.told(self.runner.row(row.id) or row) for row in shown],
            "next": str(shown[-1].number) if more else None,
        }

    async def files(self, row: WaveRow) -> Folder:
        """The files of a wave, as they are by now."""
        return await self.backend.files(row)

    def settings_of(self, row: WaveRow) -> Loaded:
        """The settings that a run of it has now. Raises `SettingsError`."""
        return self.service.load(row.profile, settings_of(row))

    async def edition(self, row: WaveRow, kind: str, path: Path) -> int:
        """The edition of its lines of that *kind*, in the file at *path*: another one where lines were taken back."""
        return await self.backend.edition(row, kind, path)

    # --- steering ---------------------------------------------------------------------------------------

    async def do(self, id: str, verb: str, who: Who) -> dict[str, Any]:
        """Do what *verb* says, see `verbs.VERBS`; the wave as it is told then. Raises `Problem`."""
        decide, now = verbs.VERBS[verb], self._clock.now()

        def decided(row: WaveRow) -> dict[str, Any]:
            changes = decide(row, who.name, now)
            if verb == "resume":
                changes["state"] = self.backend.goes_on_as(row)
            return changes

        told = await self._changed(id, decided, AuditEntry(who=who, action=verb, wave=id))
        if verb in ("start", "retry_failed"):
            self.backend.show_again(await self.get(id))
        return told

    async def approve(self, id: str, digest: str, who: Who) -> dict[str, Any]:
        """Let a held wave go. Raises `Problem`."""
        deed = AuditEntry(who=who, action="approve", wave=id, detail={"digest": digest})
        return await self._changed(id, lambda row: verbs.approved(row, who, digest), deed)

    async def change(self, id: str, change: Change, who: Who) -> dict[str, Any]:
        """Change how it runs, now and in later runs. Raises `Problem`."""
        asked = change.model_dump(exclude_none=True)
        deed = AuditEntry(who=who, action="change", wave=id, detail=dict(asked))
        priority = asked.pop("priority", None)
        given = {name: str(value) for name, value in asked.items()}
        row = await self.get(id)
        loaded = settings_from(self.service, row.profile, {**row.given, **given})

        def decided(row: WaveRow) -> dict[str, Any]:
            verbs.require_changeable(row)
            changes: dict[str, Any] = {"given": {**row.given, **given}}
            return changes if priority is None else {**changes, "priority": priority}

        await self._changed(id, decided, deed)
        if priority is not None:
            given["priority"] = str(priority)
        if "rate" in given and "read_rate" not in row.given:
            given.setdefault("read_rate", str(loaded.settings.read_pace))  # by default it is the same
        self.backend.steer(row, given)
        return await self.told(id)

    async def _changed(
        self, id: str, decide: Callable[[WaveRow], Mapping[str, Any]], deed: AuditEntry
    ) -> dict[str, Any]:
        self._require_open()
        row = await self.register.change(id, decide, deed)
        if row is None:
            raise _unknown(id)
        self.runner.put(row)
        return self.runner.told(row)

    # --- deciding ---------------------------------------------------------------------------------------

    async def settle(self, id: str, index: int, ruling: str, who: Who) -> None:
        """Record what became of an unsettled entry. Raises `Problem`."""
        try:
            said = Ruling.taken_back() if ruling.strip() == UNDO else Ruling.parse(ruling)
        except NotSettled as error:
            _, _, mend = error.message.partition(": ")
            raise invalid([finding("as", ruling, "is no ruling", mend[:1].upper() + mend[1:].rstrip("."))]) from None
        row = await self.get(id)
        verbs.require_quiet(row)
        deed = AuditEntry(who=who, action="settle", wave=id, detail={"index": index, "as": ruling})
        await self.register.record(replace(deed, outcome=BEGUN))
        try:
            counts = await settle_entry(await self.files(row), index, said, self._clock.now())
        except BaseException:
            await self.register.record(replace(deed, outcome=FAILED))
            raise
        try:
            changed = await self.register.change(
                id, lambda _: {"counts": counts, "to_rule": counts.get(Status.UNSETTLED, 0)}, deed
            )
        except StoreFailed as error:
            raise Problem(
                507 if error.is_full else 503,
                f"The entry is settled, which the audit log has as begun; that it is done could not be added: {error}.",
            ) from error
        if changed is not None:
            self.runner.put(changed)
        self.runner.feed(id).publish("entry", {"index": index})

    async def recheck(self, id: str, who: Who, key: str | None) -> tuple[WaveRow, bool]:
        """A new wave of what did not come out consistent in *id*, as `submit` has it. Raises `Problem`."""
        self._require_open()
        row = await self.get(id)
        verbs.require_recheck(row)
        new = "".join(secrets.choice(_SIGNS) for _ in range(12))
        draft = Folder(self.data.incoming / new, "jsonl")
        try:
            folder = await self.files(row)
            with storing(f"the folder {self.data.incoming}"):
                await in_thread(lambda: recheck_manifest(folder, draft), lambda: None)
            given = {name: value for name, value in row.given.items() if name != "digest"} | {"wait": "true"}
            loaded = settings_from(self.service, row.profile, given)
            made = WaveRow(
                id=new,
                name=f"{row.name[: LONGEST_NAME - len(_AGAIN)]}{_AGAIN}",
                format="jsonl",
                digest="",
                entries=0,
                priority=row.priority,
                profile=row.profile,
                given=given,
                fixed=row.fixed,
                submitted_by=who.name,
                created_at=self._clock.now(),
                state=State.QUEUED,
                of=row.id,
            )
            return await self._accept(draft, made, loaded, who, key)
        finally:
            await asyncio.to_thread(self.data.discard, draft.path)


def _fixed(loaded: Loaded) -> dict[str, Any]:
    """What of the settings decides about the manifest's meaning, as it stands now."""
    settings = loaded.settings
    values = {name: getattr(settings, name) for name in FIXED}
    return {name: value for name, value in values.items() if value is not None}


def _digest(draft: Folder) -> str:
    with draft.manifest.open("rb") as file:
        return f"sha256:{file_digest(file, 'sha256').hexdigest()}"


def _require_same(known: str, digest: str) -> None:
    if known != digest:
        raise Problem(
            409,
            f"This Idempotency-Key was used for another manifest, {known}; this one is {digest}. Take a new key for a "
            "new wave.",
            title="Another manifest under the same key",
        )


def _unknown(id: str) -> Problem:
    return Problem(404, f"There is no wave {id[:40]!r}. GET /v1/waves lists them.")
