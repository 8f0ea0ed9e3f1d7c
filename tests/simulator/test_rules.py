"""Files and options that describe the fleet: what is wrong with them is told with its place and the way out."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.errors import UserError
from batcher.rates import Rate
from batcher.simulator.differences import SimulatedDifference
from batcher.simulator.jobs import ANY_JOB, ENDS, ExistingComparison, Fleet, JobRule
from batcher.simulator.options import parse_offset, service_config
from batcher.simulator.rules import read_differences, read_jobs


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "rules.json"
    path.write_bytes(value if isinstance(value, bytes) else orjson.dumps(value))
    return path


def test_a_fleet_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        [
            {"job_id": "gone-*", "exists": False},
            {
                "job_id": "late",
                "status": "FULL_TRANSFER_STARTED",
                "becomes": [
                    {"after": "2m", "status": "INCRE_TRANSFER_STARTED"},
                    {"after": 30, "status": "FULL_TRANSFER_COMPLETE"},
                ],
            },
            {"job_id": "jb?", "ends": "FAILED", "runs": "10m", "existing": [{"age": "1h", "status": "SUCCESSFUL"}]},
        ],
    )
    gone, late, busy = read_jobs(path)
    assert gone == JobRule(pattern="gone-*", exists=False)
    assert [late.status_at(age) for age in (0, 30, 120)] == [
        "FULL_TRANSFER_STARTED",
        "FULL_TRANSFER_COMPLETE",
        "INCRE_TRANSFER_STARTED",
    ]
    assert (busy.ends, busy.runs_s) == ("FAILED", 600.0)
    assert busy.existing == (ExistingComparison(status="SUCCESSFUL", age_s=3600.0),)


@pytest.mark.parametrize("ends", sorted(ENDS))
def test_every_way_to_end_can_be_told(tmp_path: Path, ends: str) -> None:
    assert read_jobs(written(tmp_path, [{"job_id": "*", "ends": ends}]))[0].ends == ends


def test_the_rule_that_names_a_job_beats_patterns_and_the_first_pattern_the_others() -> None:
    fleet = Fleet([JobRule(pattern="jb*", status="PAUSING"), JobRule(pattern="jb1"), JobRule(pattern="j*")])
    assert [fleet.rule_for(job).pattern for job in ("jb1", "jb2", "j3")] == ["jb1", "jb*", "j*"]
    assert fleet.rule_for("other") is ANY_JOB


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[{]", "line 1, column 3"),
        (b"{}", "must be a JSON array"),
        ([{}], "rule 1, job_id: Field required"),
        ([{"job_id": "a"}, {"job_id": "b", "stauts": "PAUSING"}], "rule 2, stauts: is no field; did you mean status?"),
        ([{"job_id": "a", "status": "INCRE_TRANSFER_START"}], "did you mean INCRE_TRANSFER_STARTED?"),
        ([{"job_id": "a", "becomes": [{"after": "soon", "status": "PAUSING"}]}], "rule 1, becomes, 0, after"),
    ],
)
def test_a_broken_fleet_file_is_explained(tmp_path: Path, content: Any, said: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_jobs(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_differences(tmp_path / "none.json")


def test_differences_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, [{"job_id": "jb1", "table": "orders", "rows": 3}, {"object_type": "VIEW", "name": "v"}])
    assert read_differences(path).rules == (
        SimulatedDifference(job_id="jb1", table="orders", rows=3),
        SimulatedDifference(object_type="VIEW", name="v"),
    )


def test_options_make_a_configuration(tmp_path: Path) -> None:
    config = service_config(
        limit="600/min",
        read_limit="off",
        latency="50ms..200ms",
        faults="flaky",
        differences="5%",
        jobs=written(tmp_path, [{"job_id": "a"}]),
        deny=["batch-status"],
        token_life="10m",
        auth="token",
        keep_answer="existing",
        seed=7,
    )
    assert config.cloud.limit == Rate(600, 60.0)
    assert config.cloud.read_limit is None
    assert config.latency_s == (0.05, 0.2)
    assert config.faults.name == "flaky"
    assert config.cloud.differences.share == 0.05
    assert [rule.pattern for rule in config.cloud.jobs] == ["a"]
    assert config.cloud.keep_answer == "existing"
    assert config.cloud.denied == {"batch-status"}
    assert (config.iam.mode, config.iam.token_life_s) == ("token", 600.0)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("limit", "fast", "--limit: 'fast' is no rate"),
        ("latency", "2s..1s", "--latency: '2s..1s' goes from more to less"),
        ("latency", "..", "--latency"),
        ("faults", "lousy", "--faults: 'lousy' is neither a fault profile nor a fault"),
        ("differences", "101%", "--differences 101%: is more than all jobs"),
        ("deny", ["batchstatus"], "did you mean batch-status?"),
        ("token_life", "long", "--token-life: 'long' is no duration"),
    ],
)
def test_a_wrong_option_is_named_with_the_mend(option: str, value: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        service_config(**{option: value})
    assert said in caught.value.message


def test_the_clock_can_be_ahead_or_behind() -> None:
    assert (parse_offset("5m"), parse_offset("-20m"), parse_offset("0")) == (300.0, -1200.0, 0.0)
