"""`batcher submit` over ways as there are: through a proxy, behind TLS, over connections that break; and what is in the
way on this side.
"""

import random
import resource
from pathlib import Path

import orjson
import pytest

from batcher import exits
from batcher.client.errors import ServiceRefused
from batcher.client.problems import findings_of, refused
from batcher.service.models import State
from batcher.simulator.faults import Script
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.client.between import PEM, between
from tests.client.commands import attached, batcher, lines_at, start
from tests.service.conftest import CLOUD
from tests.service.serving import csv, serving


def lines_of(path: Path) -> list[int]:
    return [orjson.loads(line)["index"] for line in path.read_bytes().splitlines()]


async def test_connections_that_break_anywhere_lose_and_double_no_line(cloud: Simulator, tmp_path: Path) -> None:
    manifest, results, rng = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl", random.Random(14)
    manifest.write_bytes(csv(120))
    async with (
        serving(tmp_path / "data") as served,
        between(served.url, cut_after=lambda: rng.randrange(300, 9000)) as url,
    ):
        code, _, err = await batcher("submit", manifest, "--follow", "--wait", "--rate", "80/s", "--service", url)
        assert code == 0, err
        folder = served.data / "waves" / attached(results)["wave"]
        assert results.read_bytes() == (folder / "results.jsonl").read_bytes()
        verdicts = tmp_path / "wave.results.verdicts.jsonl"
        assert verdicts.read_bytes() == (folder / "results.verdicts.jsonl").read_bytes()
        assert len((await served.get("/v1/waves"))["waves"]) == 1


async def test_a_service_behind_tls_is_trusted_by_its_authority_alone(cloud: Simulator, tmp_path: Path) -> None:
    manifest = tmp_path / "wave.csv"
    manifest.write_bytes(csv(3))
    async with serving(tmp_path / "data") as served, between(served.url, tls=True) as url:
        code, _, err = await batcher("submit", manifest, "--follow", "--service", url)
        assert (code, "cannot be trusted" in err, "--ca-bundle" in err) == (2, True, True)
        code, _, err = await batcher("submit", manifest, "--follow", "--service", url, "--ca-bundle", PEM)
        assert code == 0, err
        code, _, err = await batcher("gate", "--service", url, attached(tmp_path / "wave.results.jsonl")["wave"])
        assert (code, "--ca-bundle" in err) == (2, True)


async def test_a_service_is_reached_through_a_proxy(cloud: Simulator, tmp_path: Path) -> None:
    manifest = tmp_path / "wave.csv"
    manifest.write_bytes(csv(3))
    async with serving(tmp_path / "data") as served, between(served.url, is_proxy=True) as proxy:
        code, _, err = await batcher("submit", manifest, "--follow", "--service", served.url, "--proxy", proxy)
        assert code == 0, err


