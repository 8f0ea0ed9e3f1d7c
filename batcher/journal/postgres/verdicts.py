"""The verdicts on what a wave in a database that machines share has created: whether they are wanted, and each once.

Invariants:
- Verdicts are written by the lease on their scope: whoever has lost it writes none (`LaneLost`). A `watch`, which has
  none, says on which result each is: on one that was taken back it writes none.
- An entry has one verdict, and none without a result: a result that is taken back takes its verdict along.
- Once wanted they stay wanted: whoever has a scope follows what is there, also after a death, a pause, a deadline.
"""

from collections.abc import Sequence

from msgspec import Struct

from batcher.journal.errors import LaneLost
from batcher.journal.postgres.link import DatabaseLink
from batcher.journal.postgres.schema import RECORD_FOUND_VERDICTS, RECORD_VERDICTS
from batcher.journal.postgres.steps import Steps, whole

_PART, _LARGEST_PART = 4096, 65_536  # of a wave's results, in which those without a verdict are looked for at a time


class KeptVerdict(Struct, frozen=True):
    """The *verdict* on the entry at *index*, by its name, and its *line* as the verdicts file has it."""

    index: int
    verdict: str
    line: bytes


class FoundVerdict(Struct, frozen=True):
    """A verdict that was found without a lease, on the result with the number *seq* in its wave."""

    seq: int
    kept: KeptVerdict


class PostgresVerdicts:
    """The verdicts of the wave with this *number*, which people know as *name*. Every method raises `JournalFailed`."""

    def __init__(self, link: DatabaseLink, number: int, name: str) -> None:
        self._db = link
        self._number = number
        self._name = name

    def record(self, verdicts: Sequence[KeptVerdict], place: int | None = None, epoch: int | None = None) -> None:
        """Make *verdicts* durable, by the lease with that *epoch* on the scope with the number *place*; those of
        entries that are in no scope, by none. One that is there stays as it is. Raises `LaneLost`."""
        indexes = "{" + ",".join(str(one.index) for one in verdicts) + "}"  # of the same type whatever it holds
        said, lines = [one.verdict for one in verdicts], [one.line for one in verdicts]
        values = (self._number, place, epoch, indexes, said, lines)
        answer = self._db.do(lambda c: c.execute(RECORD_VERDICTS, values).fetchone(), writing=True)
        if answer != (True,):
            raise LaneLost(f"{self._name}: another process has taken its scope over")

    def record_found(self, found: Sequence[FoundVerdict]) -> int:
        """Make those of *found* durable that are on a result that is there, and has no verdict yet; how many."""
        indexes = "{" + ",".join(str(one.kept.index) for one in found) + "}"
        seqs = "{" + ",".join(str(one.seq) for one in found) + "}"
        said, lines = [one.kept.verdict for one in found], [one.kept.line for one in found]
        values = (self._number, indexes, seqs, said, lines)
        answer = self._db.do(lambda c: c.execute(RECORD_FOUND_VERDICTS, values).fetchone(), writing=True)
        return 0 if answer is None else int(answer[0])

    def undecided_of(self, indexes: Sequence[int]) -> dict[int, tuple[int, bytes]]:
        """The number and the line of the result of each of these entries that has one, and no verdict, by its index."""
        rows = self._db.rows(
            # each looked up by itself: as `= ANY`, the server goes through the whole wave for them
            "SELECT r.* FROM unnest(%s::int[]) i CROSS JOIN LATERAL ("
            "SELECT r.idx, r.seq, r.line FROM results r WHERE r.wave = %s AND r.idx = i "
            "AND (SELECT v.idx FROM verdicts v WHERE v.wave = r.wave AND v.idx = r.idx LIMIT 1) IS NULL OFFSET 0) r",
            (list(indexes), self._number),
        )
        return {index: (seq, line) for index, seq, line in rows}

    def undecided(self, place: int | None, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next result lines without a verdict behind number *after*, each with its number, of entries in the scope
        with the number *place*; None: in none. None there: there are no more."""
        return whole(self._undecided_steps(place, after, limit))

    def _undecided_steps(self, place: int | None, after: int, limit: int) -> Steps[list[tuple[int, bytes]]]:
        end, part = self._last_result(), _PART
        while after < end:
            last = after + part
            rows = self._db.rows(
                "SELECT r.seq, r.line FROM results r JOIN entries e USING (wave, idx) "
                "WHERE r.wave = %s AND r.seq > %s AND r.seq <= %s AND e.scope IS NOT DISTINCT FROM %s "
                "AND NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.wave = r.wave AND v.idx = r.idx) "
                "ORDER BY r.seq LIMIT %s",
                (self._number, after, last, place, limit),
            )
            if rows:
                yield [(seq, line) for seq, line in rows]
                return
            after, part = last, min(2 * part, _LARGEST_PART)
            yield None
        yield []

    def _last_result(self) -> int:
        row = self._db.row("SELECT next_seq - 1 FROM waves WHERE number = %s", (self._number,))
        return -1 if row is None else int(row[0])

    def numbered_lines(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next verdict lines behind number *after*, each with its number, in the order in which they became
        durable: those that were taken back have left gaps."""
        rows = self._db.rows(
            "SELECT seq, line FROM verdicts WHERE wave = %s AND seq > %s ORDER BY seq LIMIT %s",
            (self._number, after, limit),
        )
        return [(seq, line) for seq, line in rows]


def want_verdicts(link: DatabaseLink, wave: int, *, watch_timeout_s: float | None = None) -> None:
    """Have the comparisons of the wave with that number be followed from now on by whoever has its scopes, for no
    longer than *watch_timeout_s* after its last entry was settled; None: to the last verdict. Raises `JournalFailed`.
    """
    link.do(
        lambda c: c.execute(
            "UPDATE wave_orders SET follow = true, watch_timeout_s = %s, follow_until = NULL, version = version + 1 "
            "WHERE wave = %s",
            (watch_timeout_s, wave),
        ),
        writing=True,
    )


def note_settled(link: DatabaseLink, wave: int) -> None:
    """Where every entry of the wave with that number is settled, from now on counts for how long its comparisons are
    followed, if that has a bound and does not count yet. Raises `JournalFailed`."""
    link.do(
        lambda c: c.execute(
            "UPDATE wave_orders SET follow_until = clock_timestamp() + make_interval(secs => watch_timeout_s), "
            "version = version + 1 WHERE wave = %s AND follow AND follow_until IS NULL AND watch_timeout_s IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM wave_scopes p WHERE p.wave = wave_orders.wave AND p.settled < p.entries)",
            (wave,),
        ),
        writing=True,
    )
