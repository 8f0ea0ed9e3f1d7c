"""The files of `batcher discover`: where it writes is looked at before anything is asked of the cloud."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.discover.discovery import DiscoveredProject
    from batcher.manifest.write import ManifestLine


def refuse_unusable(path: Path | None, report: Path | None, format_: str | None, *, force: bool) -> None:
    """Refuse names that cannot be written to, or that something has already. Raises `UserError`."""
    from batcher.manifest.manifest import format_of
    from batcher.wave.known_files import MANIFEST, refuse_known

    if report is not None and report.suffix not in (".csv", ".jsonl"):
        raise UserError(f"--report {report}: name a file that ends in .csv or .jsonl.")
    format_of(Path("-.jsonl") if path is None else path, format_)
    if path is not None and path == report:
        raise UserError(f"-o and --report both name {path}: give each a file of its own.")
    for option, taken in (("-o", path), ("--report", report)):
        if taken is not None:
            _refuse_place(option, taken)
    for taken in (path, report, *(part_paths(path) if path is not None else ())):
        if taken is not None and taken.exists() and not force:
            raise UserError(f"{taken} exists: choose another file, or replace it with --force.")
    refuse_known("-o", path, but=[MANIFEST])
    refuse_known("--report", report)


def _refuse_place(option: str, path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise UserError(f"{option} {path}: there is no folder {folder}.")
    if path.is_dir():
        raise UserError(f"{option} {path}: is a folder; name a file.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path}: folder {folder} may not be written to.")


def part_paths(path: Path) -> list[Path]:
    """The further parts of the manifest at *path* that are there: `wave.part-2.csv`, …, by number."""
    name = re.compile(rf"{re.escape(path.stem)}\.part-([1-9][0-9]*){re.escape(path.suffix)}")
    try:
        found = {int(match[1]): there for there in path.parent.iterdir() if (match := name.fullmatch(there.name))}
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be read: {error.strerror}.") from None
    return [found[number] for number in sorted(found)]


def lines_of(path: Path, option: str) -> list[str]:
    """What a file names, one a line; empty lines and what begins with # say nothing. Raises `UserError`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{option} {path}: is no UTF-8 text.") from None
    lines = (line.strip() for line in text.splitlines())
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UserError(f"{option} {path}: names nothing.")
    return found


def write_parts(
    found: "Sequence[DiscoveredProject]", path: Path | None, format_: str | None
) -> "tuple[list[list[ManifestLine]], list[Path]]":
    """Write the manifest and its parts, each whole or not at all; also gives the parts of an older manifest that had
    to go, as whoever runs all parts would run them too. The last part takes its name first: where the first has its
    own, all are there."""
    from batcher.discover.written import manifests, part_path
    from batcher.manifest.manifest import format_of
    from batcher.manifest.write import write_manifest, writer_of

    parts = manifests(found)
    if path is None:
        writer = writer_of(format_of(Path("-.jsonl"), format_), sys.stdout, "-")
        for line in parts[0]:
            writer.write(line)
        writer.close()
        return parts, []
    paths = [part_path(path, number) for number in range(len(parts))]
    for target, lines in reversed(list(zip(paths, parts, strict=True))):
        write_manifest(target, lines, format_)
    gone = [stale for stale in part_paths(path) if stale not in paths]
    for stale in gone:
        stale.unlink(missing_ok=True)
    return parts, gone


def write_jobs(path: Path, found: "Sequence[DiscoveredProject]") -> None:
    """Write the report, whole or not at all."""
    from batcher.discover.written import report_rows, write_report
    from batcher.whole import whole_text

    with whole_text(path, newline="") as file:
        write_report(file, report_rows(found), as_csv=path.suffix == ".csv")
