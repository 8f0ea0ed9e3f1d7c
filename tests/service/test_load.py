"""The service under load, small: `scripts/load-service` with a few waves, watchers and bad clients."""

import os
import subprocess
import sys

import pytest

from tests.service.serving import ROOT

SMALL = {
    "waves": 8, "entries": 100, "scopes": 4, "streams": 24, "slow": 6, "half-open": 10, "cut-off": 4, "upload": 20_000,
    "most-mb": 250,
}  # fmt: skip


@pytest.mark.slow
def test_nothing_is_lost_and_no_limit_exceeded() -> None:
    options = [f"--{name}={value}" for name, value in SMALL.items()]
    command = [sys.executable, str(ROOT / "scripts" / "_load_service.py"), *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all of it holds" in done.stdout
