"""A real PgBouncer between us and the server: told from none, and refused where sessions are not kept."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from batcher.journal.errors import WaveRefused
from batcher.journal.ops import Happened
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from tests.journal.made import INTENT, plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.journal.postgres.test_link import wait_until
from tests.ports import free_port

BOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def pooled(cluster: Cluster) -> Iterator[Callable[[str], int]]:
    """Starts a PgBouncer with that pool_mode; its port."""
    if BOUNCER is None:
        pytest.skip("there is no pgbouncer here: install Debian's package pgbouncer")
    home = Path(tempfile.mkdtemp(prefix="batcher-pgbouncer-"))
    home.chmod(0o755)
    started: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> int:
        port = free_port()
        (home / "ini").write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={cluster.port} user=batcher\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = {mode}\n"
            "unix_socket_dir =\nserver_reset_query =\n"
        )
        assert BOUNCER is not None
        started.append(
            subprocess.Popen([BOUNCER, str(home / "ini")], user=cluster.user, cwd="/", stderr=subprocess.DEVNULL)
        )
        wait_until(lambda: _listens(cluster.url(port=port)))
        return port

    yield start
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(home)


def _listens(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_does_not_keep_sessions_is_refused(
    cluster: Cluster, pooled: Callable[[str], int], mode: str
) -> None:
    address = Address(cluster.url(port=pooled(mode)), prepared(cluster).schema)
    with pytest.raises(WaveRefused, match="through a pooler that gives each transaction another session"):
        PostgresKeeper(address)


def test_a_pooler_that_keeps_sessions_is_like_none(cluster: Cluster, pooled: Callable[[str], int]) -> None:
    """Also one that leaves to the next client what the last one had prepared."""
    address = Address(cluster.url(port=pooled("session")), prepared(cluster).schema)
    sessions = set()
    for index in range(2):
        keeper = PostgresKeeper(address)
        record = keeper.new_wave(f"tested {index}")
        plan(record, 2)
        record.commit([Happened(index=0, event=INTENT)])
        assert record.events(0) == [INTENT]
        sessions.add(keeper.link.row("SELECT pg_backend_pid()"))
        keeper.link.connection.close()  # in order, so that the pooler keeps the session
        keeper.close()
    assert len(sessions) == 1
