"""scripts/fleet: a first look that ends well, with a worker killed on the way."""

import subprocess
import sys

import pytest

from tests.journal.postgres.cluster import needed
from tests.packaging.checkout import ROOT


@pytest.mark.slow
def test_a_worker_is_killed_and_the_other_ends_the_wave() -> None:
    needed()
    command = [sys.executable, "scripts/_fleet.py", "--kill", "--workers", "2", "--scopes", "2", "--entries", "50"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "killed the worker with the process id" in ran.stdout
    assert ", epoch 2, lease" in ran.stdout
    assert ran.stdout.endswith("ended: 100 of 100 entries settled, 0 created twice\n")
