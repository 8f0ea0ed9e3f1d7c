"""Keepers: entries a second through a journal in PostgreSQL against one in SQLite, in one run.

An entry is what it is in a wave: an intent, and then an answer together with its result; two commits, three rows.
Rounds alternate, since both depend on what else the machine and its disk have to do.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from _bench.common import Row, at_least

_IN_FLIGHT = {16: 0.5, 64: 0.4}  # and the least share of SQLite's rate
_ROUNDS, _SECONDS = 3, 2.0


def rows(*, quick: bool) -> Iterator[Row]:
    """A ratio for each number of entries in flight, by one writer on one connection to a server on this machine."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from batcher.journal.postgres.keeper import PostgresKeeper
    from batcher.journal.sqlite.keeper import SqliteKeeper
    from tests.journal.postgres.cluster import Cluster, binaries, prepared

    if binaries() is None:
        yield Row(subject="PostgreSQL", figure="there is none here: install Debian's package postgresql")
        return
    cluster = Cluster.make(shared_buffers="128MB")  # as PostgreSQL has it by default
    try:
        for in_flight, least in _IN_FLIGHT.items():
            rates: dict[str, list[float]] = {"SQLite": [], "PostgreSQL": []}
            for number in range(2 if quick else _ROUNDS):
                with TemporaryDirectory() as folder:
                    file = Path(folder, "journal")
                    rates["SQLite"].append(_rate(lambda: SqliteKeeper(file, many=True), in_flight))  # noqa: B023
                address = prepared(cluster, schema=f"bench_{in_flight}_{number}")
                rates["PostgreSQL"].append(_rate(lambda: PostgresKeeper(address), in_flight))  # noqa: B023
            told = ", ".join(f"{name} {median(found):,.0f}/s" for name, found in rates.items())
            yield Row(subject=f"entries a second, {in_flight} in flight", figure=told, raw={"rates": rates})
            ratio = median(theirs / ours for ours, theirs in zip(*rates.values(), strict=True))
            yield at_least(f"PostgreSQL / SQLite, {in_flight} in flight", ratio, least)
    finally:
        cluster.remove()


def _rate(open_keeper: Callable[[], object], in_flight: int) -> float:
    """Entries a second through the keeper that *open_keeper* gives."""
    from batcher.drs.outcome import Half
    from batcher.journal.ops import Happened, Settled
    from batcher.life.entry import PlannedEntry, Scope
    from batcher.life.events import Answered, Intended
    from batcher.life.result import Status

    scope = Scope(0, "https://drs.example.com", "0123456789abcdef0123456789abcdef")
    intent = Intended(at=0.0, asked=frozenset({Half.OBJECT}), timebase="bench", monotonic=1.0)
    answer = Answered(at=0.0, sent_at=0.0, halves={}, http_status=200, request_id="f" * 32)
    line = b"x" * 500 + b"\n"
    most = 80_000

    async def measured() -> float:
        keeper = open_keeper()
        with keeper.new_wave("bench").planning() as plan:  # type: ignore[attr-defined]
            plan.add_scope(scope)
            plan.add_entries(
                PlannedEntry(
                    index=index, line=index + 2, key=f"k{index}", scope=scope, job_id=f"job-{index}",
                    body=b"{" + b" " * 300 + b"}", x_language=None, labels={},
                )
                for index in range(most)
            )  # fmt: skip
            plan.finish({})
        journal = keeper.journal("bench")  # type: ignore[attr-defined]
        indexes, done = iter(range(most)), 0
        began = time.perf_counter()

        async def lane() -> None:
            nonlocal done
            for index in indexes:
                if time.perf_counter() - began > _SECONDS:
                    return
                await journal.record(Happened(index=index, event=intent))
                await journal.record(
                    Happened(index=index, event=answer), Settled(index=index, status=Status.CREATED, line=line)
                )
                done += 1

        await asyncio.gather(*(lane() for _ in range(in_flight)))
        took_s = time.perf_counter() - began
        await keeper.aclose()  # type: ignore[attr-defined]
        return done / took_s

    return asyncio.run(measured())
