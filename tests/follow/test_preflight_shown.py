"""Preflight says how far it is, on a terminal only."""

from pathlib import Path

import pytest

from batcher.cli.show.terminal import Screen
from batcher.simulator.faults import parse_profile
from tests.cli.commands import write_manifest
from tests.cli.conftest import Batcher
from tests.follow.conftest import Fleet


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has standard error taken for a terminal."""
    monkeypatch.setattr(Screen, "is_live", True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("_terminal")
def test_it_says_of_how_many_jobs_the_state_is_known(batcher: Batcher, fleet: Fleet, tmp_path: Path) -> None:
    fleet()
    manifest = write_manifest(tmp_path / "wave.csv", [f"job-{n}" for n in range(25)])
    ended = batcher("preflight", manifest)
    assert ended.code == 0
    assert "asked for 0 of 25 jobs" in ended.err
    assert "asked for 25 of 25 jobs" in ended.err
    assert "asked for" not in ended.out


@pytest.mark.usefixtures("_terminal")
def test_it_says_nothing_where_quiet_is_asked_for(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet()
    ended = batcher("preflight", manifest, "--quiet")
    assert (ended.code, ended.err) == (0, "")


def test_what_is_logged_does_not_mix_with_the_json(batcher: Batcher, fleet: Fleet, manifest: Path) -> None:
    fleet(faults=parse_profile("reads:throttled=50%"))
    ended = batcher("preflight", manifest, "--json", "--read-rate", "50/s")
    assert ended.json["counts"]["ready"]["jobs"] == 3
