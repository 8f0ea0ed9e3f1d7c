"""Which comparisons find differences, and where: told by rule, or a share of the jobs by chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from batcher.simulator.chance import draw


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDifference:
    """One table (or, for object comparisons, one object) that is not the same on both sides.

    *job_id*, *database* and *table* are patterns. *object_type* None: the rows differ, *rows* of them;
    otherwise the object of that type and *name* is missing at the target.
    """

    job_id: str = "*"
    database: str = "*"
    table: str = "*"
    rows: int = 1
    object_type: str | None = None
    name: str = "missing_object"


@dataclass(frozen=True, slots=True)
class Differences:
    """All that differs: *rules*, and by chance *share* of the jobs, one table in each."""

    rules: tuple[SimulatedDifference, ...] = ()
    share: float = 0.0

    def rows(self, seed: int, job_id: str, tables: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """How many rows differ, for those of a comparison's (database, table) pairs where any do."""
        differing = {}
        for database, table in tables:
            for rule in self.rules:
                if (
                    rule.object_type is None
                    and fnmatchcase(job_id, rule.job_id)
                    and fnmatchcase(database, rule.database)
                    and fnmatchcase(table, rule.table)
                ):
                    differing[database, table] = rule.rows
                    break
        if self.share and tables and draw(seed, "differs", job_id) < self.share:
            one = tables[int(draw(seed, "differs where", job_id) * len(tables))]
            differing.setdefault(one, 1 + int(draw(seed, "differs by", job_id) * 9))
        return differing

    def objects(self, job_id: str) -> list[SimulatedDifference]:
        """The objects missing at the target of a job."""
        return [rule for rule in self.rules if rule.object_type is not None and fnmatchcase(job_id, rule.job_id)]