async def test_a_wave_that_is_unsettled_ends_with_4_and_is_settled_there(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, results, table = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl", tmp_path / "decisions.csv"
    manifest.write_bytes(csv(3))
    faults = Script(creates=("reset-after",))
    async with Simulator(ServiceConfig(cloud=CLOUD, faults=faults)) as lossy:
        monkeypatch.setenv("BATCHER_ENDPOINT", lossy.url)
        async with serving(tmp_path / "data") as served:
            follow = ("submit", manifest, "--follow", "--reconcile", "off", "--service", served.url)
            code, _, err = await batcher(*follow)
            wave = attached(results)["wave"]
            at = ("--service", served.url, wave)
            assert code == exits.UNSETTLED
            assert f"batcher explain --service {served.url} {wave} --key k" in err
            table.write_text("key,as\nk0,failed\nk1,failed\nnobody,failed\n")
            code, _, err = await batcher("settle", *at, "--from", table)
            assert (code, f"{table}, line 4" in err, "Nothing was decided" in err) == (2, True, True)
            table.write_text("key,as\nk0,failed\nk1,failed\n")
            code, _, err = await batcher("settle", *at, "--from", table)
            assert (code, err.count("failed now")) == (0, 2)
            assert (await batcher("settle", *at, "--key", "k1", "--undo"))[0] == 0
            counts = (await served.get(f"/v1/waves/{wave}"))["counts"]
            assert (counts["failed"], counts["unsettled"]) == (1, 2)
            code, out, _ = await batcher("gate", results)
            code, out, _ = await batcher(*follow, "--json")
            assert (code, orjson.loads(out)["by_status"]["failed"]) == (exits.UNSETTLED, 1)
            assert [orjson.loads(line)["status"] for line in results.read_bytes().splitlines()].count("failed") == 1


def test_of_more_findings_than_anybody_reads_the_first_are_told() -> None:
    """The answer breaks off where the client reads no further: what came of it is what `check` would print first."""
    findings = [
        {
            "index": n,
            "line": n + 2,
            "column": None,
            "field": "job_id",
            "value": None,
            "problem": 'says "findings":[',
            "mend": "Mend it",
        }
        for n in range(5)
    ]
    head = b'{"type":"about:blank","detail":"The manifest has 900 findings.","count":900,"sound":7,"findings":[\n'
    body = head + b",\n".join(map(orjson.dumps, findings))
    for end in range(len(head), len(body)):
        error = refused("http://127.0.0.1", 422, "application/problem+json", None, body[:end])
        assert isinstance(error, ServiceRefused)
        if error.findings:
            assert (error.findings, error.count, error.sound) == (findings[: len(error.findings)], 900, 7)
    assert len(error.findings) == 4
    found = findings_of(error, "wave.csv")
    assert (found.count, found.left_out, len(found.first)) == (900, 896, 4)


async def test_a_disk_that_is_full_here_leaves_the_wave_and_whole_lines(cloud: Simulator, tmp_path: Path) -> None:
    manifest, results = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl"
    manifest.write_bytes(csv(60))
    async with serving(tmp_path / "data") as served:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, before[1]))
        try:
            client = await start("submit", manifest, "--follow", "--service", served.url)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        code, _, err = await client.end()
        assert (code, "the service has every line" in err) == (exits.STOPPED, True), err
        left = results.read_bytes()
        assert (len(left) <= 9000, left == b"" or left.endswith(b"\n")) == (True, True)
        wave = attached(results)["wave"]
        await served.until(wave, State.ENDED)
        code, _, err = await batcher("submit", manifest, "--follow", "--service", served.url)
        assert (code, sorted(lines_of(results))) == (0, list(range(60))), err


async def test_results_that_are_there_already_are_nobodys_to_write_over(cloud: Simulator, tmp_path: Path) -> None:
    manifest, results = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl"
    manifest.write_bytes(csv(2))
    results.write_text("somebody's own\n")
    async with serving(tmp_path / "data") as served:
        code, _, err = await batcher("submit", manifest, "--follow", "--service", served.url)
        assert (code, "is there already" in err) == (2, True)
        assert results.read_text() == "somebody's own\n"
        assert (await served.get("/v1/waves"))["waves"] == []


async def test_a_token_that_is_revoked_midway_is_told_and_the_wave_goes_on(cloud: Simulator, tmp_path: Path) -> None:
    manifest, results, tokens = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl", tmp_path / "tokens"
    manifest.write_bytes(csv(60))
    for name in ("portal", "other"):
        _, token, _ = await batcher("token", "new", name, "--role", "submit", "--tokens", tokens)
        (tmp_path / name).write_text(token)
    async with serving(tmp_path / "data", tokens=tokens) as served:
        follow = ("submit", manifest, "--follow", "--rate", "20/min", "--service", served.url, "--service-token-file")
        client = await start(*follow, tmp_path / "portal")
        await lines_at(results, 1)
        assert (await batcher("token", "revoke", "portal", "--tokens", tokens))[0] == 0
        code, _, err = await client.end()
        assert (code, "does not know who asks" in err) == (exits.STOPPED, True), err
        wave = attached(results)["wave"]
        assert f"Wave {wave} goes on at the service" in err, err
        headers = {"Authorization": f"Bearer {(tmp_path / 'other').read_text().strip()}"}
        hurry = {"rate": "200/s", "read_rate": "200/s"}
        async with served.client.patch(f"/v1/waves/{wave}", json=hurry, headers=headers) as hurried:
            assert hurried.status == 200
        code, _, err = await batcher(*follow, tmp_path / "other")
        assert (code, sorted(lines_of(results))) == (0, list(range(60))), err
