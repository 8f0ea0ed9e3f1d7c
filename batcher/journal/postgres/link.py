"""The way to a database that machines share: one connection, made anew when it fails, and patience with both ends.

Invariants:
- One connection, used from any thread, by one at a time.
- A statement that gets no answer in time is given up by closing the socket. It is never cancelled: a cancelled commit
  that waits for a standby counts as done at the server, and a request to cancel may stall, too.
- Whatever the server or the network does comes out as `JournalFailed`. Everything else is a defect, and stays one.
- What passes by itself (a restart, a cut link, a full house) is waited for, and *work* is done again on a new
  connection: so all *work* is a single statement that may be repeated.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from msgspec import Struct
from psycopg import generators, waiting
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from batcher.clock import SystemClock
from batcher.journal.errors import JournalAway, JournalFailed, WaveRefused
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.failover import CLUSTER, notice_failover
from batcher.logger import get_logger

log = get_logger("batcher.journal")

T = TypeVar("T")
RV = TypeVar("RV")
Row = tuple[Any, ...]

# At the client: when nothing is heard of the server, its machine or the network between is gone.
TCP: dict[str, Any] = {"keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3, "tcp_user_timeout": 5000}
_SESSION = {
    "synchronous_commit": "on",  # whatever the role, the database or the cluster has
    "default_transaction_isolation": "read committed",  # what the fence is made for
    "default_transaction_read_only": "off",
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "3s",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    # The server guesses badly at a wave that it has not counted yet. So the ways are ours: by an index, entry by entry.
    **dict.fromkeys(
        ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material"), "off"
    ),
    "max_parallel_workers_per_gather": "0",
    "jit": "off",  # which is for what costs much, by a reckoning that counts what is off as dear
}
_PASSING = frozenset(
    {
        "57P01", "57P02", "57P03",  # it is shut down, crashed, starts
        "53300",  # too many connections
        "57014", "55P03",  # statement_timeout, lock_timeout: nothing was done
        "40001", "40P01",  # serialization, deadlock
        "25006",  # read-only: a standby that is not promoted yet
        "57P05", "25P03",  # idle for too long
    }
)  # fmt: skip
# What libpq says of a connection has no code.
_REFUSES = re.compile(r"FATAL|password|certificate|SSL|definition of service|service file")
_NOT_YET = re.compile(r"starting up|shutting down|recovery|too many|remaining connection slots|not yet accepting")
_CANCELLED_WAIT = "01000"  # the warning with which a commit answers that no standby has confirmed


class Patience(Struct, frozen=True):
    """How long a link waits, in seconds.

    *connecting*: for a connection. *answer*: for the answer to one statement. *grace*: until what fails for passing
    reasons counts as failed.
    """

    connecting_s: int = 3
    answer_s: float = 4.0
    grace_s: float = 300.0


class Prepared(Struct, frozen=True):
    """A statement of one row with one value, prepared by each connection that it is asked on.

    *formats* has one for each of its values: 0 as PostgreSQL writes it in text, 1 in binary.
    """

    name: bytes
    sql: bytes
    formats: tuple[int, ...]


class DatabaseConnection(psycopg.Connection[Row]):
    """A connection that is given up, by its socket, when there is no answer in time."""

    answer_s: float = 4.0

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._prepared_here: set[bytes] = set()

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Run *gen* to its end, as psycopg does for all that waits; an interrupt cancels nothing."""
        patience_s = self.answer_s if timeout is None else min(timeout, self.answer_s)
        try:
            return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=patience_s)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {patience_s:g} s") from None
        except (KeyboardInterrupt, SystemExit):
            self.pgconn.finish()
            raise

    def answer(self, statement: Prepared, values: Sequence[bytes | None]) -> bytes:
        """What *statement* answers to *values*. Raises `psycopg.Error`.

        As `execute`, at half of its cost: there is nothing to be found out about either.
        """
        if statement.name not in self._prepared_here:
            self.pgconn.send_prepare(statement.name, statement.sql)
            self._result()
            self._prepared_here.add(statement.name)
        self.pgconn.send_query_prepared(statement.name, values, statement.formats)
        value = self._result().get_value(0, 0)
        assert value is not None  # noqa: S101 - of a statement of ours
        return value

    def _result(self) -> PGresult:
        results: list[PGresult] = self.wait(generators.execute(self.pgconn))
        result = results[-1]
        if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
            raise psycopg.errors.error_from_result(result, "utf-8")
        return result


Connection = DatabaseConnection


