"""The simulator's options as people write them, made into a configuration; shared by every command that has some."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from batcher.durations import parse_duration
from batcher.errors import UserError
from batcher.nearest import nearest
from batcher.rates import Rate
from batcher.simulator.chance import draw_hex
from batcher.simulator.config import CloudConfig, KeepAnswer
from batcher.simulator.differences import Differences
from batcher.simulator.faults import parse_profile
from batcher.simulator.iam import AuthMode, IamConfig
from batcher.simulator.made_fleet import made_fleet
from batcher.simulator.model import CREATES, READS
from batcher.simulator.rules import read_differences, read_jobs
from batcher.simulator.service import ServiceConfig

T = TypeVar("T")

PROJECT_ID = "0123456789abcdef0123456789abcdef"
"""The simulated project that everything is told to use, unless there are more."""


def service_config(
    *,
    limit: str | None = None,
    read_limit: str | None = None,
    count_refused: bool = False,
    latency: str = "0",
    faults: str = "none",
    seed: int = 0,
    jobs: Path | None = None,
    fleet: int | None = None,
    projects: int = 1,
    differences: str | None = None,
    speed: float = 60.0,
    auth: AuthMode = "off",
    token_life: str = "24h",  # noqa: S107 - a time, no token
    keep_answer: KeepAnswer = "code",
    deny: Sequence[str] = (),
) -> ServiceConfig:
    """The configuration that these options name. Raises `UserError` that names the option and the mend."""
    if fleet is not None and jobs is not None:
        raise UserError("--fleet makes the jobs that --jobs would name: give one of the two.")
    project_ids = project_ids_of(projects)
    rules = () if jobs is None else read_jobs(jobs)
    return ServiceConfig(
        cloud=CloudConfig(
            limit=None if limit is None else _parsed("limit", limit, _limit),
            read_limit=None if read_limit is None else _parsed("read-limit", read_limit, _limit),
            count_refused=count_refused,
            denied=frozenset(_parsed("deny", call, _call) for call in deny),
            jobs=rules if fleet is None else made_fleet(fleet, seed, project_ids),
            differences=Differences() if differences is None else _differences(differences),
            speed=speed,
            keep_answer=keep_answer,
        ),
        iam=IamConfig(
            mode=auth,
            token_life_s=_parsed("token-life", token_life, parse_duration),
            project_ids=_named(project_ids),
        ),
        faults=_parsed("faults", faults, parse_profile),
        seed=seed,
        latency_s=_parsed("latency", latency, _span),
    )


def project_ids_of(count: int) -> tuple[str, ...]:
    """The ids of the first *count* simulated projects."""
    return tuple([PROJECT_ID, *(draw_hex(0, "project", number) for number in range(1, count))][:count])


def _named(project_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {f"simulated-{number}": (project_id,) for number, project_id in enumerate(project_ids, 1)}


def parse_offset(text: str) -> float:
    """Seconds that `--clock-ahead` names; "-5m" is behind. Raises `UserError`."""
    text = text.strip()
    seconds = _parsed("clock-ahead", text.removeprefix("-"), parse_duration)
    return -seconds if text.startswith("-") else seconds


def _parsed(option: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        said = str(error)
        shown = said if said.startswith(("'", '"')) else f"{text!r} {said}"
        raise UserError(f"--{option}: {shown}{'' if said.endswith('?') else '.'}") from None


def _limit(text: str) -> Rate | None:
    return None if text.strip().lower() in ("off", "none") else Rate.parse(text)


def _span(text: str) -> tuple[float, float]:
    """One duration, or two with `..` between."""
    low, sign, high = text.partition("..")
    span = (parse_duration(low), parse_duration(high if sign else low))
    if span[0] > span[1]:
        raise ValueError("goes from more to less; write the shorter time first")
    return span


def _call(text: str) -> str:
    calls = CREATES | READS
    if text not in calls:
        near = nearest(text, calls)
        raise ValueError(
            f"is no call that is simulated; did you mean {near}?" if near else f"is none of {', '.join(sorted(calls))}"
        )
    return text


def _differences(text: str) -> Differences:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
    if match is None:
        return read_differences(Path(text))
    share = float(match[1]) / 100
    if share > 1:
        raise UserError(f"--differences {text}: is more than all jobs; write a share up to 100%.")
    return Differences(share=share)
