"""Which comparisons find differences, and where: told by rule, or a share of the jobs by chance."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from batcher.simulator.chance import draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
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
    """All that differs: *rules*, and by chance *share* of the jobs in one of their tables each."""

    rules: tuple[Difference, ...] = ()
    share: float = 0.0

    def rows(self, seed: int, job_id: str, database: str, table: str, tables: int) -> int:
        """How many rows differ in a table; *tables* is how many its comparison has."""
        for rule in self.rules:
            if (
                rule.object_type is None
                and fnmatchcase(job_id, rule.job_id)
                and fnmatchcase(database, rule.database)
                and fnmatchcase(table, rule.table)
            ):
                return rule.rows
        if self.share and draw(seed, "differs", job_id) < self.share:
            # One table of the job, on average; the first of a comparison always, see `results`.
            chosen = draw(seed, "differs where", job_id, database, table) < 1 / max(1, tables)
            return 1 + int(draw(seed, "differs by", job_id, database, table) * 9) if chosen else 0
        return 0

    def objects(self, job_id: str) -> list[Difference]:
        """The objects missing at the target of a job."""
        return [rule for rule in self.rules if rule.object_type is not None and fnmatchcase(job_id, rule.job_id)]