class DatabaseLink:
    """The connection to the database at *address*. Its methods raise `JournalFailed`."""

    def __init__(
        self, address: Address, patience: Patience, *, program: str = "batcher", trusting: bool = False
    ) -> None:
        """Connect. Raises `WaveRefused` where the server cannot be trusted with a wave, and `JournalFailed`.

        *program* is what the server's list of sessions shows. With *trusting* any server will do: it is looked at.
        """
        self._trusting = trusting
        self.address = address
        self.name = str(address)
        self.lock = threading.RLock()
        self._patience = patience
        self._program = program
        self._unconfirmed = False  # a commit answered without its standby
        self._closing = threading.Event()
        self._connection: Connection | None = None
        self.is_pooled = False
        self.is_away = False  # the last statement got no answer that was worth anything
        self.on_away: Callable[[str], None] = lambda _: None  # told why, when a wait for the database begins
        self.cluster: str | None = None  # on which the server is; None: it was a standby each time
        try:
            self._connection = self._connect()
        except psycopg.Error as error:
            kind = self._kind_of(error)
            raise kind(
                f"cannot reach the database {self.name}: {told(error)}. {_way_out(error)}", reason=told(error)
            ) from error

    # --- questions ----------------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """All rows that answer *sql*."""
        return self.do(lambda connection: connection.execute(sql, values).fetchall())

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row that answers *sql*; None: there is none."""
        found = self.rows(sql, values)
        return found[0] if found else None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All questions inside see the database as it is at one moment. Raises `JournalFailed`."""
        with self.lock:
            began = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            self.do(lambda connection: connection.execute(began))
            try:
                yield
            finally:
                if self._connection is not None:  # else it was lost meanwhile, and with it what it saw
                    with suppress(psycopg.Error):
                        self._connection.execute("COMMIT")

    # --- statements ---------------------------------------------------------------------------------------

    def do(self, work: Callable[[Connection], T], *, writing: bool = False) -> T:
        """What *work* gives, a single statement that may be repeated.

        Where it failed for a passing reason it is done again on a new connection, until it succeeds or patience ends.
        """
        began, pause_s = SystemClock.monotonic(), 0.05
        while True:
            with self.lock:
                try:
                    answer = self._done(work)
                except psycopg.Error as error:
                    waited_s = SystemClock.monotonic() - began
                    hopeless = waited_s >= self._patience.grace_s or self._closing.is_set()
                    passes = self._passes(error)
                    if passes and not hopeless and not self.is_away:
                        self.on_away(told(error))
                    self.is_away = passes
                    if passes:
                        self._drop()
                    if not passes or hopeless:
                        raise self.failed(error, writing=writing) from error
                else:
                    self.is_away = False
                    return answer
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    def failed(self, error: psycopg.Error, *, writing: bool) -> JournalFailed:
        """What to say of *error*."""
        doing = "write" if writing else "read"
        kind = self._kind_of(error)
        return kind(f"cannot {doing} the journal {self.name}: {told(error)}", reason=told(error))

    @property
    def connection(self) -> Connection:
        """The connection as it stands, for a transaction of several statements, which is not tried again."""
        assert self._connection is not None  # noqa: S101 - of a link that was just made
        return self._connection

    def hurry(self) -> None:
        """From now on nothing that fails is waited for: the process is about to end."""
        self._closing.set()

    def close(self) -> None:
        """Let go of the connection."""
        self._closing.set()
        with self.lock:
            self._drop()

    def _done(self, work: Callable[[Connection], T]) -> T:
        if self._connection is None:
            if self._closing.is_set():
                raise psycopg.OperationalError("the connection is closed")
            self._connection = self._connect()
        self._unconfirmed = False
        answer = work(self._connection)
        if self._unconfirmed:  # as good as no answer: it may be lost with this server
            self._connection.pgconn.finish()
            raise psycopg.OperationalError("the commit did not wait for its standby: somebody cancelled it")
        return answer

    def _passes(self, error: psycopg.Error) -> bool:
        """Whether *error* may be gone by itself in a while."""
        if error.sqlstate is not None:
            return error.sqlstate in _PASSING or error.sqlstate.startswith("08")
        lost = self._connection is None or self._connection.closed or self._connection.broken
        return lost and isinstance(error, psycopg.OperationalError)

    def _kind_of(self, error: psycopg.Error) -> type[JournalFailed]:
        """`JournalAway`, unless it is against us that the server does not let us in."""
        refuses = error.sqlstate is None and _REFUSES.search(str(error)) and not _NOT_YET.search(str(error))
        return JournalAway if self._passes(error) and not refuses else JournalFailed

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()  # by the socket: in order would be to write to it
            self._connection = None

    # --- connecting ---------------------------------------------------------------------------------------

    def _connect(self) -> Connection:
        """A new connection, in order for a journal. Raises `psycopg.Error`, `WaveRefused`."""
        connection = DatabaseConnection.connect(
            self.address.url,
            autocommit=True,
            prepare_threshold=None,  # what is prepared is a `Prepared`
            connect_timeout=self._patience.connecting_s,
            fallback_application_name=self._program,
            **TCP,
        )
        connection.answer_s = self._patience.answer_s
        try:
            connection.add_notice_handler(self._notice)
            settings = _SESSION | {
                "search_path": f'"{self.address.schema}"',
                "statement_timeout": f"{self._patience.answer_s + 1:.0f}s",
            }
            named = ", ".join(["set_config(%s, %s, false)"] * len(settings))
            values = [text for pair in settings.items() for text in pair]
            connection.execute(f"SELECT {named}", values)
            self._refuse_unsafe(connection)
        except BaseException:
            connection.pgconn.finish()
            raise
        return connection

    def _refuse_unsafe(self, connection: Connection) -> None:
        """See that what the server says is durable is. Raises `WaveRefused`, `psycopg.Error`."""
        row = connection.execute(
            "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('server_encoding'), "
            f"current_setting('synchronous_commit'), pg_backend_pid(), {CLUSTER}"
        ).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM
        fsync, pages, encoding, synchronous, process, cluster = row
        self.is_pooled = process != connection.pgconn.backend_pid  # who told us the one is not who has the other
        if self.is_pooled:  # somebody had this session before, and not every pooler clears up behind whoever leaves
            connection.execute("DEALLOCATE ALL")
        if self._trusting:
            return
        if why := unsafe(fsync=fsync, full_page_writes=pages, encoding=encoding):
            raise WaveRefused(f"the database {self.name} cannot keep a wave: {why}")
        if synchronous != "on" or (self.is_pooled and shares_sessions(connection, self.sibling)):
            raise WaveRefused(f"the database {self.name} is reached through a pooler that {POOLED}")
        self._notice_cluster(connection, cluster)

    def _notice_cluster(self, connection: Connection, cluster: str | None) -> None:
        """Notice that the database goes on elsewhere, before anything is written there by what is known of it here."""
        if cluster is None:  # a standby, which takes no writes yet
            return
        before, self.cluster = self.cluster, cluster
        if before not in (None, cluster):
            with suppress(psycopg.errors.InsufficientPrivilege):  # of whoever only reads, and so has no scope
                self.tell_failover(notice_failover(connection, cluster))

    def tell_failover(self, waves: Sequence[str]) -> None:
        """Say that *waves* went on elsewhere."""
        if waves:
            log.warning("database.failed_over", database=self.name, waves=list(waves))

    def sibling(self) -> psycopg.Connection[Row]:
        """A second connection, to see whether both are the same session."""
        return psycopg.connect(self.address.url, autocommit=True, connect_timeout=self._patience.connecting_s)

    def _notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if diagnostic.sqlstate == _CANCELLED_WAIT:
            self._unconfirmed = True


