"""The way to a database that machines share: passwords that get nowhere, a server that proves who it is, least rights.

One real server with TLS, passwords and the roles of docs/several-machines.md.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
import psycopg
import pytest

from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.journal.postgres.cluster import Cluster, needed
from tests.packaging.checkout import ROOT
from tests.secrets import marks
from tests.secrets.commands import Ran, batcher, batcher_alone

ROLES = ("fleet_owner", "fleet_worker", "fleet_reader")
PASSWORD = "MARKdatabase+Pw7/xQ"
_HEX = re.compile(r"\\x((?:[0-9a-f]{2})+)")
_SQL = re.compile(r"<!-- roles -->\n```sql\n(.*?)```", re.DOTALL)


@dataclass
class Database:
    """A server that asks for passwords and speaks TLS, as `localhost`."""

    cluster: Cluster
    ca: Path

    def url(self, role: str, *, host: str = "localhost", wave: str = "", more: str = "") -> str:
        """Its address for that *role*."""
        path = f"fleet/{wave}" if wave else "fleet"
        return f"postgresql://{role}@{host}:{self.cluster.port}/{path}?sslmode=verify-full&sslrootcert={self.ca}{more}"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    needed()
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here: there is nothing to make a certificate with")
    cluster = Cluster.make()
    folder = tmp_path_factory.mktemp("ca")
    _make_certificates(folder, cluster)
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE fleet")
    found = _SQL.search((ROOT / "docs" / "several-machines.md").read_text(encoding="utf-8"))
    assert found is not None
    with psycopg.connect(cluster.url("fleet"), autocommit=True) as connection:
        connection.execute(found[1])
        for role in ROLES:
            connection.execute(f"ALTER ROLE {role} PASSWORD '{PASSWORD}'")
    rules = cluster.folder / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(
        f"hostssl fleet {','.join(ROLES)} all scram-sha-256\nhost fleet {','.join(ROLES)} all reject\n{before}"
    )
    try:
        cluster.set("ssl", "on")
    except psycopg.errors.InvalidParameterValue:
        cluster.remove()
        pytest.skip("this PostgreSQL was built without TLS, as that of the wheel: install Debian's package postgresql")
    yield Database(cluster, folder / "ca.pem")
    cluster.remove()


def _make_certificates(folder: Path, cluster: Cluster) -> None:
    """An authority of our own, and a certificate of `localhost` by it for the server."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=our CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "server.crt")  # fmt: skip
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=another CA", "-keyout", "other.key", "-out", "other.pem")
    for name in ("server.key", "server.crt"):
        shutil.copy(folder / name, cluster.folder / name)
        if cluster.user is not None:
            shutil.chown(cluster.folder / name, cluster.user)
        (cluster.folder / name).chmod(0o600)


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    """With the password where it belongs."""
    kept = tmp_path / ".pgpass"
    kept.write_text("".join(f"*:*:*:{role}:{PASSWORD}\n" for role in ROLES))
    kept.chmod(0o600)
    return {**marks.BY_TOKEN, "BATCHER_LOG_LEVEL": "debug", "BATCHER_PROJECT_ID": "p1", "BATCHER_RATE": "off"}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "wave.csv"
    rows = "".join(f"11112222-0000-0000-0000-0000000{number:02}jb01,objects\n" for number in range(4))
    path.write_text("job_id,object_level_compare_type\n" + rows)
    return path


@pytest.mark.slow
async def test_each_role_may_what_it_needs_and_no_password_gets_anywhere(
    database: Database, environ: Mapping[str, str], manifest: Path, tmp_path: Path
) -> None:
    said: list[Ran] = []

    async def tell(code: int, *words: str) -> Ran:
        said.append(ran := await batcher(tmp_path, environ, *words))
        assert ran.code == code, (words, ran.said.decode())
        return ran

    owner, worker, _ = (database.url(role) for role in ROLES)
    refused = await tell(2, "database", "prepare", worker, "--apply")
    assert b"may not" in refused.said
    await tell(0, "database", "prepare", owner, "--apply")
    async with Simulator(ServiceConfig()) as cloud:
        environ = {**environ, "BATCHER_ENDPOINT": cloud.url}
        said.append(ran := await batcher_alone(
            tmp_path, environ, "run", str(manifest), "-o", "results.jsonl", "--journal", worker
        ))  # fmt: skip
        assert ran.code == 0, ran.said.decode()
        listed = await tell(0, "status", "--journal", database.url("fleet_reader"), "--json")
        wave = orjson.loads(listed.said)["waves"][0]["wave"]
        mine, theirs = (database.url(role, wave=wave) for role in ROLES[1:])
        for words in (
            ("results", "-o", "copy.jsonl"), ("explain", "--index", "0"), ("report", "--html", "report.html"),
            ("status",), ("status", "--json"), ("gate", "copy.jsonl"), ("select", "--status", "created", "-o", "n.csv"),
        ):  # fmt: skip
            await tell(1 if words[0] == "gate" else 0, *words, "--journal", theirs)
        for order in (["control", "pause"], ["settle", "--index", "0", "--as", "failed", "--offline"]):
            refused = await tell(2, *order, "--journal", theirs)
            assert b"permission denied" in refused.said
        await tell(0, "control", "pause", "--journal", mine)
        await tell(0, "control", "resume", "--journal", mine)
        await tell(2, "settle", "--index", "0", "--as", "failed", "--offline", "--journal", mine)  # is not in doubt
    texts = [text for one in said for text in one.texts()]
    assert not marks.leaks([*texts, *marks.written(tmp_path, but=frozenset({".pgpass"}))], [*marks.ALL, PASSWORD])
    with psycopg.connect(database.cluster.url("fleet")) as connection:
        for (table,) in connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname LIKE 'batcher%'"
        ).fetchall():
            rows = connection.execute(f"SELECT t::text FROM {table} t").fetchall()  # noqa: S608
            kept = [(table, row.encode()) for (row,) in rows]
            kept += [
                (table, bytes.fromhex(found))
                for _, row in kept
                for found in re.findall(r"\\\\x([0-9a-f]+)", row.decode())
            ]
            assert not marks.leaks(kept, [*marks.ALL, PASSWORD])


