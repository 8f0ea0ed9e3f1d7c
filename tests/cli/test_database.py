"""`batcher database prepare`, against a real server."""

import json
import secrets
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from batcher.cli.commands.machines import database
from batcher.journal.postgres.inviting import made
from batcher.journal.postgres.schema import MIGRATIONS, VERSION
from tests.cli.conftest import Batcher
from tests.journal.postgres.cluster import Cluster, needed
from tests.journal.postgres.test_link import wait_until


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def schema() -> str:
    return f"c{secrets.token_hex(4)}"


def test_it_says_what_it_would_change_and_changes_it_when_told(batcher: Batcher, cluster: Cluster, schema: str) -> None:
    made = "SELECT to_regclass(%s) IS NOT NULL"
    dry = batcher("database", "prepare", f"{cluster.url()}?schema={schema}")
    assert dry.code == 1
    assert f"would make the schema {schema} with batcher's tables" in dry.out
    assert "nothing was changed: run it again with --apply" in dry.err
    assert not cluster.ask(made, f"{schema}.meta")
    done = batcher("database", "prepare", f"{cluster.url()}?schema={schema}", "--apply")
    assert (done.code, f"done: make the schema {schema}" in done.out) == (0, True)
    assert cluster.ask(made, f"{schema}.meta")
    again = batcher("database", "prepare", f"{cluster.url()}?schema={schema}")
    assert (again.code, "nothing to change" in again.err) == (0, True)


def test_tables_are_brought_up_while_workers_write_into_them(batcher: Batcher, cluster: Cluster, schema: str) -> None:
    """Even where both wait for each other: the server breaks one of them off, which is then done anew."""
    with psycopg.connect(cluster.url(), options=f"-c search_path={schema}") as older:
        older.execute(made(schema))
        for migration in MIGRATIONS[:8]:
            older.execute(migration(schema))
        older.execute(
            "INSERT INTO meta VALUES ('version', '8'); "
            "INSERT INTO entries (wave, idx, line, key, job_id) VALUES (1, 0, 2, 'k', 'job'); "
            "INSERT INTO events (wave, idx, kind, body) VALUES (1, 0, 'intended', '{}'); ANALYZE entries, events"
        )
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = to_regclass(%s)"

    def record() -> None:
        """As a commit does: an event, then who its entry is."""
        with psycopg.connect(cluster.url(), options=f"-c search_path={schema}") as worker:
            worker.execute("INSERT INTO events (wave, idx, kind, body) VALUES (1, 0, 'answered', '{}')")
            begun.set_result(None)
            wait_until(lambda: cluster.ask(waits, f"{schema}.events"))
            worker.execute("SELECT scope FROM entries WHERE wave = 1 AND idx = 0")

    begun: Future[None] = Future()
    with ThreadPoolExecutor(1) as threads:
        recorded = threads.submit(record)
        begun.result(90)
        done = batcher("database", "prepare", f"{cluster.url()}?schema={schema}", "--apply")
    assert (done.code, f"from version 9 to {VERSION}" in done.out) == (0, True), done.err
    assert recorded.exception() is None


def test_what_takes_long_is_waited_for_and_said(
    batcher: Batcher, cluster: Cluster, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given up, it would go on at the server, hold its locks, and come to nothing."""
    monkeypatch.setattr(database, "_ANSWER_S", 0.5)
    monkeypatch.setattr(database, "_SAY_EVERY_S", 0.4)
    slow = (lambda name: f"SELECT pg_sleep(1.5); {MIGRATIONS[0](name)}", *MIGRATIONS[1:])
    monkeypatch.setattr("batcher.journal.postgres.migrations.MIGRATIONS", slow)
    done = batcher("database", "prepare", f"{cluster.url()}?schema={schema}", "--apply")
    assert (done.code, f"done: make the schema {schema}" in done.out) == (0, True), done.err
    assert "note: the server is at it, for" in done.err
    assert "pg_stat_activity" in done.err


def test_what_the_server_should_be_told_is_advice(batcher: Batcher, cluster: Cluster, schema: str) -> None:
    said = json.loads(batcher("database", "prepare", f"{cluster.url()}?schema={schema}", "--json").out)
    assert (said["usable"], said["applied"], len(said["steps"])) == (True, False, 1)
    advice = [check["what"] for check in said["checks"] if check["verdict"] == "advice"]
    assert any(what.startswith("tcp_user_timeout = 0") for what in advice)


def test_a_role_that_may_not_make_tables_is_told_what_it_lacks(batcher: Batcher, cluster: Cluster, schema: str) -> None:
    cluster.ask(f"CREATE ROLE {schema} LOGIN")
    url = cluster.url().replace("batcher@", f"{schema}@")
    refused = batcher("database", "prepare", f"{url}?schema={schema}", "--apply")
    assert refused.code == 2
    assert f"bad    this role may not make the schema {schema}: GRANT CREATE ON DATABASE" in refused.out
    assert "Nothing was changed" in refused.err


def test_a_password_is_taken_from_its_file_and_shown_nowhere(
    batcher: Batcher, cluster: Cluster, schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server asks this role for one; what is wrong with it is told without it."""
    cluster.ask(f"CREATE ROLE {schema} LOGIN SUPERUSER PASSWORD 'tall-order-77'")
    rules = cluster.folder / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text(f"host all {schema} 127.0.0.1/32 scram-sha-256\n{before}")
    try:
        cluster.ask("SELECT pg_reload_conf()")
        url = cluster.url().replace("batcher@", f"{schema}@")
        kept = tmp_path / "pass"
        monkeypatch.setenv("PGPASSFILE", str(kept))
        told = batcher("database", "prepare", url)
        assert (told.code, "no password supplied" in told.err, "~/.pgpass" in told.err) == (2, True, True)
        kept.write_text(f"*:*:*:{schema}:tall-order-77\n")
        kept.chmod(0o600)
        assert batcher("database", "prepare", f"{url}?schema={schema}").code == 1
        kept.write_text(f"*:*:*:{schema}:tall-order-78\n")
        wrong = batcher("database", "prepare", url)
        assert (wrong.code, "password authentication failed" in wrong.err) == (2, True)
        assert "tall-order" not in told.err + wrong.err + wrong.out
    finally:
        rules.write_text(before)
        cluster.ask("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    "url", ["postgresql://me:tall-order-77@127.0.0.1/x", "postgresql://127.0.0.1:1/x", "fleet", "postgresql://%zz/x"]
)
def test_what_cannot_be_reached_or_read_is_one_message(batcher: Batcher, url: str) -> None:
    told = batcher("database", "prepare", url)
    assert told.code == (3 if ":1/" in url else 2)  # which is away, and may be there later
    assert told.err.count("\n") == 1
    assert "tall-order" not in told.err


def test_a_missing_psycopg_is_one_message(batcher: Batcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    told = batcher("database", "prepare", "postgresql://db/fleet")
    assert (told.code, told.err.count("\n"), "drs-batcher[fleet]" in told.err) == (2, 1, True)
