"""A believable fleet of any size, from a seed: kinds, engines, parents, dual-zone pairs, jobs that are not well."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from batcher.simulator.chance import draw, draw_hex
from batcher.simulator.jobs import READY, JobRule

# kind, engine, share of the fleet
_LINKS = (
    ("migration", "mysql", 0.45),
    ("sync", "mysql", 0.2),
    ("cloudDataGuard", "cloudDataGuard-mysql", 0.12),
    ("sync", "postgresql", 0.1),
    ("sync", "mysql-to-gaussdbv5", 0.05),
    ("migration", "mongodb", 0.04),
    ("sync", "mysql-to-kafka", 0.04),
)
_TEAMS = ("payments", "orders", "stock", "web", "risk", "search")
_PARENTS = 0.035  # of what the fleet is made of; each has two or three subtasks, which are jobs as well
_BIG = 7  # the job with five thousand tables
_PAIRS = 0.02
_ILL = (("PAUSING", 0.02), ("INCRE_TRANSFER_FAILED", 0.01), ("FULL_TRANSFER_STARTED", 0.03), ("CONFIGURATION", 0.01))


def made_fleet(size: int, seed: int, projects: Sequence[str | None] = (None,)) -> tuple[JobRule, ...]:
    """*size* jobs over *projects*: forty tables in the median, and five thousand in one."""
    rules: list[JobRule] = []
    number = 0
    while len(rules) < size:
        rules += _jobs(seed, number, projects[number % len(projects)], size - len(rules))
        number += 1
    return tuple(rules)


def _jobs(seed: int, number: int, project_id: str | None, room: int) -> Iterator[JobRule]:
    """One job, or a parent with its subtasks, or a pair; at most *room* of them."""
    chance = draw(seed, "shape", number)
    job_id = _id(seed, number)
    base = _job(seed, number, job_id, project_id)
    if number == _BIG:
        yield base
    elif chance < _PARENTS and room > 3:
        kids = [_id(seed, number, kid) for kid in range(2 + (number % 2))]
        yield _with(base, children=tuple(kids), objects=())
        for kid_number, kid in enumerate(kids):
            yield _with(base, pattern=kid, name=f"{base.name}-{kid_number + 1}", parent_id=job_id)
    elif chance < _PARENTS + _PAIRS and room > 1 and base.kind != "migration":
        standby = _id(seed, number, "standby")
        yield _with(base, master_job_id=job_id)
        yield _with(base, pattern=standby, name=f"{base.name}-standby", master_job_id=job_id)
    else:
        yield base


def _job(seed: int, number: int, job_id: str, project_id: str | None) -> JobRule:
    kind, engine = ("sync", "mysql") if number == _BIG else _drawn(draw(seed, "link", number))
    team = _TEAMS[int(draw(seed, "team", number) * len(_TEAMS))]
    full_only = kind == "migration" and draw(seed, "full", number) < 0.05
    return JobRule(
        pattern=job_id,
        project_id=project_id,
        name=f"{team}-{number:04}",
        kind=kind,
        engine=engine,
        direction="up",
        task_type="FULL_TRANS" if full_only else "FULL_INCR_TRANS",
        status=READY if number == _BIG else _status(draw(seed, "status", number)),
        tags={"team": team},
        source_instance=draw_hex(seed, "source", number // 4)[:28] + "in01",
        target_instance=draw_hex(seed, "target", number // 4)[:28] + "in01",
        objects=_objects(seed, number, team, engine),
    )


def _drawn(chance: float) -> tuple[str, str]:
    for kind, engine, share in _LINKS:
        chance -= share
        if chance < 0:
            return kind, engine
    return _LINKS[0][:2]


def _status(chance: float) -> str:
    for status, share in _ILL:
        chance -= share
        if chance < 0:
            return status
    return READY


def _objects(seed: int, number: int, team: str, engine: str) -> tuple[tuple[str, str | None, tuple[str, ...]], ...]:
    tables = 5000 if number == _BIG else 1 + int(80 * draw(seed, "tables", number))
    named = tuple(f"t_{table:04}" for table in range(tables))
    if engine.startswith("postgresql"):
        return ((f"{team}_db", "public", named),)
    half = tables // 2 if tables < 5000 else tables
    parts = ((f"{team}_db", None, named[:half]), (f"{team}_log", None, named[half:]))
    return tuple((database, schema, some) for database, schema, some in parts if some)


def _id(seed: int, *key: object) -> str:
    """A job's id as the cloud makes them: its last letters are `jb` and three digits."""
    return draw_hex(seed, "job", *key)[:27] + "jb101"


def _with(rule: JobRule, **changes: object) -> JobRule:
    return replace(rule, **changes)  # type: ignore[arg-type]
