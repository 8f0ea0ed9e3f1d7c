"""No statement reads more of a wave as it grows: what PostgreSQL did for each is told by its own auto_explain.

It plans by what it counted last, which may be long ago: a wave is planned and run before the next count. So all is
asked where it has counted what is there, where it knows of a small wave alone, and where it never counted. Whatever is
asked is looked at, also by functions in the database, and a question that nobody thought of here as well.
"""

import ast
import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from batcher.journal.ops import ClockNoted, Happened, Noted, Settled
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.orders import order_scope, orders_of
from batcher.journal.postgres.schema import MIGRATIONS
from batcher.journal.postgres.verdicts import FoundVerdict, KeptVerdict, PostgresVerdicts, note_settled, want_verdicts
from batcher.journal.postgres.work import waves_in
from batcher.life.result import Status
from batcher.machines.look import look_around
from batcher.machines.standing import _RECENT, in_flight_of, owners_of, standings_of
from batcher.service.shared.mirror import _MARK
from batcher.service.shared.register import SharedRegister
from tests.journal.made import AGAIN, ANSWER, INTENT, OTHER, plan
from tests.journal.postgres.cluster import needed, prepared
from tests.packaging.checkout import ROOT
from tests.wave.made import SCOPE, entry

ENTRIES, SETTLED, DECIDED = 24_000, 16_000, 8_000
PAGE = 1000  # what is read at a time of all of a wave
MOST = 4 * PAGE  # rows that a statement may touch: a page and its look-ups, or what lies within 2000 events of one
LARGE = ("entries", "events", "results", "verdicts", "late")

INDEX = SETTLED - 2  # an entry that is settled, of the first scope

