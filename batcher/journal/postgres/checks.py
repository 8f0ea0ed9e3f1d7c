"""What a PostgreSQL server is like as a keeper of waves: what keeps it from being one, and what it should be told."""

from enum import StrEnum

import psycopg
from msgspec import Struct

from batcher.journal.postgres.link import POOLED, DatabaseLink, shares_sessions, unsafe
from batcher.journal.postgres.migrations import version_of
from batcher.journal.postgres.schema import VERSION

OLDEST, NEWEST = 15, 18  # of PostgreSQL, that batcher is made for


class Fitness(StrEnum):
    """What a check of a server says."""

    GOOD = "ok"
    ADVICE = "advice"  # it works, and is better done
    BAD = "bad"  # no wave can be kept there


class ServerCheck(Struct, frozen=True):
    """One thing looked at, with what to do about it."""

    verdict: Fitness
    what: str


_ASKED = (
    "server_version", "server_version_num", "server_encoding", "fsync", "full_page_writes", "synchronous_standby_names",
    "tcp_keepalives_idle", "tcp_user_timeout",
)  # fmt: skip
_SILENT_S = 60  # from which on a client that vanished keeps its session, and whom it locks out waiting, too long


def examine(link: DatabaseLink) -> list[ServerCheck]:
    """Everything there is to say of the server behind *link*, which need not be trusted. Raises `JournalFailed`."""
    settings = ", ".join(f"current_setting('{name}')" for name in _ASKED)
    row = link.row(
        f"SELECT {settings}, pg_is_in_recovery(), CASE WHEN to_regnamespace(%s) IS NULL "  # noqa: S608
        "THEN has_database_privilege(current_database(), 'CREATE') "
        "ELSE has_schema_privilege(to_regnamespace(%s)::oid, 'CREATE') END, to_regnamespace(%s) IS NOT NULL, "
        "(SELECT count(*) FROM pg_stat_replication), inet_client_addr() IS NOT NULL",
        (f'"{link.address.schema}"',) * 3,
    )
    assert row is not None  # noqa: S101 - a SELECT without FROM
    said = dict(zip(_ASKED, row, strict=False))
    is_standby, may_make, is_made, replicas, by_tcp = row[len(_ASKED) :]
    return [
        _version(said["server_version"], int(said["server_version_num"]) // 10_000),
        _durability(said),
        _rights(link, is_standby=is_standby, may_make=may_make, is_made=is_made),
        _pooler(link),
        *(_keepalives(said) if by_tcp else ()),
        *(_standbys(replicas, said["synchronous_standby_names"])),
    ]


def _version(named: str, major: int) -> ServerCheck:
    if major < OLDEST:
        return ServerCheck(Fitness.BAD, f"PostgreSQL {named}: batcher needs {OLDEST} or newer")
    if major > NEWEST:
        return ServerCheck(Fitness.ADVICE, f"PostgreSQL {named} is newer than what batcher was tried with ({NEWEST})")
    return ServerCheck(Fitness.GOOD, f"PostgreSQL {named}")


def _durability(said: dict[str, str]) -> ServerCheck:
    why = unsafe(fsync=said["fsync"], full_page_writes=said["full_page_writes"], encoding=said["server_encoding"])
    if why is not None:
        return ServerCheck(Fitness.BAD, why)
    return ServerCheck(
        Fitness.GOOD, "UTF8; what is committed is synced (batcher sets synchronous_commit = on for its sessions)"
    )


def _rights(link: DatabaseLink, *, is_standby: bool, may_make: bool, is_made: bool) -> ServerCheck:
    if is_standby:
        return ServerCheck(Fitness.BAD, "this server is a standby, which takes no writes: use the primary's address")
    schema = link.address.schema
    if is_made and not may_make and version_of(link) != VERSION:
        return ServerCheck(
            Fitness.BAD, f"this role may not make tables in the schema {schema}: let the owner of it run this"
        )
    if not is_made and not may_make:
        return ServerCheck(
            Fitness.BAD,
            f"this role may not make the schema {schema}: GRANT CREATE ON DATABASE … TO …, or let an owner run this",
        )
    return ServerCheck(Fitness.GOOD, "takes writes")


def _pooler(link: DatabaseLink) -> ServerCheck:
    try:
        with link.lock:
            if not link.is_pooled:
                return ServerCheck(Fitness.GOOD, "no pooler between")
            if shares_sessions(link.connection, link.sibling):
                return ServerCheck(Fitness.BAD, f"a pooler is between, which {POOLED}")
    except psycopg.Error as error:
        raise link.failed(error, writing=False) from error
    return ServerCheck(Fitness.GOOD, "a pooler is between, which leaves each client its session")


def _keepalives(said: dict[str, str]) -> list[ServerCheck]:
    """Whether the server notices in time that a machine vanished: until then it keeps what that one had locked."""
    advice = []
    idle = said["tcp_keepalives_idle"]
    if not 0 < int(idle) <= _SILENT_S:
        advice.append(
            f"tcp_keepalives_idle = {idle} s: a machine that vanished is noticed late. ALTER SYSTEM SET "
            "tcp_keepalives_idle = 10; … tcp_keepalives_interval = 5; … tcp_keepalives_count = 3"
        )
    if said["tcp_user_timeout"] == "0":
        advice.append(
            "tcp_user_timeout = 0: a machine that vanished in the middle of an answer is noticed after a quarter of an "
            "hour. ALTER SYSTEM SET tcp_user_timeout = '20s'"
        )
    return [ServerCheck(Fitness.ADVICE, what) for what in advice] or [
        ServerCheck(Fitness.GOOD, "machines that vanish are noticed")
    ]


def _standbys(replicas: int, names: str) -> list[ServerCheck]:
    if replicas and not names:
        return [
            ServerCheck(
                Fitness.ADVICE,
                "it has a standby and does not wait for it: after a failover, what was recorded last may be unknown. "
                "Name it in synchronous_standby_names",
            )
        ]
    return [ServerCheck(Fitness.GOOD, f"commits wait for a standby ({names})")] if names else []
