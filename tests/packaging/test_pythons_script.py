"""scripts/_pythons: which Pythons the tests are run under."""

import sys
from pathlib import Path

import pytest

from tests.packaging.checkout import ROOT, run, script

pythons_script = script("_pythons.py")


def fake(path: Path, version: str, name: str = "cpython", code: int = 0) -> Path:
    """An executable that answers as a Python of that *version* does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\\n".join([*version.split("."), name, str(path)])
    path.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\nexit {code}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_one_of_each_minor_version_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the PATH, of pyenv and of uv; what is too old, no CPython, or a shim that leads nowhere, is none."""
    on_path, home = tmp_path / "bin", tmp_path / "home"
    monkeypatch.setenv("PATH", f"{on_path}:{tmp_path / 'nowhere'}")
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.delenv("UV_PYTHON_INSTALL_DIR", raising=False)
    first = fake(on_path / "python3.11", "3.11.2")
    fake(on_path / "python3.12", "3.12.0")
    fake(on_path / "python3.13", "3.13.0", code=127)
    newer = fake(home / ".pyenv" / "versions" / "3.12.4" / "bin" / "python3", "3.12.4")
    fake(home / ".pyenv" / "versions" / "3.9.1" / "bin" / "python3", "3.9.1")
    fake(home / ".pyenv" / "versions" / "pypy3.11" / "bin" / "python3", "3.11.9", name="pypy")
    newest = fake(home / ".local" / "share" / "uv" / "python" / "cpython-3.14" / "bin" / "python3", "3.14.0")
    found = pythons_script.pythons(pythons_script.candidates(home))
    assert found == {(3, 11, 2): first, (3, 12, 4): newer, (3, 14, 0): newest}


def test_the_one_that_runs_this_is_among_them() -> None:
    """By the name of its environment's maker, which has `ensurepip`."""
    lines = run("/bin/sh", ROOT / "scripts" / "_pythons").splitlines()
    assert f"{sys.version_info[0]}.{sys.version_info[1]}" in [line.partition(" ")[0] for line in lines]


def test_what_the_project_names_is_missed() -> None:
    named = ["Programming Language :: Python :: 3.12", "Programming Language :: Python :: 3 :: Only", "Typing :: Typed"]
    assert pythons_script.named_versions(named) == {(3, 12)}
