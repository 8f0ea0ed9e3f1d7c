"""What this machine gives a wave: the folder of the results, and how many files may be open."""

import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from batcher.doctor.check import Check, fault, ok, warning
from batcher.journal.filesystem import elsewhere, file_system_of
from batcher.journal.sqlite.unfit import why_unfit
from batcher.settings import RunSettings

_AN_ENTRY = 3_500  # bytes on disk: its plan, which stays in the log as well, its events, its lines
_LOG = 4_000 * 4_096  # bytes: how large the journal's -wal grows before it is folded in
_LOW = 1 << 30
_TOO_LOW = 50 << 20
_SPARE_FILES = 40  # beside connections


def folder(path: Path) -> Iterator[Check]:
    """Whether results and journal can be kept in the folder *path*."""
    if not path.is_dir():
        yield fault("folder", f"{path} is no folder", "make it, or name another one with --folder")
        return
    try:
        with tempfile.TemporaryDirectory(prefix=".batcher-doctor-", dir=path) as inside:
            yield _journal(Path(inside) / "probe.journal", path)
    except OSError as error:
        yield fault("folder", f"{path} cannot be written: {error.strerror}", "choose another one, or mend its rights")
        return
    free = shutil.disk_usage(path).free
    enough = max(0, free - _LOG) // _AN_ENTRY
    said = f"{free / (1 << 30):,.1f} GiB free in {path}, enough for some {enough:,} entries with verdicts and -wal"
    if free < _TOO_LOW:
        yield fault("disk", said, "make room: a wave stops where its journal cannot be written")
    elif free < _LOW:
        yield warning("disk", said, "make room for a large wave")
    else:
        yield ok("disk", said)


def _journal(probe: Path, path: Path) -> Check:
    """Whether a journal can be there."""
    if (why := why_unfit(path, probe)) is not None:
        return fault("journal", why, elsewhere(path / "results.jsonl.journal"))
    system = file_system_of(path)
    return ok("journal", f"a journal can be kept in {path}" + (f" ({system.kind})" if system else ""))


def open_files(settings: RunSettings, scopes: int) -> Check:
    """Whether as many connections as the settings ask for may be open at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * settings.concurrency * max(1, scopes) + _SPARE_FILES
    said = f"{soft:,} files may be open, {wanted:,} would be at most"
    if soft != resource.RLIM_INFINITY and soft < wanted:
        return warning("open files", said, f"ulimit -n {wanted}, or a smaller --concurrency")
    return ok("open files", said)


def ignored(home: Path | None) -> Iterator[Check]:
    """What other tools read and this one does not."""
    names = sorted(name for name in os.environ if name.startswith("HUAWEICLOUD_SDK_REGION_"))
    named = os.environ.get("HUAWEICLOUD_SDK_REGIONS_FILE")
    table = Path(named) if named else None if home is None else home / ".huaweicloud" / "regions.yaml"
    there = [*names, *([str(table)] if table is not None and table.is_file() else [])]
    if there:
        said = f"{', '.join(there)}: regions of the official SDK's are not read here"
        yield warning("regions", said, "name what they say with --endpoint, if it is meant")
