"""The file system under a path: its name for people, and what it cannot do for a journal.

A journal needs locks that keep a second process out, and SQLite's write-ahead log, which needs memory shared between
the processes of a machine. Network file systems and some in user space lack the one or the other.
"""

import re
from pathlib import Path

from msgspec import Struct

_MOUNTS = Path("/proc/self/mountinfo")
_UNSTABLE = ("fuse", "cifs", "smb", "9p", "vboxsf", "virtiofs", "afs")  # the number of a file may change by itself


class FileSystem(Struct, frozen=True):
    """The *kind* of a file system (`nfs4`, `ext4`, …) and *where* it is mounted."""

    kind: str
    where: str

    def __str__(self) -> str:
        return f"the {self.kind} file system at {self.where}"

    @property
    def numbers_stay(self) -> bool:
        """Whether a file keeps its inode number for its whole life."""
        return not self.kind.startswith(_UNSTABLE)


def file_system_of(path: Path) -> FileSystem | None:
    """The file system that *path* lies on, or would; None where the machine does not tell."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    real = path.resolve()
    best: FileSystem | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.partition(" ")[0]
        if len(fields) < 5 or not kind:
            continue
        where = _unescaped(fields[4])
        if real.is_relative_to(where) and (best is None or len(where) >= len(best.where)):
            best = FileSystem(kind, where)  # a later mount covers an earlier one
    return best


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def named(path: Path) -> str:
    """The file system of *path*, as a sentence needs it."""
    return str(file_system_of(path) or f"the file system of {path.parent}")


def elsewhere(path: Path) -> str:
    """The way out of a file system that cannot hold the journal at *path*."""
    return f"Keep the journal on a local disk: --journal FILE, such as --journal /var/tmp/{path.name}"
