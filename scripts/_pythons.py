"""Prints the Pythons of this machine that the project allows, one of each minor version, oldest first.

Looked for are python3.N on the PATH, and what pyenv and uv have installed. What pyproject.toml names and the machine
lacks is said on stderr. Standard library only: any Python 3.11 or newer can run this.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
NEWEST_LOOKED_FOR = 20
_ASK = "import sys, ensurepip; print(*sys.version_info[:3], sys.implementation.name, sys._base_executable, sep='\\n')"

Version = tuple[int, int, int]


def main() -> int:
    """Prints what there is; returns 2 where there is nothing."""
    found = pythons(candidates(Path.home()))
    for version, path in sorted(found.items()):
        print(f"{version[0]}.{version[1]} {path}")
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    for missing in sorted(named_versions(named) - {version[:2] for version in found}):
        print(f"There is no Python {missing[0]}.{missing[1]} here, which pyproject.toml names.", file=sys.stderr)
    return 0 if found else 2


def named_versions(classifiers: Iterable[str]) -> set[tuple[int, int]]:
    """The versions that *classifiers* name."""
    matches = (re.fullmatch(r"Programming Language :: Python :: (\d+)\.(\d+)", one) for one in classifiers)
    return {(int(match[1]), int(match[2])) for match in matches if match}


def candidates(home: Path) -> Iterator[Path]:
    """Where a Python may be: files that are there, the PATH's before those of pyenv and uv."""
    for folder in filter(None, os.environ.get("PATH", "").split(os.pathsep)):
        for minor in range(OLDEST[1], NEWEST_LOOKED_FOR):
            yield Path(folder) / f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local" / "share" / "uv" / "python")
    for folder_of_many in (pyenv, uv):
        yield from sorted(folder_of_many.glob("*/bin/python3"))


def pythons(paths: Iterable[Path]) -> dict[Version, Path]:
    """Of the CPythons among *paths* that can make environments, the newest of each minor version."""
    newest: dict[tuple[int, int], tuple[Version, Path]] = {}
    for path in paths:
        asked = ask(path) if path.is_file() else None
        if asked is None or asked[0] < OLDEST:
            continue
        before = newest.get(asked[0][:2])
        if before is None or before[0] < asked[0]:
            newest[asked[0][:2]] = asked
    return dict(newest.values())


def ask(path: Path) -> tuple[Version, Path] | None:
    """The version of the Python at *path*, and its file; None where it is none that serves.

    An environment tells what it was made from. A shim of pyenv's answers only for the version chosen in this folder.
    """
    try:
        said = subprocess.run([path, "-I", "-c", _ASK], capture_output=True, text=True, timeout=30, check=True).stdout
        major, minor, patch, name, executable = said.splitlines()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return ((int(major), int(minor), int(patch)), Path(executable)) if name == "cpython" else None


if __name__ == "__main__":
    sys.exit(main())
