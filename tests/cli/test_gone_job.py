"""A request whose answer was lost, for a job that is not there: the look-ups say so, and nobody has to decide."""

from pathlib import Path

from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Script
from batcher.simulator.jobs import JobRule
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import lines_of, write_manifest
from tests.cli.conftest import Batcher, Cloud


def test_a_doubt_about_a_job_that_does_not_exist_is_failed(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    gone = CloudConfig(jobs=(JobRule(pattern="gone-*", exists=False),))
    cloud(ServiceConfig(cloud=gone, faults=Script(creates=("reset-after",))))
    ended = batcher("run", write_manifest(tmp_path / "w.csv", ["gone-1"]), "-o", "r.jsonl")
    assert ended.code == 1, ended.err
    (line,) = lines_of(Path("r.jsonl"))
    assert (line["status"], line["error_kind"], line["attempts"]) == ("failed", "not_found", 1)
    said = batcher("explain", "r.jsonl", "--job", "gone-1").out
    assert "there is no such job" in said
