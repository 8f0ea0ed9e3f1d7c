"""Makes the checkout's `.venv` what a lock file says, and does nothing where it already is.

`_env.py run` installs what batcher needs to run, `_env.py dev` that and the tools for working on it; a
`dev` environment serves for `run` too. `_env.py dev .venv-3.13` does the same with another folder. Standard library
only: any Python 3.11 or newer can run this.

The stamp in the environment tells what stands there, and where. It is written last, and says "unfinished" while
anything is being installed: an environment whose making was interrupted is made anew, not trusted.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"run": ("requirements.lock", "requirements-build.lock"), "dev": ("requirements-dev.lock",)}
UNFINISHED = "unfinished"  # may be broken
MIXED = "mixed"  # works, but is not what any lock file says


class SetupError(Exception):
    """The environment cannot be made; the message says why and what to do about it."""


def main(argv: list[str]) -> int:
    """Makes the environment named in *argv*; returns the exit code, 2 for a setup that failed."""
    if len(argv) not in (1, 2) or argv[0] not in LOCKS or not all(name.startswith(".venv") for name in argv[1:]):
        print("usage: scripts/_env run|dev [.venv-NAME]", file=sys.stderr)
        return 2
    try:
        with only_one():
            make_ready(ROOT, *argv)
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command makes the environment anew.", file=sys.stderr)
        return 130
    return 0


@contextmanager
def only_one() -> Iterator[None]:
    """Holds off a second setup of this checkout until the first is through."""
    with Path(__file__).open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is setting up an environment; waiting for it.", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def make_ready(root: Path, purpose: str, name: str = ".venv") -> None:
    """Brings the environment *name* under *root* to *purpose* (a key of `LOCKS`); raises SetupError."""
    venv = root / name
    stamp = venv / ".stamp"
    stood = stamp.read_text(encoding="utf-8").strip() if stamp.is_file() else ""
    found = version_of(venv)
    if found is not None and is_other_than_asked_for(found):
        found = None
    if found is not None and stood in {stamp_of(root, enough, found) for enough in (purpose, "dev")}:
        return

    started = time.monotonic()
    elsewhere_or_unfinished = stood != "" and not stood.endswith(f" {root}")
    anew = found is None or found < (3, 11) or elsewhere_or_unfinished
    # What was made by hand, without a stamp, is added to as well, not replaced.
    print(f"Making {name} (takes up to a minute) …" if anew else f"Updating {name} …", file=sys.stderr)
    python = create(venv) if found is None or anew else found
    stamp.write_text(UNFINISHED + "\n", encoding="utf-8")
    try:
        for lock in LOCKS[purpose]:
            pip(venv, f"installing {lock}", "--require-hashes", "--requirement", str(root / lock))
        pip(venv, "installing batcher itself", "--no-deps", "--no-build-isolation", "--editable", str(root))
    except SetupError:
        if not anew:  # pip fails without leaving a package half installed, so this can be added to next time
            stamp.write_text(f"{MIXED} {root}\n", encoding="utf-8")
        raise
    stamp.write_text(stamp_of(root, purpose, python) + "\n", encoding="utf-8")
    print(f"{name} is ready ({time.monotonic() - started:.0f} s).", file=sys.stderr)


def stamp_of(root: Path, purpose: str, python: tuple[int, int]) -> str:
    """What the stamp says once *purpose* stands: it changes with all that the installation depends on.

    It ends in the checkout's path: scripts in an environment hold absolute paths and break when it is moved.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [str(python), repr(project["project"]), repr(project["build-system"])]
    parts += [(root / lock).read_text(encoding="utf-8") for lock in LOCKS[purpose]]
    return f"{purpose} {hashlib.sha256(chr(0).join(parts).encode()).hexdigest()} {root}"


def version_of(venv: Path) -> tuple[int, int] | None:
    """The Python version of the environment, or None where there is no working one."""
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if not (venv / "bin" / "python").exists():  # false too where the link's target was uninstalled
        return None
    settings = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    major, minor = (settings.get("version") or settings.get("version_info") or "0.0").split(".")[:2]
    return int(major), int(minor)


def is_other_than_asked_for(found: tuple[int, int]) -> bool:
    """Whether $PYTHON asks for another Python version than the environment has."""
    return bool(os.environ.get("PYTHON")) and found != sys.version_info[:2]


def create(venv: Path) -> tuple[int, int]:
    """Makes an empty environment in place of whatever stands there; returns its Python version."""
    for module, needs in (("venv", "ensurepip"), ("virtualenv", "virtualenv")):
        spec = importlib.util.find_spec(needs)
        if spec is not None and spec.origin is not None:  # no origin: a directory left empty, not a module
            call(f"making {venv}", [sys.executable, "-m", module, "--clear", str(venv)])
            return sys.version_info[:2]
    raise SetupError(
        f"{sys.executable} cannot make virtual environments: it lacks the ensurepip module.\n"
        "On Debian and Ubuntu: apt-get install python3-venv. Or point PYTHON at another Python 3.11 or newer."
    )


def pip(venv: Path, doing: str, *arguments: str) -> None:
    """Runs the environment's own `pip install`, with the index and the caches that pip is configured for."""
    call(doing, [str(venv / "bin" / "python"), "-I", "-m", "pip", "--no-input", "install", "--quiet", *arguments])


def call(doing: str, command: list[str]) -> None:
    """Runs *command* silently; raises SetupError with all that it said where it fails."""
    quiet_pip = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(
        command,
        env=os.environ | quiet_pip,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise SetupError(f"{done.stdout.rstrip()}\n\nFailed while {doing} (exit code {done.returncode}); see above.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
