"""The manifest: a file, its digest, and a walk over its entries and findings."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from batcher.manifest.alike_entries import AlikeEntries
from batcher.manifest.check import Checker, Judged
from batcher.manifest.duplicates import DuplicateFinder, finding_duplicates
from batcher.manifest.entry import Entry, Finding
from batcher.manifest.envelope import RunDefaults
from batcher.manifest.errors import ManifestError
from batcher.manifest.findings import shown
from batcher.manifest.formats.element import AlikeBatch, Batch
from batcher.manifest.formats.other_files import refuse_other_files
from batcher.manifest.formats.source import STANDARD_INPUT, Source
from batcher.nearest import nearest

if TYPE_CHECKING:  # a manifest has one format, and the readers of the others are not loaded
    from batcher.manifest.formats.read_csv import HeaderFlaw

Format = Literal["csv", "json", "jsonl"]
FORMATS: tuple[Format, ...] = ("csv", "json", "jsonl")
_BY_EXTENSION: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


class Manifest:
    """A manifest file. It stays open, so that what is read is what was digested."""

    def __init__(self, source: Source, format: Format) -> None:
        self._source = source
        self.format = format

    @property
    def file(self) -> str:
        """How messages call it: its path as given, or "standard input"."""
        return self._source.name

    @property
    def digest(self) -> str:
        """ "sha256:…" of the file's bytes."""
        return self._source.digest

    def read(self, defaults: RunDefaults, *, now: float, allow_duplicates: bool = False) -> Iterator[Entry | Finding]:
        """Each entry, or the findings about it one after the other, in the order of the manifest.

        A finding whose `index` is None is about the whole file: it cannot be skipped, and nothing may come
        after it. *now* (seconds since the epoch) is when the wave starts. Some hundred entries are in memory at a time.
        """
        for judged in self.read_batches(defaults, now=now, allow_duplicates=allow_duplicates):
            if isinstance(judged, AlikeEntries):
                yield from judged.entries()
                continue
            for item in judged:
                if isinstance(item, list):
                    yield from item
                else:
                    yield item

    def read_batches(self, defaults: RunDefaults, *, now: float, allow_duplicates: bool = False) -> Iterator[Judged]:
        """What `read` gives, some hundred elements at a time: of each its entry, or the findings about it."""

        def walk(finder: DuplicateFinder | None) -> Iterator[Judged]:
            return self._judged(Checker(self.file, defaults, now=now, finder=finder, flat=self.format == "csv"))

        try:
            empty = True
            for judged in walk(None) if allow_duplicates else finding_duplicates(walk):
                empty = empty and not isinstance(judged, AlikeEntries) and not any(item != [] for item in judged)
                yield judged
            if empty:
                raise ManifestError(self.file, "the manifest has no entries", "Give at least one")
        except ManifestError as error:
            yield [[error.finding]]

    def _judged(self, checker: Checker) -> Iterator[Judged]:
        match self.format:
            case "csv":
                return self._judged_csv(checker)
            case "json":
                return self._judged_json(checker)
            case "jsonl":
                return self._judged_jsonl(checker)

    def _judged_csv(self, checker: Checker) -> Iterator[Judged]:
        from batcher.manifest.formats.read_csv import HeaderFlaw, read_csv

        for item in read_csv(self._source):
            yield [[self._header_finding(item)]] if isinstance(item, HeaderFlaw) else checker.judge(item)

    def _judged_jsonl(self, checker: Checker) -> Iterator[Judged]:
        from batcher.manifest.formats.read_jsonl import read_jsonl

        return map(checker.judge, refuse_other_files(self.file, read_jsonl(self._source)))

    def _judged_json(self, checker: Checker) -> Iterator[Judged]:
        from batcher.manifest.formats.read_json import read_json

        for item in refuse_other_files(self.file, read_json(self._source)):
            if isinstance(item, Batch | AlikeBatch):
                yield checker.judge(item)
            elif isinstance(item.data, dict):
                yield [checker.take_defaults(item.line, item.data, item.flaws)]
            else:
                raise ManifestError(self.file, "`defaults` must be an object", "Write {…}", line=item.line)

    def _header_finding(self, item: "HeaderFlaw") -> Finding:
        return Finding(
            file=self.file,
            line=item.line,
            index=None,
            field=None if item.flaw.field is None else shown(item.flaw.field),
            value=None,
            problem=item.flaw.problem,
            mend=item.flaw.mend,
        )


def open_manifest(path: Path | str, format: str | None = None, encoding: str | None = None) -> Manifest:
    """The manifest at *path*, `-` being standard input. *format* is csv, json or jsonl; by default the extension's.

    The file is read once, for its digest. Raises `ManifestError`.
    """
    return Manifest(Source(path, encoding), format_of(path, format))


def format_of(path: Path | str, given: str | None) -> Format:
    if given is not None:
        if given.lower() in FORMATS:
            return cast("Format", given.lower())
        near = nearest(given, FORMATS)
        mend = f"Did you mean {near}?" if near else "Give csv, json or jsonl"
        raise ManifestError(f"--format {given}", "there is no such format", mend)
    by_extension = _BY_EXTENSION.get(Path(path).suffix.lower())
    if by_extension is not None:
        return by_extension
    name = "standard input" if str(path) == STANDARD_INPUT else str(path)
    raise ManifestError(name, "the format cannot be told from the name", "Give --format csv, json or jsonl")
