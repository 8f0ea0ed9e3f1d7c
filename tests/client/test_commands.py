"""Commands over waves of a service, and the service from Python."""

from pathlib import Path

import orjson
import pytest

from batcher import BadManifest, Service, UserError
from batcher.service.models import State
from batcher.simulator.server import Simulator
from tests.client.commands import batcher
from tests.service.serving import csv, serving


async def test_a_wave_of_a_service_stands_where_a_results_file_does(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as served:
        wave = await served.submit(csv(2) + b"gone-1,objects,gone\n", "name=night-3&wait=true")
        await served.until(wave["id"], State.ENDED)
        results, at = served.data / "waves" / wave["id"] / "results.jsonl", ("--service", served.url, "night-3")

        code, out, _ = await batcher("gate", *at)
        there, text, _ = await batcher("gate", results)
        assert (code, out.splitlines()[:2]) == (there, text.splitlines()[:2])
        assert code == 1
        assert (await batcher("watch", *at))[0] == 1

        _, out, _ = await batcher("report", *at, "--json")
        _, text, _ = await batcher("report", results, "--json")
        assert orjson.loads(out)["by_status"] == orjson.loads(text)["by_status"]

        _, out, _ = await batcher("explain", *at, "--key", "gone")
        _, text, _ = await batcher("explain", results, "--key", "gone")
        assert out.splitlines()[2:] == text.splitlines()[2:]

        code, out, _ = await batcher("waves", "--service", served.url, "--json")
        assert (code, [told["name"] for told in orjson.loads(out)["waves"]]) == (0, ["night-3"])
        code, out, _ = await batcher("waves", "--service", served.url)
        assert (code, "night-3" in out, "2 of 3" in out) == (0, True, True)


async def test_a_wave_of_a_service_is_steered(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as served:
        wave = await served.submit(csv(3), "name=night-4&start=false")
        at = ("--service", served.url, "night-4")
        assert (await batcher("control", *at, "start"))[0] == 0
        await served.until(wave["id"], State.ENDED)
        code, _, err = await batcher("control", *at, "pause")
        assert (code, "is not running" in err) == (2, True)
        code, _, err = await batcher("settle", *at, "--index", 0, "--as", "failed")
        assert (code, "nothing to decide" in err) == (2, True)
        code, _, err = await batcher("settle", *at, "--index", 0, "--undo")
        assert (code, "--undo says nothing about a wave of a service" in err) == (2, True)
        code, _, err = await batcher("control", "results.jsonl", "start")
        assert (code, "is for waves of a service" in err) == (2, True)


async def test_a_name_that_two_waves_have_is_no_name(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as served:
        for _ in range(2):
            await served.submit(csv(1), "name=twice")
        async with Service(served.url) as service:
            with pytest.raises(UserError, match="2 waves named 'twice'"):
                await service.wave("twice")


async def test_the_service_from_python(cloud: Simulator, tmp_path: Path) -> None:
    manifest = tmp_path / "wave.csv"
    manifest.write_bytes(csv(5))
    async with serving(tmp_path / "data") as served, Service(served.url) as service:
        wave = await service.submit(manifest, name="from Python", rate="200/s")
        found = [result.index async for result in wave]
        assert sorted(found) == [0, 1, 2, 3, 4]
        assert (wave.end.status.created, wave.exit_code) == (5, 0)
        manifest.write_bytes(b"job_id,object_level_compare_type\n,objects\n")
        with pytest.raises(BadManifest) as refused:
            await service.submit(manifest)
        assert [finding.line for finding in refused.value.findings] == [2]
