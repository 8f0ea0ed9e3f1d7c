"""What is told of a wave from its files: entries, one entry, the gate, the report. Each is read in a thread."""

import asyncio
import sqlite3
import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.gate.accepted import Acceptance, read_acceptances
from batcher.gate.result import evaluate
from batcher.gate.wave_entries import entries_of
from batcher.homes import expanded
from batcher.journals import reading
from batcher.manifest import Entry, Finding, open_manifest
from batcher.report.gather import ServedWave, coverage_of_file, gather, read_verdicts
from batcher.report.html import write_page
from batcher.report.json_pieces import json_pieces
from batcher.report.markdown import markdown
from batcher.report.page_data import gather_page
from batcher.report.read import tally_file
from batcher.report.tables import write_entries
from batcher.run_defaults import UNNAMED_PROJECT, checked, run_defaults
from batcher.service.kept.decisions import require_entry
from batcher.service.kept.entry_index import EntryIndex, IndexWriter, ResultLimits
from batcher.service.kept.errors import storing
from batcher.service.kept.folders import Folder
from batcher.service.models import ListEntries
from batcher.service.problem import Problem
from batcher.settings import Loaded
from batcher.settings.credentials import credential_sources
from batcher.wave.explain import entry_as_json, explain, steps_as_json

T = TypeVar("T")
_OPEN_INDEXES = 8


async def threaded(work: Callable[[], T]) -> T:
    """What *work* answers, done in a thread to its end. Raises `Problem` where files cannot be read as they are now,
    `StoreFailed` where the disk is in the way."""
    return await _told(asyncio.to_thread(work))


async def at_length(work: Callable[[], T]) -> T:
    """As `threaded`, of *work* that may read all of a wave: two such are done at a time, and the others wait, so that
    those who ask for much take no thread from uploads, other readers and the waves themselves."""
    return await _told(asyncio.get_running_loop().run_in_executor(_LONG, work))


async def _told(working: Awaitable[T]) -> T:
    task = asyncio.ensure_future(working)
    try:
        with storing("what is read of the wave, or written to answer,"):
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                await asyncio.wait({task})  # what it works on is not let go of before
                raise
    except UserError as error:
        raise Problem(409, error.message) from error


_LONG = ThreadPoolExecutor(2, thread_name_prefix="service-reading")


