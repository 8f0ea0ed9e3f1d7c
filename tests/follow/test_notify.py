"""The command at the end has its time, and no more."""

import json
from pathlib import Path

import pytest

from batcher.cli import exits
from batcher.cli.main import run
from batcher.cli.show import at_the_end
from batcher.cli.show.at_the_end import telling_stop
from batcher.drs.transport import AiohttpTransport
from batcher.errors import UserError
from batcher.notify import send as notify
from batcher.settings import RunSettings
from tests.cli.commands import wait_until
from tests.report.waves import write_wave


def runs(pid: int) -> bool:
    """Whether the process is there, and no zombie that nobody has buried yet."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells processes by /proc")
def test_a_command_that_does_not_end_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "_COMMAND_S", 3.0)  # for a shell to begin, on a busy machine
    pid = tmp_path / "pid"
    said = notify.run_command(f"sleep 600 & echo $! > {pid}; wait", b"{}")
    assert said == "the command of --on-end did not end within 3 s and was killed"
    wait_until(lambda: not runs(int(pid.read_text())))


def test_a_command_that_does_not_read_the_summary_is_no_trouble() -> None:
    assert notify.run_command("exec true", b"x" * 1_000_000) is None
    assert notify.run_command("kill -9 $$", b"") == "the command of --on-end ended with exit code -9"


@pytest.mark.parametrize(("code", "told"), [(exits.STOPPED, True), (exits.USAGE, False)])
def test_a_command_that_an_error_stopped_is_told_of_and_one_that_never_began_is_not(
    tmp_path: Path, code: int, told: bool
) -> None:
    end = tmp_path / "end.json"
    with pytest.raises(UserError), telling_stop(RunSettings(on_end=f"cat > {end}"), "watch"):
        raise UserError("the disk is full", exit_code=code)
    assert end.exists() == told
    if told:
        said = json.loads(end.read_text())
        assert (said["event"], said["text"], said["exit_code"]) == ("watch", "the disk is full", 3)


def test_a_hook_is_told_of_some_entries_in_the_way_and_how_many_more_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """However many they are, and whatever `--json` prints: all of them."""
    monkeypatch.setattr(at_the_end, "MOST_TOLD", 2)
    monkeypatch.setattr(AiohttpTransport, "send", None)  # all verdicts are there: nobody is asked
    results, end = tmp_path / "r.jsonl", tmp_path / "end.json"
    write_wave(results, 300)
    words = ["watch", str(results), "--on-end", f"cat > {end}", "--json"]
    assert run(words) == exits.INCOMPLETE
    hook, printed = json.loads(end.read_text())["gate"], json.loads(capfd.readouterr().out)["gate"]
    assert (len(hook["blockers"]), "left_out" in printed) == (2, False)
    assert hook["left_out"]["blockers"] == len(printed["blockers"]) - 2 > 0
    assert hook["blockers"] == printed["blockers"][:2]
