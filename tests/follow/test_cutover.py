"""The night of the runbook, a small one: three waves, an outage, late jobs, differences, from the fleet to GO."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_night_comes_out_as_the_runbook_says() -> None:
    """The script itself insists on every exit code, and on each comparison having been made exactly once."""
    command = [sys.executable, str(ROOT / "scripts" / "_cutover.py"), "--jobs", "10", "--down", "2", "--late", "50"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "GO  30 entries: nothing stands in the way, 1 difference accepted" in ended.stdout


def test_the_runbook_has_the_output_of_every_step() -> None:
    """If this fails: scripts/cutover --into docs/runbook.md."""
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- cutover: ([\w-]+) -->\n```console\n((?:(?!```).*\n)*)```", page)
    steps = set(re.findall(r'night\.type\(\s*"([\w-]+)"', (ROOT / "scripts" / "_cutover.py").read_text("utf-8")))
    assert {step for step, text in blocks if text.strip()} == steps | {"proof"}
