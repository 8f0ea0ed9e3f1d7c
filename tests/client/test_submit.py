"""`batcher submit`: as `run`, through whatever happens to the service, the client and what is between them."""

import asyncio
import os
import signal
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from batcher.service.models import State
from batcher.simulator.server import Simulator
from tests.client.commands import attached, batcher, lines_at, serving_with, start
from tests.service.serving import Process, csv, serving


def indexes(path: Path) -> list[int]:
    return [orjson.loads(line)["index"] for line in path.read_bytes().splitlines()]


async def test_following_a_wave_gives_the_file_and_the_codes_of_run(cloud: Simulator, tmp_path: Path) -> None:
    manifest, results = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl"
    manifest.write_bytes(csv(20) + b"gone-1,objects,gone\n")
    async with serving(tmp_path / "data") as served:
        code, out, err = await batcher("submit", manifest, "--follow", "--json", BATCHER_SERVICE=served.url)
        said = orjson.loads(out)
        assert (code, said["exit_code"], said["by_status"]["created"]) == (1, 1, 20)
        assert results.read_bytes() == (served.data / "waves" / said["wave"] / "results.jsonl").read_bytes()
        assert f"batcher explain --service {served.url} {said['wave']} --key gone" in err
        code, out, _ = await batcher("submit", manifest, "--follow", "--json", "--service", served.url)
        assert (code, orjson.loads(out)["wave"]) == (1, said["wave"])
        changed = "settings that are typed now change nothing"
        for rate, is_said in (((), False), (("--rate", "5/s"), True)):
            _, _, err = await batcher("submit", manifest, "--service", served.url, *rate)
            assert (changed in err) is is_said
        assert len((await served.get("/v1/waves"))["waves"]) == 1


async def test_verdicts_come_beside_the_results_and_decide_the_code(cloud: Simulator, tmp_path: Path) -> None:
    manifest = tmp_path / "wave.csv"
    manifest.write_bytes(
        b"job_id,object_level_compare_type,compare_type,conflict_policy,compare_object_infos,key\n"
        b"differs-1,,lines,cancel,shop,d\njob-1,objects,,,,a\njob-2,objects,,,,b\n"
    )
    async with serving(tmp_path / "data") as served:
        code, out, err = await batcher("submit", manifest, "--follow", "--wait", "--json", "--service", served.url)
        said = orjson.loads(out)
        folder = served.data / "waves" / said["wave"]
        assert (code, said["gate"]["verdict"]) == (1, "NO-GO")
        verdicts = (tmp_path / "wave.results.verdicts.jsonl").read_bytes()
        assert verdicts.count(b"\n") == 3
        assert verdicts == (folder / "results.verdicts.jsonl").read_bytes()
        assert "NO-GO  1 of 3 entries stands in the way" in err
        accepted = tmp_path / "accepted.csv"
        accepted.write_text("job_id,database,table,reason,expires\ndiffers-1,shop,orders,known,2099-01-01\n")
        again = ("submit", manifest, "--follow", "--service", served.url, "--allow-inconsistent", accepted)
        assert (await batcher(*again))[0] == 0


@pytest.mark.slow
async def test_no_line_is_doubled_or_missing_whoever_is_killed(cloud: Simulator, tmp_path: Path) -> None:
    data, manifest, results = tmp_path / "data", tmp_path / "wave.csv", tmp_path / "wave.results.jsonl"
    manifest.write_bytes(csv(150))
    service = await asyncio.to_thread(Process, data)
    port = service.url.rpartition(":")[2]
    arguments = ("submit", manifest, "--follow", "--rate", "40/s", "--service", service.url)

    def killed() -> None:
        service.kill()
        assert service.process.stderr is not None
        service.process.stderr.close()

    try:
        client = await start(*arguments)
        await lines_at(results, 20)
        killed()  # in mid-follow
        service = await asyncio.to_thread(Process, data, "--listen", f"127.0.0.1:{port}")
        await lines_at(results, 60)
        client.signal(signal.SIGKILL)
        await client.end()
        os.truncate(results, results.stat().st_size - 7)  # as a power cut may leave it
        client = await start(*arguments)
        await lines_at(results, 100)
        killed()
        service = await asyncio.to_thread(Process, data, "--listen", f"127.0.0.1:{port}")
        code, _, err = await client.end()
        assert code == 0, err
        assert sorted(indexes(results)) == list(range(150))
        kept = data / "waves" / attached(results)["wave"] / "results.jsonl"
        assert results.read_bytes() == kept.read_bytes()
    finally:
        killed()


