"""Files that no report, selection or page may take the place of: manifests, journals, results and verdicts.

They are told by their names and by how they begin, so that one that was renamed is known as well.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson

from batcher.errors import UserError

MANIFEST, JOURNAL, RESULTS, VERDICTS = "a manifest", "a wave's journal", "a wave's results", "a wave's verdicts"

_NAMES = {
    ".journal": JOURNAL,
    ".journal-wal": JOURNAL,
    ".journal-shm": JOURNAL,
    ".journal.lock": JOURNAL,
    ".verdicts.jsonl": VERDICTS,
}
_HEAD = 64 * 1024
_REPORTS = ({"status", "attempts"}, {"half"}, {"outcome"})  # columns of our own reports, which no manifest has


def refuse_known(option: str, path: Path | None, *, but: Iterable[str] = ()) -> None:
    """Refuse that *option* writes over *path* where that is one of these, except those in *but*. Raises `UserError`."""
    if path is not None and (kind := kind_of(path)) is not None and kind not in but:
        raise UserError(f"{option} {path} would replace {kind}: choose another file.")


def kind_of(path: Path) -> str | None:
    """Which of these the file at *path* is; None: none, or nothing there. Raises `UserError` if it cannot be read."""
    try:
        if not path.is_file():
            return None
        for suffix, kind in _NAMES.items():
            if path.name.endswith(suffix):
                return kind
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}.") from None
    if head.startswith(b"SQLite format 3\0"):
        return JOURNAL
    return _of_text(head.replace(b"\0", b"").decode("utf-8-sig", errors="replace").lstrip("\ufffd \t\r\n"))


def _of_text(text: str) -> str | None:
    """The same by its first characters, from whatever encoding."""
    first, _, _ = text.partition("\n")
    if not text.startswith(("{", "[")):
        columns = {name.strip(" \t\r\"'").lower() for name in first.replace(";", ",").replace("\t", ",").split(",")}
        if "job_id" not in columns or any(report <= columns for report in _REPORTS):
            return None
        return MANIFEST
    try:
        line = orjson.loads(first)
    except orjson.JSONDecodeError:
        line = None
    if isinstance(line, dict) and {"index", "status", "attempts"} <= line.keys():
        return RESULTS
    if isinstance(line, dict) and {"index", "verdict", "final"} <= line.keys():
        return VERDICTS
    if isinstance(line, dict) and any(report <= line.keys() for report in _REPORTS):
        return None
    return MANIFEST if '"job_id"' in text or '"entries"' in text else None
