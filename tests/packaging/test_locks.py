"""The lock files hold what pyproject.toml asks for, exactly, with hashes, and say nothing of where from."""

import re
import tomllib
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.packaging.checkout import ROOT

FLEET = "config/requirements-fleet.lock"
LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock", FLEET)
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(lock: str) -> dict[str, Version]:
    """The packages of *lock* with their versions; fails on a line that is neither pin, hash nor comment."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    found: dict[str, Version] = {}
    without_marker: set[str] = set()
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)( ; .+?)?((?: +--hash=sha256:[0-9a-f]{64})+)", line)
        assert match, f"{lock}: {line[:100]!r} is not a version with its hashes"
        # One whose newest version is not for every Python stands there once for each kind, with a marker.
        assert match[1] not in found or (match[3] and match[1] not in without_marker), f"{lock}: {match[1]} twice"
        without_marker |= set() if match[3] else {match[1]}
        found[match[1]] = Version(match[2])
    return found


def group(name: str) -> list[str]:
    """The requirements of a dependency group, those of the groups that it includes among them."""
    wanted: list[str] = []
    for item in PROJECT["dependency-groups"][name]:
        wanted += [item] if isinstance(item, str) else group(item["include-group"])
    return wanted


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", PROJECT["project"]["dependencies"]),
        (FLEET, PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["fleet"]),
        ("requirements-build.lock", group("build")),
        ("requirements-build.lock", PROJECT["build-system"]["requires"]),
        ("requirements-dev.lock", PROJECT["project"]["dependencies"] + group("dev")),
    ],
)
def test_holds_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    held = pins(lock)
    for requirement in map(Requirement, wanted):
        version = held.get(canonicalize_name(requirement.name))
        assert version in requirement.specifier if version else False, (
            f"{lock} has {version} for '{requirement}': run scripts/lock"
        )


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-build.lock", FLEET])
def test_the_dev_lock_holds_the_others(lock: str) -> None:
    assert pins(lock).items() <= pins("requirements-dev.lock").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert re.search(r"//|@|index|find-links|file:|\.(com|org|net|io)\b", text) is None
