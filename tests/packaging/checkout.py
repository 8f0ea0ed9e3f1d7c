"""The checkout under test: its files, and its scripts as modules."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def files() -> list[str]:
    """All files of the checkout that git knows or would add, as paths from its top."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = set(listed.stdout.split("\0")) - {""}
    return sorted(name for name in names if (ROOT / name).exists())


def run(*command: str | Path, cwd: Path = ROOT, path: Path | None = None) -> str:
    """Runs *command* and returns all that it printed; skips the test where a package index is out of reach.

    *path* goes before the others in PATH.
    """
    # Failing pip quickly where there is no network, and not compiling what is thrown away at once.
    env = os.environ | {"PIP_RETRIES": "1", "PIP_NO_COMPILE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if path is not None:
        env["PATH"] = f"{path}{os.pathsep}{env['PATH']}"
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0 and "after connection broken by" in done.stdout:
        pytest.skip(f"no package index within reach for: {command[-1]}")
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def script(name: str) -> ModuleType:
    """The Python file *name* of scripts/, loaded as a module."""
    spec = importlib.util.spec_from_file_location(name.removesuffix(".py"), ROOT / "scripts" / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their own module up
    spec.loader.exec_module(module)
    return module
