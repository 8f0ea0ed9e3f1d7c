"""Leans on the service: many waves at once, many watchers of whom some read slowly, and clients that misbehave.

Meanwhile connections are opened and left half-way, uploads are cut off, and one manifest of a million entries is handed
in, listed and read back. Then the simulator's ledger is asked whether each comparison was made once and no limit was
exceeded, and the service's files whether every entry has its line. Ends with 0 if all of that holds.

`--cpu` compares the CPU time of one wave through the service with that of `batcher run`, by turns.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import aiohttp
from _serving import BATCHER, PROJECT, Process, request, service, simulator

from batcher.simulator.ledger import AnswerSent, creations, doubles, most_in_window, read_ledger

HEAD = "job_id,project_id,object_level_compare_type\n"
CREATE = frozenset({"create-compare-task"})
PEOPLE = 8  # tokens: each may have some streams open
TICKS = os.sysconf("SC_CLK_TCK")


class Watcher:
    """How the service does, from outside: its memory and CPU time."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @property
    def peak_mb(self) -> float:
        """The most memory that it ever had."""
        return self._kb("VmHWM") / 1024

    @property
    def now_mb(self) -> float:
        """What it has now."""
        return self._kb("VmRSS") / 1024

    @property
    def cpu_s(self) -> float:
        """User and system."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _kb(self, name: str) -> int:
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))


class Load:
    """What is done to the service at *url*, as people with *tokens*."""

    def __init__(self, url: str, tokens: list[str], given: argparse.Namespace) -> None:
        self.url = url
        self.tokens = tokens
        self.given = given
        self.host, self.port = urlsplit(url).hostname or "", urlsplit(url).port or 0
        self.ids: list[str] = []
        self.said: Counter[str] = Counter()

    async def play(self) -> dict[str, float]:
        """All of it; how long the parts took, in seconds."""
        began = time.monotonic()
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self.url, connector=connector, timeout=aiohttp.ClientTimeout(None)) as client:
            self.ids = await asyncio.gather(*(self._submit(client, wave) for wave in range(self.given.waves)))
            submitted = time.monotonic() - began
            async with asyncio.TaskGroup() as group:
                around = [
                    *(group.create_task(self._stream(client, place)) for place in range(self.given.streams)),
                    *(group.create_task(self._half_open(place)) for place in range(self.given.half_open)),
                    *(group.create_task(self._cut_off(place)) for place in range(self.given.cut_off)),
                ]
                large = group.create_task(self._large(client))
                await asyncio.gather(*(self._until_ended(client, wave) for wave in self.ids))
                ended = time.monotonic() - began
                await large
                for task in around:
                    task.cancel()
        return {"handed in": submitted, "all waves ended": ended, "all": time.monotonic() - began}

    def _as(self, place: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[place % len(self.tokens)]}"}

    async def _submit(self, client: aiohttp.ClientSession, wave: int) -> str:
        scope = f"{wave % self.given.scopes:032x}"
        rows = "".join(f"job-{wave}-{row},{scope},objects\n" for row in range(self.given.entries))
        headers = {**self._as(wave), "Content-Type": "text/csv"}
        while True:
            async with client.post("/v1/waves", data=(HEAD + rows).encode(), headers=headers) as answer:
                if answer.status == 201:
                    return str((await answer.json())["id"])
                if answer.status not in (429, 503):
                    raise SystemExit(f"an upload was answered with {answer.status}: {await answer.text()}")
                self.said["uploads that had to wait for a place"] += 1
            await asyncio.sleep(0.5)

    async def _until_ended(self, client: aiohttp.ClientSession, wave: str) -> None:
        while True:
            async with client.get(f"/v1/waves/{wave}", headers=self._as(0)) as answer:
                told = await answer.json()
            if told["state"] in ("ended", "stopped"):
                return
            await asyncio.sleep(2.0)

    async def _stream(self, client: aiohttp.ClientSession, place: int) -> None:
        wave, is_slow = self.ids[place % len(self.ids)], place < self.given.slow
        what = "slow" if is_slow else "quick"
        while True:
            if is_slow:
                path = f"/v1/waves/{wave}/" + ("results?follow=true" if place % 2 else "events")
                await self._read_slowly(path, place)
                await asyncio.sleep(1.0)
                continue
            async with client.get(f"/v1/waves/{wave}/events", headers=self._as(place)) as answer:
                if answer.status != 200:
                    self.said[f"streams answered with {answer.status}"] += 1
                    await asyncio.sleep(1.0)
                    continue
                self.said[f"{what} streams opened"] += 1
                async for line in answer.content:
                    self.said["events read"] += line.startswith(b"event:")
            await asyncio.sleep(0.2)

    async def _read_slowly(self, path: str, place: int) -> None:
        """64 bytes a second, through a small window."""
        reader, writer = await asyncio.open_connection(self.host, self.port, limit=64)
        try:
            head = "".join(f"{name}: {value}\r\n" for name, value in self._as(place).items())
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {self.host}\r\n{head}\r\n".encode())
            self.said["slow streams opened"] += 1
            while await reader.read(64):  # noqa: ASYNC110 - it is slow, and waits for nothing
                await asyncio.sleep(1.0)
        finally:
            writer.transport.abort()

    async def _half_open(self, place: int) -> None:
        """A connection on which nothing comes, or half of the headers; again when it is closed."""
        half = b"POST /v1/waves HTTP/1.1\r\nHost: " if place % 2 else b""
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    writer.write(half)
                    await reader.read()
                    self.said["half-open connections that the service closed"] += 1
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.5)

    async def _cut_off(self, place: int) -> None:
        """An upload whose second half never comes; again and again."""
        rng = random.Random(place)
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(self.host, self.port)
                named = {**self._as(place), "Content-Type": "text/csv", "Content-Length": "2000000"}
                head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
                try:
                    writer.write(f"POST /v1/waves HTTP/1.1\r\nHost: {self.host}\r\n{head}\r\n{HEAD}".encode())
                    writer.write(b"job-cut,," * rng.randrange(1000, 50_000))
                    await asyncio.sleep(rng.uniform(0.0, 2.0))
                finally:
                    writer.transport.abort()
                self.said["uploads cut off"] += 1
            await asyncio.sleep(rng.uniform(1.0, 3.0))

    async def _large(self, client: aiohttp.ClientSession) -> None:
        """A large manifest handed in, held, listed to its end and read back."""
        entries = self.given.upload
        if not entries:
            return
        headers = {**self._as(0), "Content-Type": "text/csv"}
        began = time.monotonic()
        async with client.post("/v1/waves?start=false", data=_rows(entries), headers=headers) as answer:
            told = await answer.json()
            if answer.status != 201 or told["entries"] != entries:
                raise SystemExit(f"the large upload was answered with {answer.status}: {told}")
        self.said["seconds until the large manifest was accepted"] = round(time.monotonic() - began)
        path, listed, after = f"/v1/waves/{told['id']}/entries", 0, ""
        while True:
            query = {"limit": "500", **({"after": after} if after else {})}
            async with client.get(path, params=query, headers=self._as(0)) as answer:
                page = await answer.json()
            listed += len(page["entries"])
            if (after := page["next"]) is None:
                break
        size = 0
        async with client.get(f"/v1/waves/{told['id']}/manifest", headers=self._as(0)) as answer:
            async for piece in answer.content.iter_chunked(1 << 20):
                size += piece.count(b"\n")
        if (listed, size) != (entries, entries + 1):
            raise SystemExit(f"of {entries:,} entries {listed:,} were listed, and {size - 1:,} were read back")
        self.said["entries of the large manifest listed and read back"] = listed


async def _rows(entries: int) -> AsyncIterator[bytes]:
    yield HEAD.encode()
    for first in range(0, entries, 5000):
        last = min(entries, first + 5000)
        yield "".join(f"large-{row},{PROJECT},objects\n" for row in range(first, last)).encode()


def _judged(folder: Path, load: Load) -> list[str]:
    """What is not as it has to be."""
    given, wrong = load.given, []
    events = list(read_ledger(folder / "ledger.jsonl"))
    made = sum(1 for _ in creations(events))
    if made != given.waves * given.entries:
        wrong.append(f"{made:,} comparisons were made, and {given.waves * given.entries:,} entries there are")
    if twice := doubles(events):
        wrong.append(f"{len(twice):,} comparisons were made more than once")
    most = most_in_window(events, 1.0, calls=CREATE)
    if most and max(most.values()) > given.limit:
        wrong.append(f"{max(most.values())} create requests came within a second, and {given.limit} may")
    refused = sum(isinstance(event, AnswerSent) and event.http_status == 429 for event in events)
    if refused:
        wrong.append(f"the cloud refused {refused:,} requests as too many")
    for wave in load.ids:
        lines = (folder / "data" / "waves" / wave / "results.jsonl").read_bytes().splitlines()
        created = sum(json.loads(line)["status"] == "created" for line in lines)
        if (len(lines), created) != (given.entries, given.entries):
            wrong.append(f"wave {wave} has {len(lines):,} lines, of which {created:,} say created")
    left = list((folder / "data" / "incoming").iterdir())
    if left:
        wrong.append(f"of uploads {len(left)} folders are left over")
    print(f"  create requests in any second, of the busiest scope: {max(most.values(), default=0)} of {given.limit}")
    return wrong


def _loaded(folder: Path, given: argparse.Namespace) -> list[str]:
    tokens = [_token(folder, f"person{number}") for number in range(PEOPLE)]
    limit = f"{given.limit}/s"
    with (
        simulator(folder, "--limit", limit, "--latency", "20ms..60ms", "--speed", "1000") as cloud,
        service(folder, cloud.url, "--tokens", str(folder / "tokens"), BATCHER_RATE=limit) as served,
    ):
        watcher = Watcher(served.process.pid)
        idle_mb = watcher.now_mb
        load = Load(served.url, tokens, given)
        took = asyncio.run(load.play())
        for name, seconds in took.items():
            print(f"  {name} after {seconds:,.1f} s")
        for name, count in sorted(load.said.items()):
            print(f"  {name}: {count:,}")
        print(
            f"  memory: {idle_mb:.0f} MB idle, {watcher.peak_mb:.0f} MB at its peak, {watcher.now_mb:.0f} MB at the end"
        )
        cpu = watcher.cpu_s
        print(f"  CPU: {cpu:.1f} s, {cpu / max(1, given.waves * given.entries) * 1e6:.0f} µs an entry")
        wrong = [] if watcher.peak_mb <= given.most_mb else [f"it took {watcher.peak_mb:.0f} MB: over {given.most_mb}"]
        wrong += _judged_log(served)
        if code := served.end():
            wrong.append(f"it ended with {code}")
    return [*wrong, *_judged(folder, load)]


def _judged_log(served: Process) -> list[str]:
    lines = [line for line in served.log.read_text().splitlines() if " error " in line or "Traceback" in line]
    return [f"it logged {len(lines)} errors, such as: {lines[0]}"] if lines else []


def _token(folder: Path, name: str) -> str:
    command = [*BATCHER, "token", "new", name, "--role", "submit", "--tokens", str(folder / "tokens")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _cpu(folder: Path, given: argparse.Namespace) -> list[str]:
    """CPU seconds of whole processes for one wave: `batcher run`, and a service that is started for it."""
    entries, rate = given.cpu_entries, given.cpu_rate
    manifest = folder / "wave.csv"
    manifest.write_text(HEAD + "".join(f"job-{row},{PROJECT},objects\n" for row in range(entries)))
    found: dict[str, list[float]] = {"run": [], "service": []}
    for number in range(given.rounds):
        place = folder / str(number)
        place.mkdir()
        with simulator(place, "--latency", "5ms..15ms") as cloud:
            env = {"BATCHER_ENDPOINT": cloud.url, "BATCHER_TOKEN": "any", "BATCHER_RATE": rate}
            found["run"].append(_run_cpu(manifest, place, env))
        (other := place / "other").mkdir()
        with (
            simulator(other, "--latency", "5ms..15ms") as cloud,
            service(other, cloud.url, BATCHER_RATE=rate) as served,
        ):
            told = request("POST", f"{served.url}/v1/waves", manifest.read_bytes(), Content_Type="text/csv")
            while request("GET", f"{served.url}/v1/waves/{told['id']}")["state"] != "ended":
                time.sleep(1.0)
            found["service"].append(Watcher(served.process.pid).cpu_s)
    run, through = min(found["run"]), min(found["service"])
    for name, seconds in found.items():
        print(f"  CPU of {entries:,} entries by {name}: " + ", ".join(f"{one:.2f} s" for one in seconds))
    print(f"  through the service / batcher run: {through / run:.2f} times")
    return [] if through <= 1.15 * run else [f"a wave through the service takes {through / run:.2f} times the CPU"]


def _run_cpu(manifest: Path, place: Path, env: dict[str, str]) -> float:
    command = [*BATCHER, "run", str(manifest), "-o", str(place / "results.jsonl"), "--quiet"]
    process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"batcher run ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def main() -> int:
    """0 if all holds."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, what in (
        ("waves", 50, "waves at once"), ("entries", 2000, "entries of each"), ("scopes", 10, "projects they are over"),
        ("limit", 100, "create requests a second that each project takes"), ("streams", 200, "open streams"),
        ("slow", 50, "of them that read slowly"), ("half-open", 100, "connections left half-way"),
        ("cut-off", 20, "clients whose uploads are cut off"), ("upload", 1_000_000, "entries of the large manifest"),
        ("most-mb", 600, "memory that the service may take"), ("cpu-entries", 20_000, "entries, with --cpu"),
        ("rounds", 3, "turns, with --cpu"),
    ):  # fmt: skip
        asked.add_argument(f"--{name}", type=int, default=default, help=f"{what}; default: %(default)s")
    asked.add_argument("--cpu-rate", default="1000/s", help="rate of the wave, with --cpu; default: %(default)s")
    asked.add_argument("--cpu", action="store_true", help="compare CPU times instead")
    given = asked.parse_args()
    with TemporaryDirectory(prefix="batcher-") as temporary:
        wrong = (_cpu if given.cpu else _loaded)(Path(temporary), given)
    for line in wrong:
        print(f"WRONG: {line}")
    print("all of it holds" if not wrong else f"{len(wrong)} things are wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