async def test_a_killed_hand_in_typed_again_is_the_same_wave(cloud: Simulator, tmp_path: Path) -> None:
    """The key is on disk before the manifest leaves: also where the answer was lost, there is one wave."""
    manifest, results = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl"
    manifest.write_bytes(csv(3))
    async with serving(tmp_path / "data") as served:
        assert (await batcher("submit", manifest, "--service", served.url))[0] == 0
        known = attached(results)
        beside = tmp_path / "wave.results.service.json"
        beside.write_bytes(beside.read_bytes().splitlines(keepends=True)[0] + b'{"wave":')  # the answer never came
        code, out, _ = await batcher("submit", manifest, "--service", served.url, "--follow", "--json")
        assert (code, orjson.loads(out)["wave"]) == (0, known["wave"])
        manifest.write_bytes(csv(4))
        code, _, err = await batcher("submit", manifest, "--service", served.url)
        assert code == 2
        assert "belongs to a wave of another manifest" in err
        code, _, err = await batcher("submit", manifest, "--service", served.url, "--restart", "--follow")
        assert (code, indexes(results) and sorted(indexes(results))) == (0, [0, 1, 2, 3]), err
        assert len((await served.get("/v1/waves"))["waves"]) == 2


async def test_ctrl_c_leaves_the_wave_and_says_how_to_come_back(cloud: Simulator, tmp_path: Path) -> None:
    manifest, results = tmp_path / "wave.csv", tmp_path / "wave.results.jsonl"
    manifest.write_bytes(csv(60))
    async with serving(tmp_path / "data") as served:
        client = await start("submit", manifest, "--follow", "--rate", "30/s", "--service", served.url)
        await lines_at(results, 5)
        client.signal(signal.SIGINT)
        code, _, err = await client.end()
        wave = attached(results)["wave"]
        assert code == 130
        assert f"Wave {wave} goes on at the service." in err
        assert f"batcher control --service {served.url} {wave} stop" in err
        assert (await served.until(wave, State.ENDED))["counts"]["created"] == 60
        code, _, err = await batcher("submit", manifest, "--follow", "--rate", "30/s", "--service", served.url)
        assert (code, "change nothing" in err, sorted(indexes(results))) == (0, False, list(range(60)))


async def test_findings_are_those_of_check_and_nothing_is_kept(cloud: Simulator, tmp_path: Path) -> None:
    manifest = tmp_path / "wave.csv"
    manifest.write_bytes(b"job_id,object_level_compare_type,key\njob-1,objekts,a\n,objects,b\njob-2,objects,c\n")
    async with serving(tmp_path / "data") as served:
        code, _, err = await batcher("submit", manifest, "--service", served.url)
        _, found, _ = await batcher("check", manifest)
        assert code == 2
        assert found.strip() in err
        assert "nothing was sent" in err
        manifest.write_bytes(csv(1))
        assert (await batcher("submit", manifest, "--service", served.url))[0] == 0


async def test_the_token_goes_to_no_other_host(tmp_path: Path, elsewhere: None) -> None:
    manifest, seen = tmp_path / "wave.csv", []
    manifest.write_bytes(csv(1))

    async def taken(request: web.Request) -> web.Response:
        seen.append(request.headers)
        return web.Response()

    async def leads_away(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer batcher_abcdefgh"
        raise web.HTTPTemporaryRedirect(f"{other}{request.path}")

    async with serving_with(taken) as other, serving_with(leads_away) as url:
        code, _, err = await batcher("submit", manifest, "--service", url, BATCHER_SERVICE_TOKEN="batcher_abcdefgh")
    assert code == 2
    assert seen == []
    assert "leads elsewhere" in err
    assert "abcdefgh" not in err


async def test_without_tls_it_goes_to_this_machine_alone(tmp_path: Path, elsewhere: None) -> None:
    (tmp_path / "wave.csv").write_bytes(csv(1))
    code, _, err = await batcher("submit", "wave.csv", "--service", "http://batcher.example.com")
    assert code == 2
    assert "would travel in the clear" in err


async def test_a_token_that_the_service_does_not_know_is_refused(cloud: Simulator, tmp_path: Path) -> None:
    manifest, tokens = tmp_path / "wave.csv", tmp_path / "tokens"
    manifest.write_bytes(csv(1))
    _, token, _ = await batcher("token", "new", "portal", "--role", "submit", "--tokens", tokens)
    (tmp_path / "token").write_text(token)
    async with serving(tmp_path / "data", tokens=tokens) as served:
        code, _, err = await batcher("submit", manifest, "--service", served.url, BATCHER_SERVICE_TOKEN="batcher_wrong")
        assert code == 2
        assert "does not know who asks" in err
        there = ("submit", manifest, "--follow", "--service", served.url, "--service-token-file", tmp_path / "token")
        code, _, err = await batcher(*there)
        assert code == 0, err
