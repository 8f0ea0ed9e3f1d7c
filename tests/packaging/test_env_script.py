"""scripts/_env and scripts/_python: which Python, and when .venv is made, updated or left alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.packaging.checkout import ROOT, script

env_script = script("_env.py")


def fake_python(place: Path, name: str, *, fits: bool) -> Path:
    """An executable that answers as a Python does that is, or is not, new enough."""
    place.mkdir(exist_ok=True)
    path = place / name
    path.write_text(f"#!/bin/sh\nexit {0 if fits else 1}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def find_python(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "scripts" / "_python")], env=env, capture_output=True, text=True, check=False
    )


def test_the_first_python_that_is_new_enough(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", fits=False)
    fake_python(tmp_path, "python3.12", fits=True)
    fake_python(tmp_path, "python3.11", fits=True)
    assert find_python({"PATH": str(tmp_path)}).stdout == "python3.12\n"


def test_no_python_names_the_way_out(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", fits=False)
    done = find_python({"PATH": str(tmp_path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert "apt-get install python3" in done.stderr
    assert "PYTHON=" in done.stderr


def test_the_python_asked_for_is_not_replaced_by_another(tmp_path: Path) -> None:
    old = fake_python(tmp_path, "old", fits=False)
    fake_python(tmp_path, "python3", fits=True)
    done = find_python({"PATH": str(tmp_path), "PYTHON": str(old)})
    assert done.returncode == 2
    assert f"PYTHON={old} is not a Python 3.11 or newer" in done.stderr


class Checkout:
    """A checkout in which making and installing are written down instead of done."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.done: list[str] = []
        self.fails_at = ""
        self.failure: BaseException = env_script.SetupError("no network")
        root.mkdir()
        (root / "pyproject.toml").write_text("[build-system]\n[project]\nname = 'x'\n", encoding="utf-8")
        for lock in ("requirements.lock", "requirements-build.lock", "requirements-dev.lock"):
            (root / lock).write_text(lock, encoding="utf-8")

    @property
    def stamp(self) -> str:
        return (self.root / ".venv" / ".stamp").read_text(encoding="utf-8")

    def create(self, venv: Path, version: tuple[int, int] = sys.version_info[:2]) -> tuple[int, int]:
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        (venv / "bin" / "python").touch()
        (venv / "pyvenv.cfg").write_text(f"version = {version[0]}.{version[1]}.7\n", encoding="utf-8")
        (venv / ".stamp").unlink(missing_ok=True)
        self.done.append("create")
        return version

    def pip(self, venv: Path, doing: str, *arguments: str) -> None:
        what = doing.removeprefix("installing ")
        if what == self.fails_at:
            raise self.failure
        self.done.append(what)

    def make(self, purpose: str) -> list[str]:
        """What it took to get ready for *purpose*."""
        self.done = []
        env_script.make_ready(self.root, purpose)
        return self.done


RUN = ["requirements.lock", "requirements-build.lock", "batcher itself"]
DEV = ["requirements-dev.lock", "batcher itself"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path / "checkout")
    monkeypatch.setattr(env_script, "create", made.create)
    monkeypatch.setattr(env_script, "pip", made.pip)
    monkeypatch.delenv("PYTHON", raising=False)
    return made


def test_made_once_then_left_alone(checkout: Checkout) -> None:
    assert checkout.make("run") == ["create", *RUN]
    assert checkout.make("run") == []


def test_run_grows_into_dev_and_dev_serves_for_run(checkout: Checkout) -> None:
    checkout.make("run")
    assert checkout.make("dev") == DEV
    assert checkout.make("run") == []
    assert checkout.make("dev") == []


def touch_lock(checkout: Checkout) -> None:
    (checkout.root / "requirements.lock").write_text("changed", encoding="utf-8")


def touch_project(checkout: Checkout) -> None:
    (checkout.root / "pyproject.toml").write_text("[build-system]\n[project]\nname = 'y'\n", encoding="utf-8")


@pytest.mark.parametrize("change", [touch_lock, touch_project])
def test_a_change_of_what_is_installed_updates_in_place(checkout: Checkout, change: Callable[[Checkout], None]) -> None:
    checkout.make("run")
    change(checkout)
    assert checkout.make("run") == RUN


