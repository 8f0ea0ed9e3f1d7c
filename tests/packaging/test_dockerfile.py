"""The image's build, step by step, outside Docker: what its builder runs, what the wheel holds, what starts."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from batcher import __version__
from tests.packaging.checkout import ROOT, files, run


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the Dockerfile."""

    word: str
    rest: str


def stages(text: str) -> list[list[Step]]:
    """The instructions of each stage; a stage begins with its FROM."""
    joined = re.sub(r"\\\n", "", re.sub(r"(?m)^\s*#.*\n", "", text))
    found: list[list[Step]] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append(Step(word, rest.strip()))
    return found


BUILDER, FINAL = stages((ROOT / "Dockerfile").read_text(encoding="utf-8"))
MADE = ("/opt/", "/src")  # the directories of the builder, which the tests move under tmp_path


def the_one(stage: list[Step], word: str) -> str:
    (rest,) = (step.rest for step in stage if step.word == word)
    return rest


def let_through(name: str) -> bool:
    """Whether .dockerignore gives the checkout's entry *name* (a file or directory at its top) to the builder."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in patterns
    return f"!{name}" in patterns


class Builder:
    """The builder stage, with its directories under *top* instead of at the root of the file system."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.src = top / "src"
        self.src.mkdir(parents=True)

    def at(self, command: str) -> str:
        return re.sub(rf"(?<![\w/])({'|'.join(MADE)})", lambda found: f"{self.top}{found[1]}", command)

    def take(self, step: Step) -> None:
        """Does one step as Docker would."""
        if step.word == "COPY":
            *sources, target = shlex.split(step.rest)
            for source in sources:
                assert let_through(source.partition("/")[0]), f"COPY {source}: .dockerignore keeps it out"
                self._copy(ROOT / source, self.src / target / (Path(source).name if target.endswith("/") else ""))
        elif step.word == "RUN":
            run("/bin/sh", "-c", self.at(step.rest), cwd=self.src, path=Path(sys.executable).parent)
        elif step.word == "WORKDIR":
            assert step.rest == "/src"
        else:
            assert step.word in {"FROM", "ENV"}, f"the tests do not know what {step.word} does"

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py[cod]"))
        else:
            shutil.copyfile(source, target)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """The builder after its last step."""
    builder = Builder(tmp_path_factory.mktemp("image"))
    for step in BUILDER:
        builder.take(step)
    return builder


PAGES = ("README.md", "CHANGELOG.md")


def package_files() -> set[str]:
    """The files that the package consists of: its own, and the pages and config files that `batcher help` leads to."""
    own = {name for name in files() if name.startswith("batcher/")}
    pages = {name for name in files() if name.startswith(("docs/", "config/")) or name in PAGES}
    return own | {f"batcher/{name}" for name in pages}


def wheel_files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


# ── what can be read off the file ──


def test_both_stages_start_from_the_same_pinned_python() -> None:
    bases = [the_one(stage, "FROM").split()[0] for stage in (BUILDER, FINAL)]
    assert bases[0] == bases[1]
    found = re.fullmatch(r"python:(\d+)\.(\d+)-slim-[a-z]+", bases[0])
    assert found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {found[1]}.{found[2]}" in project["classifiers"]


def test_everything_from_an_index_comes_with_its_hash_and_as_a_wheel() -> None:
    installs = [step.rest for step in BUILDER if step.word == "RUN" and "pip install" in step.rest]
    assert len(installs) == 3
    for command in installs:
        hashed = "--require-hashes" in command and "--only-binary :all:" in command
        assert hashed or ("--no-index" in command and "--no-deps" in command), command


def test_runs_as_a_user_without_rights_by_number() -> None:
    user = the_one(FINAL, "USER")
    assert user == "10001:10001"
    last_change = [step.word for step in FINAL].index("USER")
    assert "RUN" not in [step.word for step in FINAL[last_change:]]


def test_starts_batcher_and_shows_its_help() -> None:
    assert json.loads(the_one(FINAL, "ENTRYPOINT")) == ["batcher"]
    assert json.loads(the_one(FINAL, "CMD")) == ["--help"]


def test_manifests_and_results_have_their_places() -> None:
    assert json.loads(the_one(FINAL, "VOLUME")) == ["/manifests", "/results", "/data"]
    assert the_one(FINAL, "WORKDIR") == "/results"


def test_the_final_image_copies_what_the_builder_made_to_the_same_place() -> None:
    (environment,) = (step.rest.split() for step in FINAL if step.rest.startswith("--from=builder"))
    assert environment == ["--from=builder", "/opt/batcher", "/opt/batcher"]  # its scripts hold absolute paths
    assert "/opt/batcher/bin:$PATH" in the_one(FINAL, "ENV")


def test_no_secret_and_no_tool_reaches_the_builder() -> None:
    assert [name for name in (".env", ".git", ".venv", "tests", "scripts") if let_through(name)] == []
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"(?i)\bARG\b|password|token|secret|BATCHER_", text) is None


# ── what it does ──


@pytest.mark.slow
def test_the_entry_point_starts(built: Builder) -> None:
    batcher = built.top / "opt" / "batcher" / "bin" / "batcher"
    assert __version__ in run(batcher, "--version", cwd=built.top)
    assert "Usage: batcher" in run(batcher, *json.loads(the_one(FINAL, "CMD")), cwd=built.top)


@pytest.mark.slow
def test_the_environment_holds_the_locked_packages_and_batcher_only(built: Builder) -> None:
    site = next((built.top / "opt" / "batcher" / "lib").glob("python*/site-packages"))
    have = {path.name.partition("-")[0].lower().replace("_", "-") for path in site.glob("*.dist-info")}
    lock = (ROOT / "config" / "requirements-fleet.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    wanted = [Requirement(line.partition(" --hash")[0]) for line in lock.splitlines() if not line.startswith("#")]
    locked = {one.name for one in wanted if one.marker is None or one.marker.evaluate()}
    assert have - {"setuptools"} == locked | {"drs-batcher"}  # setuptools: put there by venv before Python 3.12


@pytest.mark.slow
def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(built: Builder) -> None:
    (wheel,) = (built.src / "dist").glob("*.whl")
    assert wheel.name == f"drs_batcher-{__version__}-py3-none-any.whl"
    info = f"drs_batcher-{__version__}.dist-info"
    extra = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    assert wheel_files(wheel) == package_files() | extra
    assert "batcher/py.typed" in package_files()


@pytest.mark.slow
def test_the_installed_program_leads_to_its_pages(built: Builder) -> None:
    program = Path(built.at("/opt/batcher/bin/batcher"))
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # else it may lead to a checkout
    done = subprocess.run(
        [program, "help", "--docs"], capture_output=True, text=True, check=True, cwd=built.top, env=own
    )
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(built.top)
    links = re.findall(r"\]\((\.\.?/[^)#]+|[a-z]+\.md)", (folder / "configuration.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.slow
def test_the_source_archive_builds_the_same_wheel(tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path)
    (archive,) = tmp_path.glob("*.tar.gz")
    run("tar", "-xzf", archive, "-C", tmp_path)  # tarfile.extractall has its filter only since Python 3.11.4
    unpacked = tmp_path / f"drs_batcher-{__version__}"
    assert "requirements.lock" in {path.name for path in unpacked.iterdir()}
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=unpacked)
    (wheel,) = tmp_path.glob("*.whl")
    assert {name for name in wheel_files(wheel) if name.startswith("batcher/")} == package_files()
