"""Handing in a wave: what is taken, what is not, and what is said then."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from aiohttp import FormData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.service.given import REFUSED, TAKEN, ServedProfiles, settings_from
from batcher.service.limits import ServiceLimits
from batcher.service.models import State
from batcher.service.problem import Problem
from batcher.settings import RunSettings
from batcher.simulator.ledger import creations
from batcher.simulator.server import Simulator
from tests.service.serving import CSV, Serving, csv, serving

BAD = b"""job_id,object_level_compare_type,compare_type,key
job-1,objekts,,k1
,objects,,k2
job-3,objects,contents,k3
job-1,objects,,k1
"""


async def refused(service: Serving, status: int, body: bytes, query: str = "", **headers: str) -> dict[str, Any]:
    """What is said to a manifest that is not taken."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.client.post(f"/v1/waves?{query}", data=body, headers={**CSV, **named}) as answer:
        said: dict[str, Any] = orjson.loads(await answer.read())
        assert (answer.status, answer.content_type) == (status, "application/problem+json"), said
        assert said["status"] == status
    assert (await service.get("/v1/waves"))["waves"] == []
    assert [path for folder in ("incoming", "waves") for path in (service.data / folder).iterdir()] == []
    return said


async def test_findings_are_those_of_check(cloud: Simulator, tmp_path: Path) -> None:
    """The same words and places, each with all its members; nothing is kept."""
    (tmp_path / "bad.csv").write_bytes(BAD)
    check = [sys.executable, "-m", "batcher", "check", "bad.csv", "--json"]
    told = orjson.loads((await asyncio.to_thread(subprocess.run, check, capture_output=True, check=False)).stdout)
    async with serving(tmp_path / "data") as service:
        said = await refused(service, 422, BAD)
    names = ("index", "line", "column", "field", "value", "problem", "mend")
    assert said["findings"] == [{name: finding[name] for name in names} for finding in told["findings"]]
    assert said["count"] == len(said["findings"]) >= 4
    assert list(creations(cloud.ledger)) == []


async def test_a_manifest_full_of_findings_is_answered_with_all_of_them(cloud: Simulator, tmp_path: Path) -> None:
    rows = b"".join(b"job-%d,nonsense\n" % number for number in range(3000))
    async with serving(tmp_path / "data") as service:
        said = await refused(service, 422, b"job_id,object_level_compare_type\n" + rows)
    assert (said["count"], len(said["findings"]), said["findings"][-1]["index"]) == (3000, 3000, 2999)


async def test_what_is_no_manifest_is_told_apart(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data", limits=ServiceLimits(upload_bytes=4000, entries=5)) as service:
        assert (await refused(service, 422, b""))["findings"][0]["problem"]
        assert "text/csv" in (await refused(service, 415, b"x", Content_Type="application/xml"))["detail"]
        assert "4,000 bytes" in (await refused(service, 413, b"x" * 5000))["detail"]
        assert "5 entries" in (await refused(service, 413, csv(6)))["detail"]
        assert "UTF-16" in (await refused(service, 422, b"\xff\xfej\x00"))["findings"][0]["problem"]
        async with service.client.post("/v1/waves", data=FormData({"file": "x"})) as answer:
            assert answer.status == 415


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'[{"job_id": "j", "object_level_compare_type": "objects"}]'),
        ("application/x-ndjson", b'{"job_id": "j", "object_level_compare_type": "objects"}\n'),
        ("text/csv; charset=gb18030", "job_id,object_level_compare_type,label.名\nj,objects,值\n".encode("gb18030")),
    ],
)
async def test_every_format_is_run_and_given_back(
    cloud: Simulator, tmp_path: Path, content_type: str, body: bytes
) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(body, headers={"Content-Type": content_type})
        assert (await service.until(wave["id"], State.ENDED))["counts"]["created"] == 1
        async with service.client.get(f"/v1/waves/{wave['id']}/manifest") as answer:
            assert (await answer.read(), answer.content_type) == (body, content_type.partition(";")[0])
        (entry,) = (await service.get(f"/v1/waves/{wave['id']}/entries"))["entries"]
        assert entry["labels"] == ({"名": "值"} if "csv" in content_type else {})


