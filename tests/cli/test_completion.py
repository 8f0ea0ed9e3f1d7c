"""Completion, asked as a real bash asks: by the script that `batcher completion bash` prints."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from batcher.cli.main import run
from tests.cli.commands import clean_environment
from tests.cli.conftest import Batcher, Cloud

BASH = shutil.which("bash")
LINES = [
    '{"key": "k1", "job_id": "job-a", "labels": {"team": "pay"}}',
    '{"key": "k2", "job_id": "job-b", "labels": {"team": "search"}}',
    '{"key": "other", "job_id": "job-a", "labels": null}',
]


def offered(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of *words*."""
    assert BASH is not None
    program = Path(sys.executable).with_name("batcher")
    line = f"{program.parent}"
    script = (
        f'PATH="{line}:$PATH"; eval "$(batcher completion bash)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        '_batcher_completion batcher; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [BASH, "-c", script, "bash", *words],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("select", "r.jsonl", "--status", "un"), ["unsettled"]),
        (("select", "r.jsonl", "--status", "failed,pa"), ["failed,partial"]),
        (("select", "r.jsonl", "--kind", "thr"), ["throttled"]),
        (("select", "r.jsonl", "--recheck", "inc"), ["inconsistent"]),
        (("rehearse", "wave.csv", "--faults", "fla"), ["flaky"]),
        (("simulate", "--faults", "reset-a"), ["reset-after"]),
        (("run", "wave.csv", "--region", "eu-west-101"), ["eu-west-101"]),
        (("run", "wave.csv", "--profile", ""), ["far", "near"]),
        (("report", "r.jsonl", "--timezone", "Europe/Berl"), ["Europe/Berlin"]),
        (("explain", "r.jsonl", "--key", "k"), ["k1", "k2"]),
        (("explain", "r.jsonl", "--job", "job-"), ["job-a", "job-b"]),
        (("explain", "missing.jsonl", "--key", "k"), []),
    ],
)
def test_a_shell_is_offered_what_is_known_and_what_stands_in_the_files(
    tmp_path: Path, words: tuple[str, ...], expected: list[str]
) -> None:
    (tmp_path / "r.jsonl").write_text("\n".join([*LINES, "{broken", ""]), encoding="utf-8")
    (tmp_path / "batcher.toml").write_text('[profiles.near]\nrate = "1/s"\n[profiles.far]\n', encoding="utf-8")
    assert offered(tmp_path, "batcher", *words) == expected


def test_an_option_that_is_completed_takes_what_it_took(
    batcher: Batcher, cloud: Cloud, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The types that a shell is offered words by change nothing for whoever runs the command."""
    cloud()
    assert batcher("run", manifest, "-o", "r.jsonl").code == 0
    monkeypatch.setenv("_BATCHER_COMPLETE", "")
    assert run(["select", "r.jsonl", "--status", "created", "-o", "next.csv"]) == 0