POOLED = (
    "gives each transaction another session (pool_mode = transaction or statement of PgBouncer), where settings are "
    "not kept: use the address of the server itself, or one of the pooler with pool_mode = session"
)


def unsafe(*, fsync: str, full_page_writes: str, encoding: str) -> str | None:
    """Why a server with these settings cannot be trusted with a wave, and the way out; None: it can."""
    for name, value in (("fsync", fsync), ("full_page_writes", full_page_writes)):
        if value != "on":
            return f"its server has {name} = {value}, so that a power cut may cost what was recorded: set {name} = on"
    if encoding != "UTF8":
        return f"its encoding is {encoding}: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    return None


def shares_sessions(connection: Connection, sibling: Callable[[], psycopg.Connection[Row]]) -> bool:
    """Whether the pooler between gives sessions from one client to another while both are connected.

    A second client holds a session in a transaction: where that is ours, or where ours is another one now, it is so.
    Raises `psycopg.Error`.
    """
    asked = "SELECT pg_backend_pid()"
    other = sibling()
    try:
        for _ in range(3):
            (before,) = connection.execute(asked).fetchone() or (None,)
            with other.transaction():
                (theirs,) = other.execute(asked).fetchone() or (None,)
                if theirs == before or connection.execute(asked).fetchone() != (before,):
                    return True
        return False
    except psycopg.errors.ProtocolViolation:  # pool_mode = statement takes no transactions at all
        return True
    finally:
        other.close()


def told(error: psycopg.Error) -> str:
    """What *error* says, in one line: without the statement and the values, which hold what is in a manifest."""
    said = error.diag.message_primary or str(error).strip() or type(error).__name__
    lines = [line.strip() for line in said.splitlines() if line.strip() and "Is the server running" not in line]
    return "; ".join(dict.fromkeys(lines))


def _way_out(error: psycopg.Error) -> str:
    """What to do where *error* kept us from connecting."""
    said = str(error)
    if "password" in said:
        return "Put the password into ~/.pgpass (HOST:PORT:DATABASE:USER:PASSWORD, mode 0600), or name a PGPASSFILE"
    if "does not exist" in said:
        return "Make it with CREATE ROLE and CREATE DATABASE, or correct the address"
    return "See that the server runs and that this machine may connect to it (pg_isready, pg_hba.conf)"