async def test_a_repeated_key_is_the_same_wave_also_at_the_same_moment(cloud: Simulator, tmp_path: Path) -> None:
    key = {"Idempotency-Key": "7"}
    async with serving(tmp_path / "data") as service:
        waves = await asyncio.gather(*(service.submit(csv(3), headers=key) for _ in range(4)))
        assert len({wave["id"] for wave in waves}) == 1
        async with service.client.post("/v1/waves", data=csv(3), headers={**CSV, **key}) as answer:
            assert (answer.status, answer.headers["Location"]) == (200, f"/v1/waves/{waves[0]['id']}")
        async with service.client.post("/v1/waves", data=csv(4), headers={**CSV, **key}) as answer:
            assert answer.status == 409
            assert "another manifest" in (await answer.json())["detail"]
        assert (await service.submit(csv(3)))["id"] != waves[0]["id"]  # without a key it is a new one
        await service.until(waves[0]["id"], State.ENDED)
    assert len(list((tmp_path / "data" / "waves").iterdir())) == 2


async def test_settings_are_those_of_run_and_the_operators_are_refused(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        for name, value, problem in (
            ("rate", "fast", "is no rate"),
            ("rate", "300/s", "above what this service allows"),
            ("rate", "off", "above what this service allows"),
            ("attempts", "0", "must be at least 1"),
            ("reconcile", "windo", "must be one of"),
            ("rte", "5/s", "is no parameter"),
            ("priority", "101", "not valid"),
            ("profile", "prod", "is no profile that this service offers"),
            ("region", "eu-west-101", "names an endpoint"),
            ("digest", f"sha256:{'0' * 64}", "is not that of this manifest"),
            *((name, "x", "cannot be set by a request") for name in REFUSED),
        ):
            said = await refused(service, 422, csv(2), f"{name}={quote(value)}")
            (found,) = said["findings"]
            assert (found["field"], found["index"]) == (name, None)
            assert problem in found["problem"]
            assert found["mend"]
        misfit = await refused(service, 422, csv(2), "connect_timeout=20s&timeout=10s")
        assert "connecting is part of an attempt" in misfit["findings"][0]["problem"]
        assert "more than once" in (await refused(service, 422, csv(2), "name=a&name=b"))["findings"][0]["problem"]


async def test_an_address_that_only_a_manifest_names_gets_nothing(cloud: Simulator, tmp_path: Path) -> None:
    """The service's credentials, and requests from inside its network, go where its operator says."""
    manifest = b"job_id,object_level_compare_type,endpoint\njob-1,objects,https://169.254.1.1\n"
    async with serving(tmp_path / "data") as service:
        (found,) = (await refused(service, 422, manifest))["findings"]
        assert (found["field"], found["value"], found["line"]) == ("endpoint", "https://169.254.1.1", 2)


async def test_skip_invalid_takes_the_others(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(BAD, "skip_invalid=true")
        ended = await service.until(wave["id"], State.ENDED)
        assert (ended["exit_code"], ended["entries"]) == (1, 4)
        page = await service.get(f"/v1/waves/{wave['id']}/entries?status=invalid")
        assert page["total"] == ended["counts"]["invalid"] > 0


@given(name=st.sampled_from(TAKEN), value=st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_of_any_setting_is_taken_as_run_takes_it_or_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("BATCHER_CONFIG", "")
    findings: list[dict[str, Any]] = []
    try:
        taken = settings_from(ServedProfiles(), None, {name: value}).settings
    except Problem as problem:
        findings = problem.more["findings"]
    else:
        assert getattr(taken, name) == getattr(RunSettings(**{name: value}), name)
    for found in findings:
        assert set(found) == {"index", "line", "column", "field", "value", "problem", "mend"}
        assert found["problem"]
        assert found["mend"]