async def test_a_worker_shows_no_password_to_whoever_lists_processes(
    database: Database, environ: Mapping[str, str], tmp_path: Path
) -> None:
    """Given by the file, by the variable, or wrongly in the address; also as the server sees it."""
    await batcher(tmp_path, environ, "database", "prepare", database.url(ROLES[0]), "--apply")
    by_variable = {**environ, "PGPASSFILE": "/nowhere", "PGPASSWORD": PASSWORD}
    for given in (environ, by_variable):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "batcher", "worker", "--database", database.url("fleet_worker")),
            cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **given},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            said = b""
            async with asyncio.timeout(90):
                while b"looks for work" not in said:
                    line = await process.stdout.readline()
                    assert line, said.decode()
                    said += line
            listed = Path("/proc", str(process.pid), "cmdline").read_bytes()
            sessions = database.cluster.ask("SELECT string_agg(s::text, ' ') FROM pg_stat_activity s")
            texts = [("ps", listed), ("sessions", str(sessions).encode()), ("output", said)]
            assert not marks.leaks(texts, [*marks.ALL, PASSWORD])
        finally:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("command", [("status", "--journal"), ("worker", "--database"), ("database", "prepare")])
async def test_a_password_in_the_address_is_refused_and_not_repeated(
    database: Database, environ: Mapping[str, str], tmp_path: Path, command: tuple[str, ...]
) -> None:
    for url in (f"postgresql://me:{PASSWORD}@localhost/fleet", f"postgresql://localhost/fleet?password={PASSWORD}"):
        ran = await batcher(tmp_path, environ, *command, url)
        assert ran.code == 2
        assert not marks.leaks(ran.texts(), [PASSWORD])


async def test_a_server_that_is_not_the_one_that_was_named_is_refused(
    database: Database, environ: Mapping[str, str], tmp_path: Path
) -> None:
    wrong_name = await batcher(tmp_path, environ, "status", "--journal", database.url("fleet_worker", host="127.0.0.1"))
    assert wrong_name.code == 2
    assert b"does not match host name" in wrong_name.said
    other = f"&sslrootcert={database.ca.with_name('other.pem')}"
    unknown = await batcher(tmp_path, environ, "status", "--journal", database.url("fleet_worker", more=other))
    assert (unknown.code, b"certificate verify failed" in unknown.said) == (2, True)
    plain = database.url("fleet_worker").replace("sslmode=verify-full", "sslmode=disable")
    without = await batcher(tmp_path, environ, "status", "--journal", plain)
    assert (without.code, b"no encryption" in without.said) == (2, True)
    for ran in (wrong_name, unknown, without):
        assert ran.said.count(b"\n") == 1
        assert not marks.leaks(ran.texts(), [PASSWORD])


async def test_libpqs_own_variables_and_services_lead_there_as_well(
    database: Database, environ: Mapping[str, str], tmp_path: Path
) -> None:
    """As docs/several-machines.md says, of a database alone and of a wave in it."""
    await batcher(tmp_path, environ, "database", "prepare", database.url("fleet_owner"), "--apply")
    by_variables = {**environ, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(database.ca)}
    port = database.cluster.port
    (tmp_path / ".pg_service.conf").write_text(
        f"[fleet]\nhost=localhost\nport={port}\ndbname=fleet\nuser=fleet_reader\npassword={PASSWORD}\n"
        f"sslmode=verify-full\nsslrootcert={database.ca}\n"
    )
    by_service = {**environ, "PGPASSFILE": "/nowhere"}
    said = []
    for given, way in (
        (by_variables, f"postgresql://fleet_reader@localhost:{port}/fleet"),
        (by_service, "postgresql://?service=fleet"),
    ):
        said.append(ran := await batcher(tmp_path, given, "status", "--journal", way, "--json"))
        assert ran.code in (0, 1), ran.said.decode()
        assert orjson.loads(ran.said)["workers"] is not None
    for given, way, why in (
        (by_variables, f"postgresql://fleet_reader@127.0.0.1:{port}/fleet", b"does not match host name"),
        (by_service, "postgresql:////nowhere?service=fleet", b"there is no wave nowhere in"),
        (by_service, "postgresql://?service=nowhere", b'definition of service "nowhere" not found'),
    ):
        said.append(ran := await batcher(tmp_path, given, "status", "--journal", way))
        assert (ran.code, why in ran.said) == (2, True), ran.said.decode()
    assert not marks.leaks([text for one in said for text in one.texts()], [PASSWORD])