Wave = PostgresWrittenRecord
# Every question of a record, and how it is asked where the wave has got to.
ASKED: dict[str, Callable[[Wave], object]] = {
    "is_planned": lambda wave: wave.is_planned(),
    "facts": lambda wave: wave.facts(),
    "scopes": lambda wave: wave.scopes(),
    "scope_sizes": lambda wave: wave.scope_sizes(),
    "entry_count": lambda wave: wave.entry_count(),
    "is_settled": lambda wave: wave.is_settled(),
    "status_counts": lambda wave: wave.status_counts(),
    "settled_counts": lambda wave: wave.settled_counts(),
    "next_seq": lambda wave: wave.next_seq(),
    "planned": lambda wave: wave.planned(0, SETTLED, 256),
    "open_entries": lambda wave: wave.open_entries(0, SETTLED - 500, 256),
    "unfinished": lambda wave: wave.unfinished(SETTLED, 256),
    "events": lambda wave: wave.events(INDEX),
    "answers": lambda wave: list(wave.answers()),
    "answered_around": lambda wave: wave.answered_around(entry(INDEX)),
    "others_of_job": lambda wave: wave.others_of_job(entry(INDEX)),
    "of_job": lambda wave: wave.of_job(SCOPE, f"job-{INDEX}"),
    "sent_since": lambda wave: wave.sent_since(2e9),
    "entry": lambda wave: wave.entry(INDEX),
    "outline": lambda wave: list(wave.outline()),
    "line_of": lambda wave: wave.line_of(INDEX),
    "indexes_of_key": lambda wave: wave.indexes_of_key(f"key-{INDEX}"),
    "result_of": lambda wave: wave.result_of(INDEX),
    "lines": lambda wave: list(wave.lines()),
    "first_created": lambda wave: wave.first_created(0, 8),
    "lines_from": lambda wave: wave.lines_from(SETTLED - 100),
    "holds": lambda wave: wave.holds(
        [Happened(index=INDEX, event=INTENT), Settled(index=INDEX, status=Status.CREATED, line=b"{}\n")]
    ),
    "last_event_at": lambda wave: wave.last_event_at(),
    "with_status": lambda wave: wave.with_status([Status.FAILED]),
    "late_answers": lambda wave: wave.late_answers(INDEX, 1),
    "numbered_lines": lambda wave: wave.numbered_lines(SETTLED - 2000, PAGE),
}
# What else is asked of a database, and what is written there.
BESIDES: dict[str, Callable[[PostgresKeeper, Wave], object]] = {
    "intents": lambda _, wave: wave.commit([Happened(index=SETTLED + n, event=INTENT) for n in range(100, 120)]),
    "answers and results": lambda _, wave: wave.commit(
        [Happened(index=SETTLED + 1, event=ANSWER), Settled(index=SETTLED + 1, status=Status.CREATED, line=b"{}\n")]
    ),
    "results taken back": lambda _, wave: wave.commit(
        [Noted(name="rewriting", value=True), *(Happened(index=index, event=AGAIN) for index in range(20))]
    ),
    "facts and clocks": lambda _, wave: wave.commit([Noted(name="a", value=1), ClockNoted(scope=0, offset_s=1.0)]),
    "verdicts": lambda keeper, wave: PostgresVerdicts(keeper.link, wave.number, "w").record(
        [KeptVerdict(DECIDED + n, "consistent", b"{}\n") for n in range(0, 20, 2)], wave.place_of(SCOPE), 0
    ),
    "what has no verdict": lambda keeper, wave: PostgresVerdicts(keeper.link, wave.number, "w").undecided(
        wave.place_of(SCOPE), DECIDED, 256
    ),
    "verdict lines": lambda keeper, wave: PostgresVerdicts(keeper.link, wave.number, "w").numbered_lines(100, PAGE),
    "verdicts wanted": lambda keeper, wave: want_verdicts(keeper.link, wave.number, watch_timeout_s=1.0),
    "wave settled": lambda keeper, wave: note_settled(keeper.link, wave.number),
    "orders": lambda keeper, wave: orders_of(keeper.link, wave.number, 1),
    "an order": lambda keeper, _: order_scope(keeper.link, SCOPE.endpoint, SCOPE.project_id, rate="5/s"),
    "waves in a scope": lambda keeper, _: waves_in(keeper.link, SCOPE.endpoint, SCOPE.project_id),
    "work": lambda keeper, _: look_around(keeper.link),
    "standings": lambda keeper, _: standings_of(keeper.link),
    "owners": lambda keeper, wave: owners_of(keeper.link, wave.number),
    "in flight": lambda keeper, _: in_flight_of(keeper.link),
    "which have no verdict": lambda keeper, wave: PostgresVerdicts(keeper.link, wave.number, "w").undecided_of(
        range(SETTLED - 40, SETTLED + 20)
    ),
    "verdicts found elsewhere": lambda keeper, wave: PostgresVerdicts(keeper.link, wave.number, "w").record_found(
        [FoundVerdict(n, KeptVerdict(n, "consistent", b"{}\n")) for n in range(SETTLED - 20, SETTLED)]
    ),
    "what a copy is compared by": lambda keeper, _: keeper.link.rows(_MARK, ("large",)),
    "results taken back so far": lambda keeper, _: asyncio.run(SharedRegister(_Here(keeper)).reopened("large")),  # type: ignore[arg-type]
}
BOUNDS = {"in flight": _RECENT}  # the last events of all waves
# Only when a wave is planned, by a connection of its own: all of it.
OF_A_PLAN = ("COPY entries ", "COPY results ", "UPDATE results SET line")


class _Here:
    """A `SharedDatabase` that asks by the keeper's own connection."""

    def __init__(self, keeper: PostgresKeeper) -> None:
        self._keeper = keeper

    async def ask(self, question: Callable[[DatabaseLink], object]) -> object:
        return question(self._keeper.link)


