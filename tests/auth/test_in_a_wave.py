"""Credentials while a wave runs: renewed under way, stopped where they cannot be, gone on with once they can."""

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from batcher.api import Wave
from batcher.drs.auth.options import CredentialOptions
from batcher.drs.auth.sources import CredentialSources
from batcher.simulator import iam
from batcher.simulator.ledger import AnswerSent
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.engine import WaveEnd
from tests.auth.test_secret import replaced
from tests.cli.commands import Program, wait_until, write_manifest

USER = {"BATCHER_USERNAME": "ann", "BATCHER_PASSWORD": "pass-word", "BATCHER_DOMAIN": "acme"}
IAM = iam.IamConfig(
    mode="any",
    tokens=frozenset(),
    users={"ann": iam.SimulatedUser("pass-word", "acme")},
    keys={"AKGOOD": iam.SimulatedAccessKey("sk-good")},
    project_ids={"eu-west-101": ("p-eu",)},
)
ENTRIES = 20


def manifest(folder: Path, *, projects: int = 0) -> Path:
    """Entries that name no project, or one of so many."""
    path = folder / "wave.jsonl"
    lines = []
    for number in range(ENTRIES):
        entry = {"job_id": f"11112222-0000-0000-0000-0000000{number:02}jb01", "object_level_compare_type": "objects"}
        if projects:
            entry["project_id"] = f"p{number % projects}"
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines))
    return path


def wave(folder: Path, cloud: Simulator, sources: CredentialSources, **settings: Any) -> Wave:
    given: dict[str, Any] = {
        "endpoint": cloud.url,
        "concurrency": 1,
        "rate": "off",
        "timeout": 5,
        "connect_timeout": 5,
        **settings,
    }
    return Wave(folder / "wave.jsonl", folder / "results.jsonl", credentials=sources, **given)


def sources(environ: Mapping[str, str], folder: Path, **more: object) -> CredentialSources:
    return CredentialSources(environ=environ, home=folder, **more)  # type: ignore[arg-type]


async def to_the_end(opened: Wave) -> WaveEnd:
    async with opened:
        return await opened.run()


async def test_tokens_that_die_under_way_are_renewed_once_each_time(tmp_path: Path) -> None:
    """They die at two moments so far apart that no request is under way at both."""
    manifest(tmp_path)
    settled = 0
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:

        def watch(boundary: str) -> None:
            nonlocal settled
            settled += boundary == "outcome durable"
            if boundary == "outcome durable" and settled in (2, 10):
                cloud.service.iam.expire_tokens()

        end = await to_the_end(wave(tmp_path, cloud, sources(USER, tmp_path), project_id="p1", watch=watch))
        assert end.status.created == ENTRIES
        assert not end.halted
        assert cloud.service.iam.tokens_given == 3


async def test_a_refused_renewal_stops_the_scope_and_the_next_run_goes_on(tmp_path: Path) -> None:
    manifest(tmp_path)
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        simulated = cloud.service.iam
        async with wave(tmp_path, cloud, sources(USER, tmp_path), project_id="p1") as opened:
            async for result in opened:
                if result.index == 1:
                    simulated.config = replace(simulated.config, users={"ann": iam.SimulatedUser("changed", "acme")})
                    simulated.expire_tokens()
        (halted,) = opened.end.halted.values()
        assert halted.error_msg is not None
        assert "no such user with this password" in halted.error_msg
        assert 0 < opened.end.status.not_submitted < ENTRIES

        corrected = sources({**USER, "BATCHER_PASSWORD": "changed"}, tmp_path)
        end = await to_the_end(wave(tmp_path, cloud, corrected, project_id="p1"))
        assert end.status.created == ENTRIES
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(ENTRIES))


async def test_a_token_file_replaced_under_way_is_taken_up(tmp_path: Path) -> None:
    manifest(tmp_path)
    token_file = tmp_path / "token"
    token_file.write_text("token-one")
    config = ServiceConfig(iam=replace(IAM, tokens=frozenset({"token-one"})))
    by_file = sources({}, tmp_path, options=CredentialOptions(token_file=token_file))
    async with Simulator(config) as cloud:
        simulated = cloud.service.iam
        async with wave(tmp_path, cloud, by_file, project_id="p1") as opened:
            async for result in opened:
                if result.index == 1:
                    replaced(token_file, "token-two")
                    simulated.config = replace(simulated.config, tokens=frozenset({"token-two"}))
        assert opened.end.status.created == ENTRIES


