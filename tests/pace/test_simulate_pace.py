"""`scripts/simulate-pace`: its exit code tells whether the aims are met, and its page what happened."""

import re
import subprocess
import sys
from pathlib import Path

from batcher.pace import limit_finding

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "_finding.py"


def _simulate(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(SCRIPT), *words], text=True, capture_output=True, check=False)


def test_a_page_tells_what_happened(tmp_path: Path) -> None:
    """In words and as a drawing, without anything from outside."""
    file = tmp_path / "pace.html"
    told = _simulate("--html", str(file), "--strays", "0.1", "--entries", "100", "--change", "5=3/s", "--limit", "10/s")
    assert told.returncode == 0, told.stderr
    text = file.read_text(encoding="utf-8")
    assert "The cloud has a limit of 10/s, in a window that slides; from 5 s on it is 3/s; it turns 10%" in text
    turned_away = int(told.stdout.split(", ")[1].split()[0])
    assert turned_away > 0
    assert text.count('class="refused"') == turned_away
    assert f"{turned_away:,} requests were turned away" in text
    assert "http" not in text


def test_the_exit_code_tells_whether_the_aims_are_met() -> None:
    """Of the strays at 5/s on all seeds; the other tables are run by hand."""
    told = _simulate("--only", "strays")
    assert told.returncode == 0, told.stdout
    assert told.stdout.count("| yes |") == 6
    assert _simulate("--only", "nothing").returncode == 2


def test_a_missed_aim_is_named() -> None:
    """With an aim that nobody can meet."""
    code = "import _finding as f; f.AIMS = {(0.05, None): (0.9, 1.0)}; raise SystemExit(f.main())"
    told = subprocess.run(
        [sys.executable, "-c", code, "--only", "strays", "--seeds", "1"],
        text=True,
        capture_output=True,
        check=False,
        cwd=SCRIPT.parent,
    )
    assert told.returncode == 1
    assert "Missed: 5% of strays at 5/s, Retry-After none" in told.stderr


def test_the_worked_traces_of_the_docs_are_what_happens() -> None:
    """Each command that the package's docs show prints what stands below it there."""
    docs = limit_finding.__doc__ or ""
    commands = re.findall(r"`scripts/simulate-pace (--trace [^`]+)`", docs)
    assert len(commands) == 2
    for words in commands:
        lines = _simulate(*words.split()).stdout.splitlines()
        assert len(lines) > 5
        assert "\n".join(f"    {line}" for line in lines) in docs
