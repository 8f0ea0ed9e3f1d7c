"""`batcher demo --serve`: the service over a simulated cloud, with a wave that runs and one that waits to be let go."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from batcher import logs, streams
from batcher.cli.loops import quickest_loop
from batcher.cli.show.terminal import Screen
from batcher.cli.signals import caught
from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.rehearsal import sample
from batcher.service.given import ServedProfiles
from batcher.service.kept.folders import DataFolder
from batcher.service.server import Ending, Options, serve
from batcher.simulator.server import Simulator

_SPEED = 240.0  # comparisons run so many times as fast: verdicts come while somebody looks
_CONFIG = """# Of batcher demo --serve: leads to its simulated cloud, and nowhere else.
endpoint = "{endpoint}"
rate = "{rate}"
timeout = "5s"
landing_time = "3s"
poll = "1s"
"""
_WAVES: tuple[Mapping[str, str], ...] = (
    {"name": "night-1", "wait": "true", "rate": "3/s"},
    {"name": "night-2, to be started by you", "wait": "true", "start": "false"},
)


def serve_demo(folder: Path, host: str, port: int, seed: int, err: Screen) -> None:
    """Serve from *folder* until Ctrl-C. Raises `UserError`."""
    data = folder / "service"
    with DataFolder(data):
        pass  # nobody else serves it
    shutil.rmtree(data)
    manifest = folder / "wave.csv"
    manifest.write_text(sample.manifest_csv(utc_now(), scheduled=False), encoding="utf-8-sig", newline="")
    body = manifest.read_bytes()
    logs.configure("console", "error", color=False)
    with streams.never_waiting(), asyncio.Runner(loop_factory=quickest_loop()) as runner:
        runner.run(_serve(folder, data, body, (host, port), seed, err))


async def _serve(folder: Path, data: Path, body: bytes, place: tuple[str, int], seed: int, err: Screen) -> None:
    ending = Ending()
    tasks: list[asyncio.Task[None]] = []

    def serving(url: str) -> None:
        tasks.append(asyncio.create_task(_hand_in(url, body, folder / "wave.csv", err)))
        tasks[-1].add_done_callback(lambda task: None if task.cancelled() or not task.exception() else ending.tell())

    async with Simulator(sample.cloud(seed, speed=_SPEED)) as cloud:
        config = folder / "batcher.toml"
        config.write_text(_CONFIG.format(endpoint=cloud.url, rate=sample.LIMIT), encoding="utf-8")
        _forget_other_clouds()
        options = Options(host=place[0], port=place[1], data=data, service=ServedProfiles(config=config), grace_s=5.0)
        with caught(lambda _: ending.tell()):
            await serve(options, ending, serving)
        err.say()
        err.say(f"  Ended. Its files are in {folder}/, which the next demo replaces.")
    for task in tasks:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


def _forget_other_clouds() -> None:
    """Whatever this process's environment says of a real cloud, the demo goes to its own."""
    for name in [name for name in os.environ if name.startswith("BATCHER_")]:
        del os.environ[name]
    os.environ["BATCHER_TOKEN"] = "demo"  # noqa: S105 - the simulated cloud takes any


async def _hand_in(url: str, body: bytes, manifest: Path, err: Screen) -> None:
    """Hand the demo's waves in, and say where to look. Raises `UserError`."""
    async with aiohttp.ClientSession(url) as client:
        for query in _WAVES:
            async with client.post(
                "/v1/waves", params=query, data=body, headers={"Content-Type": "text/csv"}
            ) as answer:
                if answer.status != 201:
                    raise UserError(f"the service refused the demo's wave: {await answer.text()}")
    err.say()
    err.say((f"  Open {url} in a browser", "bold"))
    err.say("  · night-1 runs through a simulated cloud on a bad day: watch its pace, its trouble and its verdicts")
    err.say("  · night-2 waits for you: look at its requests, start it, pause it, change its rate, stop it")
    err.say(f"  · drop {manifest} on the page, whole or with something wrong in it, to see it checked")
    err.say()
    err.say("  No cloud is touched. Ctrl-C ends it.")