@pytest.mark.parametrize(
    "wrong", [{"BATCHER_AK": "AKGOOD", "BATCHER_SK": "sk-bad"}, {**USER, "BATCHER_PASSWORD": "x" * 8}]
)
async def test_a_wrong_credential_costs_one_refusal_over_all_projects(wrong: Mapping[str, str], tmp_path: Path) -> None:
    manifest(tmp_path, projects=ENTRIES)
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        end = await to_the_end(wave(tmp_path, cloud, sources(wrong, tmp_path), concurrency=16))
        refused = [event for event in cloud.ledger if isinstance(event, AnswerSent) and event.http_status == 401]
        assert len(refused) == ("BATCHER_AK" in wrong), (
            "a wrong password is refused by IAM, and DRS is not asked at all"
        )
    assert len(end.halted) == ENTRIES
    assert end.status.not_submitted == ENTRIES


async def test_nothing_but_a_key_and_a_region_in_the_environment(tmp_path: Path) -> None:
    """The project is asked of IAM; no flag is needed."""
    manifest(tmp_path)
    environ = {"HUAWEICLOUD_SDK_AK": "AKGOOD", "HUAWEICLOUD_SDK_SK": "sk-good", "HW_REGION_NAME": "eu-west-101"}
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        opened = wave(tmp_path, cloud, sources(environ, tmp_path))
        end = await to_the_end(opened)
        assert end.status.created == ENTRIES
        assert list(opened.credentials) == [(cloud.url, "p-eu")]
        assert opened.credentials[cloud.url, "p-eu"] == "access key from HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"


async def test_beside_an_endpoint_the_region_says_whose_project_is_meant(tmp_path: Path) -> None:
    manifest(tmp_path)
    key = sources({"HUAWEICLOUD_SDK_AK": "AKGOOD", "HUAWEICLOUD_SDK_SK": "sk-good"}, tmp_path)
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        opened = wave(tmp_path, cloud, key, region="eu-west-101")
        assert (await to_the_end(opened)).status.created == ENTRIES
        assert list(opened.credentials) == [(cloud.url, "p-eu")]


async def test_projects_that_entries_name_are_not_asked_for(tmp_path: Path) -> None:
    manifest(tmp_path, projects=2)
    nowhere = sources({"BATCHER_TOKEN": "token-one", "BATCHER_IAM_ENDPOINT": "http://127.0.0.1:1"}, tmp_path)
    config = ServiceConfig(iam=replace(IAM, tokens=frozenset({"token-one"})))
    async with Simulator(config) as cloud:
        end = await to_the_end(wave(tmp_path, cloud, nowhere))
        assert end.status.created == ENTRIES


async def test_a_wave_that_is_done_asks_for_no_credential(tmp_path: Path) -> None:
    manifest(tmp_path, projects=2)
    key = sources({"BATCHER_AK": "AKGOOD", "BATCHER_SK": "sk-good"}, tmp_path)
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        await to_the_end(wave(tmp_path, cloud, key))
        again = wave(tmp_path, cloud, sources({}, tmp_path))
        end = await to_the_end(again)
    assert end.status.created == ENTRIES
    assert not again.credentials


def test_signals_are_heard_while_a_secret_is_waited_for(tmp_path: Path) -> None:
    """A pipe that nobody writes to: the second Ctrl-C leaves at once, instead of after the patience with the pipe."""
    os.mkfifo(tmp_path / "token")
    manifest = write_manifest(tmp_path / "wave.csv", ["job-1"])
    program = Program(
        ["run", manifest, "-o", tmp_path / "results.jsonl"],
        folder=tmp_path,
        environment={
            "BATCHER_ENDPOINT": "http://127.0.0.1:1",
            "BATCHER_PROJECT_ID": "p",
            "BATCHER_TOKEN_FILE": str(tmp_path / "token"),
        },
    )
    wait_until((tmp_path / "results.jsonl").exists)
    program.signal(signal.SIGINT)
    wait_until(lambda: "SIGINT" in program.told)
    program.signal(signal.SIGINT)
    assert program.end().code in (130, -signal.SIGINT)
