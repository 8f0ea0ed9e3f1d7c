"""`batcher doctor` and `batcher init`, as typed, against a simulated cloud."""

import os
import pty
import select
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from batcher.simulator.config import CloudConfig
from batcher.simulator.iam import IamConfig
from batcher.simulator.ledger import Effect
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import PATIENCE_S, Ended, clean_environment
from tests.cli.conftest import Batcher, Cloud


def checks(ended: Ended) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for check in ended.json["checks"]:
        found.setdefault(check["subject"], []).append((check["level"], check["said"]))
    return found


def levels(ended: Ended, subject: str) -> set[str]:
    return {level for level, _ in checks(ended).get(subject, [])}


def test_all_is_well(batcher: Batcher, cloud: Cloud) -> None:
    simulator = cloud()
    ended = batcher("doctor", "--json")
    assert ended.code == 0, ended.out
    found = checks(ended)
    assert {level for some in found.values() for level, _ in some} == {"ok"}
    assert {
        "settings",
        "journal",
        "disk",
        "open files",
        "endpoint",
        "name",
        "credential",
        "clock",
        "permission",
    } <= set(found)
    assert len(found["permission"]) == 4
    assert not [event for event in simulator.ledger if isinstance(event, Effect)]


def test_the_log_of_the_journal_needs_room_as_well(
    batcher: Batcher, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud()
    free = 60 << 20
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    ((level, said),) = checks(batcher("doctor", "--json"))["disk"]
    assert level == "warning"
    assert "enough for some 13,294 entries with verdicts and -wal" in said  # 16,000 KiB are its log's


def test_a_missing_permission_is_named(batcher: Batcher, cloud: Cloud) -> None:
    cloud(ServiceConfig(cloud=CloudConfig(denied=frozenset({"list-jobs"}))))
    ended = batcher("doctor")
    assert ended.code == 1
    assert "the list of jobs (for discover): refused (DRS.M00102)" in ended.out
    assert "policy" in ended.out


def test_a_credential_that_is_refused(batcher: Batcher, cloud: Cloud) -> None:
    cloud(ServiceConfig(iam=IamConfig(mode="token", tokens=frozenset())))
    ended = batcher("doctor", "--json")
    assert ended.code == 1
    assert levels(ended, "credential") == {"fault"}
    assert "simulated-token" not in ended.out


def test_a_clock_that_is_wrong_is_warned_of(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadedSimulator(clock_offset_s=600.0) as simulator:
        for name, value in {"ENDPOINT": simulator.url, "PROJECT_ID": "p", "TOKEN": "t"}.items():
            monkeypatch.setenv(f"BATCHER_{name}", value)
        ended = batcher("doctor", "--json")
    assert levels(ended, "clock") == {"warning"}
    assert ended.code == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "subject"),
    [
        (("--folder", "missing"), {}, "folder"),
        (("--endpoint", "https://nobody.invalid"), {}, "name"),
        (("--endpoint", "https://127.0.0.1:1"), {}, "TLS"),
    ],
)
def test_what_is_wrong_is_a_fault_with_its_mend(
    batcher: Batcher, monkeypatch: pytest.MonkeyPatch, arguments: Any, environment: Any, subject: str
) -> None:
    for name, value in {"BATCHER_PROJECT_ID": "p", "BATCHER_TOKEN": "t", **environment}.items():
        monkeypatch.setenv(name, value)
    ended = batcher("doctor", "--json", "--connect-timeout", "1", "--timeout", "1", *arguments)
    assert ended.code == 1
    assert levels(ended, subject) == {"fault"}
    assert all(check["mend"] for check in ended.json["checks"] if check["subject"] == subject)


def test_what_the_sdk_reads_and_we_do_not_is_said(
    batcher: Batcher, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud()
    monkeypatch.setenv("HUAWEICLOUD_SDK_REGION_DRS_EU_DE", "drs.example.org")
    ended = batcher("doctor", "--json")
    assert levels(ended, "regions") == {"warning"}


def test_init_writes_what_works(
    batcher: Batcher, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = cloud(ServiceConfig(iam=IamConfig(mode="token", tokens=frozenset({"good"}))))
    monkeypatch.delenv("BATCHER_TOKEN")
    token = tmp_path / "token"
    token.write_text("good")
    ended = batcher("init", "--token-file", token, "--rate", "7/s")
    assert ended.code == 0, ended.err
    written = tomllib.loads((tmp_path / "batcher.toml").read_text())
    assert written == {
        "endpoint": simulator.url,
        "project_id": "project-a",
        "token_file": str(token),
        "rate": "7/s",
    }
    for name in ("BATCHER_ENDPOINT", "BATCHER_PROJECT_ID"):
        monkeypatch.delenv(name)
    assert batcher("doctor").code == 0
    assert "batcher doctor" in ended.err
    again = batcher("init", "--token-file", token)
    assert again.code == 2


def test_init_writes_nothing_that_does_not_work_unless_told_to(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(ServiceConfig(iam=IamConfig(mode="token", tokens=frozenset())))
    ended = batcher("init")
    assert ended.code == 3
    assert not (tmp_path / "batcher.toml").exists()
    assert batcher("init", "--untried").code == 0
    assert (tmp_path / "batcher.toml").exists()


def test_init_asks_nobody_where_there_is_no_terminal(batcher: Batcher) -> None:
    ended = batcher("init")
    assert ended.code == 2
    assert "--region" in ended.err


def test_init_asks_on_a_terminal(cloud: Cloud, tmp_path: Path) -> None:
    """Typed at a real terminal: the region's project, and a token in a file."""
    simulator = cloud(ServiceConfig(iam=IamConfig(mode="token", tokens=frozenset({"good"}))))
    (tmp_path / "token").write_text("good")
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "batcher", "init", "--endpoint", simulator.url],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    )
    os.close(other_end)
    for question, answer in (("Project id", "project-a"), ("Which", "3"), ("File of the token", "token")):
        _await(terminal, question)
        os.write(terminal, answer.encode() + b"\n")
    _await(terminal, "Next:")
    assert process.wait(PATIENCE_S) == 0
    os.close(terminal)
    written = tomllib.loads((tmp_path / "batcher.toml").read_text())
    assert written["project_id"] == "project-a"
    assert written["token_file"] == str((tmp_path / "token").resolve())


def _await(terminal: int, text: str) -> None:
    """Read what is shown until *text* is."""
    shown = ""
    while text not in shown:
        assert select.select([terminal], [], [], PATIENCE_S)[0], shown
        shown += os.read(terminal, 4096).decode()