@pytest.fixture(scope="module", params=["all counted", "counted while small", "never counted"])
def asker(request: pytest.FixtureRequest) -> Iterator["Asker"]:
    """A wave that is two thirds done, and a small one beside it; the server says how it did what it is asked."""
    patient = Patience(answer_s=60.0)  # of a connection that was made anew nothing would be told
    with closing(PostgresKeeper(prepared(needed()), patience=patient)) as keeper:
        _fill(keeper, {"beside": "counted while small", "large": "all counted"}, request.param)
        connection = keeper.link.connection
        try:
            connection.execute("LOAD 'auto_explain'")
        except psycopg.Error:
            pytest.skip("this PostgreSQL has no auto_explain")
        for setting in ("log_min_duration = 0", "log_analyze = on", "log_nested_statements = on", "log_format = json"):
            connection.execute(f"SET auto_explain.{setting}")
        connection.execute("SET client_min_messages = log")
        yield Asker(keeper)


def _fill(keeper: PostgresKeeper, counted_after: Mapping[str, str], counted: str) -> None:
    scopes = [SCOPE, OTHER]
    connection = keeper.link.connection
    for table in LARGE:  # nor does it count by itself
        connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    for name, count in (("beside", 200), ("large", ENTRIES)):
        wave = keeper.new_wave(name)
        plan(wave, (replace(entry(index), scope=scopes[index % 2]) for index in range(count)), scopes)
        wave.commit([Happened(index=0, event=INTENT), Happened(index=0, event=ANSWER)])
        if name == "large":
            connection.execute(_LATE, {"wave": wave.number})
            connection.execute(_HAPPENED, {"wave": wave.number, "settled": SETTLED, "decided": DECIDED})
        if counted_after[name] == counted:
            connection.execute("ANALYZE")


_LATE = """
INSERT INTO late (wave, idx, epoch, kind, body)
    SELECT %(wave)s, n, 1, 'answered', '{}' FROM generate_series(1, 5000) n
"""
# What happened so far, as if machines had run it: copied from the first entry's.
_HAPPENED = """
WITH had AS (SELECT kind, body FROM events WHERE wave = %(wave)s AND idx = 0), done AS (
    INSERT INTO events (wave, idx, epoch, kind, body)
        SELECT %(wave)s, n, 1, kind, body FROM generate_series(1, %(settled)s::int) n, had ORDER BY n
), results AS (
    INSERT INTO results SELECT %(wave)s, n, n, CASE n %% 100 WHEN 0 THEN 'failed' ELSE 'created' END, '{}'
        FROM generate_series(0, %(settled)s::int - 1) n
), verdicts AS (
    INSERT INTO verdicts SELECT %(wave)s, n, n, 1, 'consistent', '{}' FROM generate_series(0, %(decided)s::int - 1) n
), counted AS (
    UPDATE wave_scopes SET settled = %(settled)s::int / 2, decided = %(decided)s::int / 2 WHERE wave = %(wave)s
)
UPDATE waves SET next_seq = %(settled)s::int, next_verdict = %(decided)s::int,
    verdicts = jsonb_build_object('consistent', %(decided)s::int),
    counts = jsonb_build_object('created', %(settled)s::int * 99 / 100, 'failed', %(settled)s::int / 100)
    WHERE number = %(wave)s
"""


class Asker:
    """Asks each thing once, as some may be done once only, and keeps what the server tells of each statement: its
    text, and how it was carried out."""

    def __init__(self, keeper: PostgresKeeper) -> None:
        self._keeper = keeper
        self._told: dict[str, list[dict[str, Any]]] = {}

    def told(self, name: str) -> list[dict[str, Any]]:
        """What is told of that question."""
        if name not in self._told:
            said: list[str] = []
            connection, wave = self._keeper.link.connection, self._keeper.wave("large")
            wave._by_place.clear()  # asked once only, whichever question comes first

            def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
                said.append(diagnostic.message_primary or "")

            connection.add_notice_handler(hear)
            try:
                ASKED[name](wave) if name in ASKED else BESIDES[name](self._keeper, wave)
            finally:
                connection.remove_notice_handler(hear)
            told = [match[1] for one in said if (match := re.search(r"plan:\n(\{.*\})", one, re.DOTALL))]
            assert told
            self._told[name] = [json.loads(one) for one in told]
        return self._told[name]

    def steps(self, name: str) -> list[dict[str, Any]]:
        """Each step of each statement, as it was carried out."""
        return [step for one in self.told(name) for step in steps_in(one["Plan"])]


