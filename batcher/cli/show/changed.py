"""What changed between two manifests, on a screen and as data: for `discover --since` and `check --against`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.manifest import Entry, Manifest, RunDefaults
    from batcher.manifest.changes import ManifestChange

_SHOWN = 20  # of each kind; --json has them all
_TABLES = 4  # of one entry


def entries_of(
    path: "Path | Manifest", defaults: "RunDefaults", *, now: float, encoding: str | None = None
) -> "list[Entry]":
    """The entries of a sound manifest; where it is not sound, `BadManifest` with all that is wrong."""
    from batcher.manifest import Finding, Manifest, open_manifest
    from batcher.manifest.grouped import GroupedFindings
    from batcher.wave.opening import BadManifest

    found = GroupedFindings()
    entries = []
    opened = path if isinstance(path, Manifest) else open_manifest(path, None, encoding)
    for item in opened.read(defaults, now=now, allow_duplicates=True):
        if isinstance(item, Finding):
            found.add(item)
        else:
            entries.append(item)
    if found.count:
        raise BadManifest(found, len(entries))
    return entries


def as_json(found: "Iterable[ManifestChange]") -> list[dict[str, Any]]:
    """The changes as data."""
    return [
        {
            "what": change.what,
            "endpoint": change.endpoint,
            "project_id": change.project_id,
            "job_id": change.job_id,
            "kind": change.kind,
            "key": change.key,
            "tables_came": list(change.tables_came),
            "tables_went": list(change.tables_went),
            "fields": [{"name": name, "before": was, "after": now} for name, was, now in change.fields],
        }
        for change in found
    ]


def table(found: "Sequence[ManifestChange]", against: str) -> Iterator[str]:
    """The changes against the manifest *against*, for people."""
    from batcher.text import counted, printable

    if not found:
        yield f"Nothing changed since {against}."
        return
    counts = {what: sum(change.what == what for change in found) for what in ("came", "went", "changed")}
    said = ", ".join(f"{counted(n, 'entry', 'entries')} {what}" for what, n in counts.items() if n)
    yield f"Since {against}: {said}."
    for what in counts:
        some = [change for change in found if change.what == what]
        for change in some[:_SHOWN]:
            yield f"  {what:8} {printable(change.job_id)}  {change.kind}{_said(change)}"
        if len(some) > _SHOWN:
            yield f"  … and {len(some) - _SHOWN:,} more that {what}; --json has them all"


def _said(change: "ManifestChange") -> str:
    parts = []
    for sign, tables in (("+", change.tables_came), ("-", change.tables_went)):
        if tables:
            more = f" and {len(tables) - _TABLES:,} more" if len(tables) > _TABLES else ""
            parts.append(f"{sign}{len(tables)}: {', '.join(tables[:_TABLES])}{more}")
    parts += [f"{name}: {was or 'none'} → {now or 'none'}" for name, was, now in change.fields]
    return f"  {'; '.join(parts)}" if parts else ""
