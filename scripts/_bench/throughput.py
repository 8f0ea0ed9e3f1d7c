"""Throughput without a limit, against its peers in the same run: a bare aiohttp loop, the script that people copy
(a semaphore around aiohttp), the official SDK in threads, and curl.

Twice: with a server that answers at once, which shows what an entry costs; and with one that takes 20 ms, as a cloud
would at its very quickest, which is where an operator is.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _bench.common import Row, at_most, child, cloud, medians, request

_CONCURRENCY = 32
_QUICKEST_S = 0.02


def rows(*, quick: bool) -> Iterator[Row]:
    """Each contestant takes its turn, several times over, so that a machine that drifts drifts for all."""
    entries, rounds = (3_000, 3) if quick else (8_000, 5)
    runs: dict[str, list[dict[str, float]]] = {}
    with cloud() as port:
        for _ in range(rounds):
            for name, figures in _round(port, entries):
                runs.setdefault(name, []).append(figures)
    found = {name: medians(figures) for name, figures in runs.items()}
    yield from _as_to_a_cloud(entries)
    base, wave = found["bare"], found["wave"]
    yield at_most(
        "wall time of a wave / bare aiohttp loop, answers at once",
        wave["wall_s"] / base["wall_s"],
        1.7,
        raw=dict(wave),
    )
    yield at_most("CPU time of a wave / bare aiohttp loop", wave["cpu_s"] / base["cpu_s"], 1.6, raw=dict(wave))
    sending_s = wave["wall_s"] - wave["open_s"]
    yield Row(subject="the same, once the manifest is checked", figure=f"{sending_s / base['wall_s']:.2f} x")
    for name, title in _TITLES.items():
        if name in found:
            yield _speed(title, found[name], base)
    for name in ("bare", "script", "wave", "uvloop"):
        yield Row(
            subject=f"CPU and collections of garbage, {_TITLES[name]}",
            figure=f"{found[name]['cpu_us_per_entry']:.0f} µs an entry, "
            f"{found[name]['collections_per_1000']:.1f} in 1000 entries",
            raw=dict(found[name]),
        )


def _as_to_a_cloud(entries: int) -> Iterator[Row]:
    arguments: dict[str, Any] = {"entries": entries, "concurrency": _CONCURRENCY}
    with cloud(delay_s=_QUICKEST_S) as port:
        pairs = [(child("bare", port=port, **arguments), child("wave", port=port, **arguments)) for _ in range(3)]
    base, wave = (medians(runs) for runs in zip(*pairs, strict=True))
    which = f"answers after {_QUICKEST_S * 1000:.0f} ms"
    yield at_most(f"wall time of a wave / bare aiohttp loop, {which}", wave["wall_s"] / base["wall_s"], 1.0, raw=wave)
    yield Row(
        subject=f"requests a second, bare and batcher, {which}", figure=f"{base['per_s']:,.0f} and {wave['per_s']:,.0f}"
    )


_TITLES = {
    "bare": "bare aiohttp loop",
    "wave": "batcher, journal on",
    "uvloop": "batcher on uvloop, journal on",
    "script": "a semaphore around aiohttp, the script that people copy",
    "sdk": "official SDK, 32 threads",
    "curl": "curl --parallel",
}


def _speed(title: str, figures: dict[str, float], base: dict[str, float]) -> Row:
    relative = figures["per_s"] / base["per_s"]
    return Row(
        subject=f"requests a second, {title}", figure=f"{figures['per_s']:,.0f}/s, {relative:.2f} x", raw=figures
    )


def _round(port: int, entries: int) -> Iterator[tuple[str, dict[str, float]]]:
    arguments: dict[str, Any] = {"port": port, "entries": entries, "concurrency": _CONCURRENCY}
    yield "bare", child("bare", **arguments)
    yield "wave", child("wave", **arguments)
    yield "uvloop", child("wave", **arguments, loop="uvloop")
    yield "script", child("script", **arguments)
    yield "sdk", child("sdk", **{**arguments, "entries": entries // 5})
    if curl := shutil.which("curl"):
        yield "curl", _curl(curl, port, entries // 5)


def _curl(curl: str, port: int, entries: int) -> dict[str, float]:
    """One curl for all requests, which is how it is fastest; a loop of curls starts a process for each."""
    url = f"http://127.0.0.1:{port}/v3/p/jobs/create-compare-task"
    with TemporaryDirectory() as folder:
        config = Path(folder, "requests")
        one = 'url = "{url}"\nheader = "Content-Type: application/json"\ndata = {body}\noutput = "/dev/null"\n'
        bodies = (json.dumps(json.dumps(request(index))) for index in range(entries))
        config.write_text("next\n".join(one.format(url=url, body=body) for body in bodies))
        began = time.perf_counter()
        command = [
            curl,
            "--silent",
            "--no-progress-meter",
            "--parallel",
            "--parallel-max",
            str(_CONCURRENCY),
            "--config",
            str(config),
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall = time.perf_counter() - began
    return {"wall_s": wall, "per_s": entries / wall}