def steps_in(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for below in step.get("Plans", ()):
        yield from steps_in(below)


def touched(step: dict[str, Any]) -> float:
    """How many rows the step gave and threw away."""
    removed = sum(value for name, value in step.items() if name.startswith("Rows Removed"))
    return float((step.get("Actual Rows", 0) + removed) * step.get("Actual Loops", 1))


def judge(steps: list[dict[str, Any]], most: int = MOST) -> list[str]:
    """What reads too much of a large table, or sorts too many rows."""
    return [
        f"{step['Node Type']} on {step.get('Relation Name', '-')}: {touched(step):.0f} rows {step.get('Filter', '')}"
        for step in steps
        if touched(step) > most or (step["Node Type"] == "Seq Scan" and step.get("Relation Name") in LARGE)
    ]


@pytest.mark.parametrize("name", ASKED)
def test_a_question_reads_no_more_than_its_answer(asker: Asker, name: str) -> None:
    assert judge(asker.steps(name)) == []


@pytest.mark.parametrize("name", BESIDES)
def test_nothing_else_does_either(asker: Asker, name: str) -> None:
    assert judge(asker.steps(name), BOUNDS.get(name, MOST)) == []


def test_every_question_is_known_here() -> None:
    from batcher.journal.postgres.record import PostgresRecord

    public = {name for name in vars(PostgresRecord) if not name.startswith("_")}
    assert public - {"place_of"} == ASKED.keys()


def test_every_statement_over_what_grows_with_a_wave_is_asked_here(asker: Asker) -> None:
    """Also one that is new, wherever it stands. What the database's own functions do is told with what calls them."""
    heard = [plain(one["Query Text"]) for name in (*ASKED, *BESIDES) for one in asker.told(name)]
    assert [place for place, text in statements() if not any(text in said for said in heard)] == []


def statements() -> Iterator[tuple[str, str]]:
    """The SQL of ours, or pieces of it, that names a large table, each with its place."""
    for path in sorted((ROOT / "batcher").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if path.parent.name == "versions" or not (
            path.parent.name == "postgres" or "batcher.journal.postgres" in source
        ):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = plain(node.value)
                named = re.search(rf"\b(FROM|JOIN|INTO|UPDATE|COPY) ({'|'.join(LARGE)})\b", text)
                if named and not text.startswith(OF_A_PLAN):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def plain(sql: str) -> str:
    """*sql* without what differs between our text and the server's: the names of its values, and breaks."""
    return " ".join(re.sub(r"%s|%\(\w+\)s|\$\d+", "?", sql).split())


def test_what_was_counted_before_version_9_is_forgotten() -> None:
    """Else the server would go on reckoning by it: a column that it counts no more keeps what it counted last."""
    address = prepared(needed())
    with closing(PostgresKeeper(address)) as keeper:
        connection = keeper.link.connection
        plan(keeper.new_wave("small"), (entry(index) for index in range(300)), [SCOPE])
        connection.execute("ALTER TABLE entries ALTER COLUMN wave SET STATISTICS 100")
        connection.execute("ANALYZE entries")
        counted = "SELECT attname FROM pg_stats WHERE schemaname = %s AND tablename = 'entries'"
        assert connection.execute(counted, (address.schema,)).fetchall() == [("wave",)]
        connection.execute(MIGRATIONS[8](address.schema))
        connection.execute("ANALYZE")
        assert connection.execute(counted, (address.schema,)).fetchall() == []
        assert [one.index for one in keeper.wave("small").planned(0, -1, 3)] == [0, 1, 2]
