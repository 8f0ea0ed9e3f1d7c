"""Small fleets for tests."""

from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import NO_FAULTS, FaultSource
from batcher.simulator.iam import IamConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.service import ServiceConfig

TABLES = (("shop", None, ("orders", "items")),)


def job(job_id: str, **given: object) -> JobRule:
    """A job with two tables."""
    return JobRule(**{"pattern": job_id, "objects": TABLES, **given})  # type: ignore[arg-type]


def fleet(*rules: JobRule, faults: FaultSource = NO_FAULTS, iam: IamConfig | None = None) -> ServiceConfig:
    """A cloud with these jobs."""
    return ServiceConfig(cloud=CloudConfig(jobs=rules), faults=faults, iam=iam or IamConfig())