class Indexes:
    """The indexes of entries that are in use, each for one reader at a time."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, EntryIndex] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def page(
        self, id: str, folder: Folder, limits: ResultLimits, asked: ListEntries, loaded: Callable[[], Loaded]
    ) -> dict[str, Any]:
        """The entries of a wave that are *asked* for. *loaded* gives the settings that its manifest is read by."""
        return await self._asked(id, folder, limits, loaded, lambda index: index.page(asked))

    async def requests(
        self, id: str, folder: Folder, limits: ResultLimits, page: tuple[int, int], loaded: Callable[[], Loaded]
    ) -> dict[str, Any]:
        """The create requests of a wave, a *page* of them: from which place on, and how many at most; *loaded* as of
        `page`."""
        return await self._asked(id, folder, limits, loaded, lambda index: index.requests(*page))

    async def causes(
        self, id: str, folder: Folder, limits: ResultLimits, loaded: Callable[[], Loaded]
    ) -> dict[str, Any]:
        """All trouble of a wave by its cause; *loaded* as of `page`."""
        return await self._asked(id, folder, limits, loaded, lambda index: {"causes": index.causes()})

    async def _asked(
        self,
        id: str,
        folder: Folder,
        limits: ResultLimits,
        loaded: Callable[[], Loaded],
        look: Callable[[EntryIndex], dict[str, Any]],
    ) -> dict[str, Any]:
        lock = self._locks.setdefault(id, asyncio.Lock())
        async with lock:
            before = self._open.pop(id, None)
            index, found = await threaded(lambda: _looked(before, folder, limits, loaded, look))
            self._open[id] = index
        while len(self._open) > _OPEN_INDEXES:
            oldest, index = self._open.popitem(last=False)
            if not self._locks[oldest].locked():
                del self._locks[oldest]
            index.close()
        return found

    def close(self) -> None:
        """Let go of them."""
        for index in self._open.values():
            index.close()
        self._open.clear()


def _looked(
    index: EntryIndex | None,
    folder: Folder,
    limits: ResultLimits,
    loaded: Callable[[], Loaded],
    look: Callable[[EntryIndex], dict[str, Any]],
) -> tuple[EntryIndex, dict[str, Any]]:
    try:
        index = index or _opened(folder, loaded)
        index.refresh(limits)
        return index, look(index)
    except (sqlite3.Error, OSError):
        if index is not None:
            index.close()
        with suppress(OSError):
            folder.entries.unlink()  # it holds nothing that cannot be had again
        index = _opened(folder, loaded)
        index.refresh(limits)
        return index, look(index)


def _opened(folder: Folder, loaded: Callable[[], Loaded]) -> EntryIndex:
    if not folder.entries.exists():
        _make(folder, loaded())
    return EntryIndex(folder)


def _make(folder: Folder, loaded: Loaded) -> None:
    """Make the index anew: it was lost."""
    draft = folder.entries.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    writer, whole = IndexWriter(draft), False
    try:
        for item in _items(folder, loaded):
            if isinstance(item, Entry):
                writer.add(item, _known(item.project_id) or "")
            else:
                writer.add_invalid(item)
        whole = True
    finally:
        writer.close(keep=whole)
    draft.replace(folder.entries)


def _items(folder: Folder, loaded: Loaded) -> Iterator[Entry | Finding]:
    """What the manifest holds. Its start times may have passed since it was checked."""
    settings = loaded.settings
    manifest = open_manifest(folder.manifest, folder.format, folder.encoding)
    defaults = run_defaults(settings, credential_sources(settings, loaded.config))
    return checked(manifest, defaults, now=0.0, allow_duplicates=settings.allow_duplicates)


def _known(project_id: str | None) -> str | None:
    return None if project_id == UNNAMED_PROJECT else project_id


def in_manifest(folder: Folder, loaded: Loaded, index: int) -> dict[str, Any]:
    """The entry at *index* of a wave that has not begun, as `explained` has it: nothing was done for it yet.

    Raises `UserError`.
    """
    about: dict[str, Any] = {"index": index, "manifest": folder.manifest.name, "result": None, "steps": []}
    for item in _items(folder, loaded):
        if item.index != index:
            continue
        if isinstance(item, Finding):
            return {**about, "key": item.key, "line": item.line, "job_id": item.job_id}
        return {
            **about,
            "key": item.key,
            "line": item.line,
            "job_id": item.job_id,
            "project_id": _known(item.project_id),
            "endpoint": item.endpoint,
            "request": orjson.loads(item.body),
        }
    raise Problem(404, f"There is no entry {index}.")


def explained(folder: Folder, index: int) -> dict[str, Any]:
    """The entry at *index* as `batcher explain --json` has it. Raises `Problem`, `UserError`."""
    with reading(folder.record) as record:
        require_entry(index, record.entry_count())
        about = entry_as_json(record, index, folder.manifest.name)
        return {**about, "steps": steps_as_json(explain(record.events(index)))}


def acceptances_of(path: Path | None) -> tuple[Acceptance, ...]:
    """The accepted differences in the file at *path*. Raises `AcceptanceError`."""
    return () if path is None else read_acceptances(expanded(path))


def gate(folder: Folder, name: str, acceptances: tuple[Acceptance, ...], most: int | None) -> BinaryIO:
    """What the gate says, as `batcher gate --json`, as a file to be read; *most* of each of the long lists, None: all.

    The wave is called by its *name*, as where it lies is nobody's business.

    Raises `UserError`.
    """
    entries = entries_of([folder.results], journal=folder.place, named={folder.results: name})
    ruling = evaluate(entries, acceptances, utc_now().date())
    return _written(json_pieces(ruling.told() if most is None else ruling.as_json(most)))


def report(folder: Folder, served: ServedWave, acceptances: tuple[Acceptance, ...], format: str) -> BinaryIO:
    """The report, as `batcher report` writes it in that format, as a file to be read. Raises `UserError`, OSError."""
    results, journal = folder.results, folder.place
    match format:
        case "html":
            with tempfile.TemporaryDirectory(prefix="batcher-") as made:
                file = Path(made) / "report.html"
                write_page(file, gather_page([results], acceptances, journal=journal, served=served))
                return file.open("rb")  # it has no name from now on
        case "md":
            return _written(iter([markdown(gather(results, acceptances, journal=journal, served=served)).encode()]))
        case "csv":
            return _csv(folder, acceptances)
    return _written(json_pieces(_summary(folder, served, acceptances)))


def _csv(folder: Folder, acceptances: tuple[Acceptance, ...]) -> BinaryIO:
    file = _temporary()
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    write_entries(text, folder.results, read_verdicts(folder.results, acceptances, journal=folder.place), ",")
    text.flush()
    text.detach()
    file.seek(0)
    return file


def _summary(folder: Folder, served: ServedWave, acceptances: tuple[Acceptance, ...]) -> Mapping[str, Any]:
    results, journal = folder.results, folder.place
    tally, _, torn = tally_file(results)
    coverage = coverage_of_file(results, tally, journal, None)
    verdicts = read_verdicts(results, acceptances, journal=journal, served=served)
    problems = [*tally.misfits(coverage.entries), *([coverage.unproven] if coverage.unproven else [])]
    told = {"file": served.name, "torn": torn, "problems": problems, **tally.as_json()}
    return {**told, "wave": {**coverage.as_json(), "file": served.name}, "gate": verdicts and verdicts.gate.told()}


def _written(pieces: Iterator[bytes]) -> BinaryIO:
    file = _temporary()
    file.writelines(pieces)
    file.seek(0)
    return file


def _temporary() -> BinaryIO:
    """A file without a name; small ones stay in memory."""
    return tempfile.SpooledTemporaryFile(max_size=1024 * 1024)  # type: ignore[return-value]