def test_a_change_of_tool_settings_does_not(checkout: Checkout) -> None:
    checkout.make("run")
    with (checkout.root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("[tool.ruff]\nline-length = 90\n")
    assert checkout.make("run") == []


@pytest.mark.parametrize("step", RUN)
@pytest.mark.parametrize("failure", [env_script.SetupError("no network"), KeyboardInterrupt()])
def test_a_making_that_ends_early_is_begun_again(checkout: Checkout, step: str, failure: BaseException) -> None:
    checkout.fails_at, checkout.failure = step, failure
    with pytest.raises(type(failure)):
        checkout.make("run")
    checkout.fails_at = ""
    assert checkout.make("run") == ["create", *RUN]


@pytest.mark.parametrize("step", RUN)
def test_an_update_that_fails_is_done_again_in_place(checkout: Checkout, step: str) -> None:
    checkout.make("run")
    touch_lock(checkout)
    checkout.fails_at = step
    with pytest.raises(env_script.SetupError):
        checkout.make("run")
    checkout.fails_at = ""
    assert checkout.make("run") == RUN
    assert checkout.make("run") == []


def test_an_update_that_is_interrupted_is_made_anew(checkout: Checkout) -> None:
    checkout.make("run")
    touch_lock(checkout)
    checkout.fails_at, checkout.failure = RUN[0], KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        checkout.make("run")
    checkout.fails_at = ""
    assert checkout.make("run") == ["create", *RUN]


def test_a_moved_checkout_is_made_anew(checkout: Checkout) -> None:
    checkout.make("run")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved elsewhere"))
    assert checkout.make("run") == ["create", *RUN]
    assert checkout.stamp.endswith(f" {checkout.root}\n")


def test_an_environment_made_by_hand_is_added_to(checkout: Checkout) -> None:
    checkout.create(checkout.root / ".venv")
    assert checkout.make("dev") == DEV


def test_an_environment_too_old_is_made_anew(checkout: Checkout) -> None:
    checkout.create(checkout.root / ".venv", version=(3, 10))
    assert checkout.make("dev") == ["create", *DEV]


def test_an_environment_whose_python_was_uninstalled_is_none(checkout: Checkout) -> None:
    checkout.make("run")
    python = checkout.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python")
    assert env_script.version_of(checkout.root / ".venv") is None


def test_another_python_is_taken_only_when_asked_for(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    other = (sys.version_info[0], sys.version_info[1] + 1)
    checkout.create(checkout.root / ".venv", version=other)
    assert checkout.make("run") == RUN
    monkeypatch.setenv("PYTHON", sys.executable)
    assert checkout.make("run") == ["create", *RUN]


def test_a_python_that_cannot_make_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(env_script.SetupError, match="apt-get install python3-venv"):
        env_script.create(tmp_path / ".venv")


def test_a_failed_command_shows_all_it_said() -> None:
    with pytest.raises(env_script.SetupError, match=r"(?s)to out.*to err.*Failed while trying \(exit code 3\)"):
        env_script.call("trying", ["/bin/sh", "-c", "echo to out; echo to err >&2; exit 3"])


def test_the_second_of_two_waits_for_the_first() -> None:
    other = "import sys; sys.path.insert(0, 'scripts'); import _env\nwith _env.only_one(): print('through')"
    with env_script.only_one():
        second = subprocess.Popen(
            [sys.executable, "-c", other],
            cwd=ROOT,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr is not None
        assert "waiting" in second.stderr.readline()
        assert second.poll() is None
    out, _ = second.communicate(timeout=90)
    assert (second.returncode, out) == (0, "through\n")


def test_another_environment_stands_beside_it(checkout: Checkout) -> None:
    """`scripts/test --pythons` has one for each Python."""
    env_script.make_ready(checkout.root, "dev", ".venv-3.13")
    assert checkout.done == ["create", *DEV]
    assert (checkout.root / ".venv-3.13" / ".stamp").read_text().startswith("dev ")
    assert not (checkout.root / ".venv").exists()


@pytest.mark.parametrize("arguments", [[], ["all"], ["dev", "elsewhere"], ["dev", ".venv", ".venv-3.13"]])
def test_what_it_does_not_know_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert env_script.main(arguments) == 2
    assert capsys.readouterr().err == "usage: scripts/_env run|dev [.venv-NAME]\n"
