"""Commands over waves of a service, and the service from Python."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher import BadManifest, Service, UserError
from batcher.service.given import ServedProfiles
from batcher.service.models import State
from batcher.simulator.server import Simulator
from tests.client.commands import attached, batcher, lines_at, start
from tests.service.serving import ROOT, csv, serving


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
        code, out, _ = await batcher("waves", "--service", served.url, "--workers", "--json")
        (worker,) = orjson.loads(out)["workers"]
        assert (code, worker["id"]) == (0, (await served.get("/v1/workers"))["workers"][0]["id"])
        code, out, _ = await batcher("waves", "--service", served.url, "--workers")
        assert (code, worker["id"] in out, "it has no scope at the moment" in out) == (0, True, True)
        assert (await batcher("waves", "--service", served.url, "--workers", "--all"))[0] == 2


ACCEPTED = "job_id,database,table,reason,expires\ndiffers-1,shop,orders,known,2099-01-01\n"
DIFFERS = (
    b"job_id,object_level_compare_type,compare_type,conflict_policy,compare_object_infos,key\n"
    b"differs-1,,lines,cancel,shop,d\njob-1,objects,,,,a\n"
)


async def test_the_gate_of_a_service_is_its_own_word_wherever_it_is_told(cloud: Simulator, tmp_path: Path) -> None:
    """What the service's configuration accepts is accepted: by `gate`, `watch`, `submit --follow`, and over copies."""
    accepted, config, manifest = tmp_path / "accepted.csv", tmp_path / "service.toml", tmp_path / "wave.csv"
    accepted.write_text(ACCEPTED)
    config.write_text(f'allow_inconsistent = "{accepted}"\n')
    manifest.write_bytes(DIFFERS)
    async with serving(tmp_path / "data", service=ServedProfiles(config=config)) as served:
        wave = await served.submit(DIFFERS, "name=night-3&wait=true")
        await served.until(wave["id"], State.ENDED)
        (tmp_path / "nothing.csv").write_text("job_id,database,table,reason,expires\n")
        at = ("--service", served.url, "night-3")
        code, out, _ = await batcher("gate", *at)
        assert (code, out.splitlines()[0]) == (0, "GO  2 entries: nothing stands in the way, 1 difference accepted")
        code, out, _ = await batcher("gate", *at, "--json")
        assert (code, orjson.loads(out)) == (0, await served.get(f"/v1/waves/{wave['id']}/gate"))
        assert str(served.data) not in out
        assert (await batcher("watch", *at))[0] == 0
        junit = tmp_path / "gate.xml"
        assert (await batcher("gate", *at, "--junit", junit))[0] == 0
        assert 'failures="0"' in junit.read_text()
        second = await served.submit(csv(1, first=700), "wait=true")
        await served.until(second["id"], State.ENDED)
        code, out, _ = await batcher("gate", *at, second["id"])
        assert (code, out.splitlines()[0]) == (0, "GO  3 entries: nothing stands in the way, 1 difference accepted")
        code, out, _ = await batcher("gate", *at, "--allow-inconsistent", tmp_path / "nothing.csv")
        assert (code, out.splitlines()[0]) == (1, "NO-GO  1 of 2 entries stands in the way")
        assert f"batcher control --service {served.url} {wave['id']} recheck" in out
        _, out, _ = await batcher("report", *at)
        assert "GO  2 entries" in out
        code, _, err = await batcher("submit", manifest, "--follow", "--wait", "--service", served.url)
        assert (code, "GO  2 entries: nothing stands in the way" in err) == (0, True)


async def test_a_report_of_a_service_is_its_own(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as served:
        wave = await served.submit(DIFFERS, "name=night-3&wait=true")
        await served.until(wave["id"], State.ENDED)
        at, page = ("--service", served.url, "night-3"), tmp_path / "report.html"
        _, out, _ = await batcher("report", *at, "--markdown", "-", "--html", page)
        async with served.client.get(f"/v1/waves/{wave['id']}/report?format=md") as answer:
            assert out == await answer.text()
        told = page.read_text()
        assert told.startswith("<!doctype html>")
        assert f"batcher control {wave['id']} recheck" in told
        _, json, _ = await batcher("report", *at, "--json")
        for text in (told, out, json):
            assert str(served.data) not in text
            assert "batcher serve" not in text
        code, _, _ = await batcher("report", *at, "--differences-csv", tmp_path / "differences.csv")
        assert (code, "orders" in (tmp_path / "differences.csv").read_text()) == (0, True)


async def test_of_a_wave_of_a_service_nobody_looks_for_files(cloud: Simulator, tmp_path: Path) -> None:
    """Neither before it has a line, nor while it runs, nor of the results that `submit` has brought here."""
    manifest = tmp_path / "wave.csv"
    manifest.write_bytes(csv(40))
    async with serving(tmp_path / "data") as served:
        held = await served.submit(csv(3, first=900), "name=held&start=false")
        code, _, err = await batcher("gate", "--service", served.url, "held")
        assert (code, "it has no results yet" in err) == (2, True)
        said = [await batcher("report", "--service", served.url, "held"), await batcher("status", tmp_path)]
        client = await start("submit", manifest, "--follow", "--rate", "20/min", "--service", served.url)
        await lines_at(tmp_path / "wave.results.jsonl", 1)
        wave = attached(tmp_path / "wave.results.jsonl")["wave"]
        code, out, err = await batcher("gate", "--service", served.url, wave)
        assert (code, "40 entries stand in the way" in out) == (1, True)
        assert f"batcher control --service {served.url} {wave} status" in out
        said += [(code, out, err), await batcher("report", "--service", served.url, wave)]
        async with served.client.patch(f"/v1/waves/{wave}", json={"rate": "200/s", "read_rate": "200/s"}) as hurried:
            assert hurried.status == 200
        said.append(await client.end())
        results = tmp_path / "wave.results.jsonl"
        code, out, _ = await batcher("gate", results)
        assert f"batcher gate --service {served.url} {wave}" in " ".join(out.split())
        code, _, err = await batcher("explain", results, "--index", "0")
        assert (code, f"--service {served.url} {wave}" in err) == (2, True)
        for _, out, err in said:
            assert "journal" not in out + err, out + err
        assert held["state"] == "held"


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
        assert (code, "has no decision to take back" in err) == (2, True), err
        code, _, err = await batcher("control", "results.jsonl", "start")
        assert (code, "is for waves of a service" in err) == (2, True)


async def test_the_example_of_the_docs_runs_as_it_stands(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("jobs.csv").write_bytes(csv(3))
    (example,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "service.md").read_text(encoding="utf-8"), re.DOTALL
    )
    async with serving(tmp_path / "data") as served:
        told = example
        for said, here in (("https://batcher.example.com", served.url), ('region="eu-west-101", ', "")):  # no cloud's
            assert said in told
            told = told.replace(said, here)
        body = "\n".join(f"    {line}" for line in told.splitlines())
        names: dict[str, Any] = {}
        exec(compile(f"async def main():\n{body}", "service.md", "exec"), names)  # noqa: S102 - it is our own page
        await names["main"]()
    out = capsys.readouterr().out
    assert ("k0 created" in out, "3 0" in out.splitlines()) == (True, True), out


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
