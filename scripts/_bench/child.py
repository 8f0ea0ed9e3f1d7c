"""What is measured in an interpreter of its own: `python -m _bench.child KIND '{"entries": …}'` prints its figures."""

import asyncio
import gc
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from _bench.common import request, require, told_arrivals, write_manifest
from batcher.cli.main import calm_collector

Figures = dict[str, float]


class Watch:
    """Wall and CPU time of a stretch, and how often the youngest garbage was collected in it."""

    def __init__(self) -> None:
        self._wall, self._cpu, self._collected = time.perf_counter(), time.process_time(), _collected()

    def figures(self, entries: int) -> Figures:
        """What passed since it was made."""
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return {
            "wall_s": wall,
            "cpu_s": cpu,
            "per_s": entries / wall,
            "cpu_us_per_entry": cpu / entries * 1e6,
            "collections_per_1000": (_collected() - self._collected) / entries * 1000,
            "peak_mb": peak_mb(),
        }


def _collected() -> int:
    return int(gc.get_stats()[0]["collections"])


def peak_mb() -> float:
    """The most memory this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bare(port: int, entries: int, concurrency: int) -> Figures:
    """A plain aiohttp loop: no checks, no journal, no results."""
    import aiohttp

    async def main() -> Figures:
        left, made = iter(range(entries)), []
        url = f"http://127.0.0.1:{port}/v3/p/jobs/create-compare-task"
        headers = {"Content-Type": "application/json", "X-Auth-Token": "none"}

        async def work(session: aiohttp.ClientSession) -> None:
            for index in left:
                async with session.post(url, data=orjson.dumps(request(index)), headers=headers) as response:
                    answer = orjson.loads(await response.read())
                made.append(answer["object_level_compare_create_result"]["compare_task_id"])

        connector = aiohttp.TCPConnector(limit=concurrency)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
            watch = Watch()
            await asyncio.gather(*(work(session) for _ in range(concurrency)))
            require(len(made) == entries)
            return watch.figures(entries)

    return asyncio.run(main())


def script(port: int, entries: int, concurrency: int) -> Figures:
    """The script that people copy: all bodies at hand, a semaphore around aiohttp, one `gather` for everything."""
    import aiohttp

    async def main() -> Figures:
        url = f"http://127.0.0.1:{port}/v3/p/jobs/create-compare-task"
        semaphore = asyncio.Semaphore(concurrency)

        async def create(session: aiohttp.ClientSession, body: dict[str, Any]) -> str:
            async with semaphore, session.post(url, json=body) as response:
                response.raise_for_status()
                answer = await response.json()
                return str(answer["object_level_compare_create_result"]["compare_task_id"])

        watch = Watch()
        async with aiohttp.ClientSession(headers={"X-Auth-Token": "none"}) as session:
            made = await asyncio.gather(*(create(session, request(index)) for index in range(entries)))
        require(len(set(made)) == entries)
        return watch.figures(entries)

    return asyncio.run(main())


def wave(port: int, entries: int, concurrency: int, rate: str = "off", loop: str = "asyncio") -> Figures:
    """A whole wave: checked, planned, journalled, with results."""
    from batcher import Wave
    from batcher.cli.loops import quickest_loop

    async def main(folder: Path) -> Figures:
        manifest = write_manifest(folder / "wave.jsonl", entries)
        watch = Watch()
        keywords: dict[str, Any] = {
            "endpoint": f"http://127.0.0.1:{port}",
            "project_id": "p",
            "rate": rate,
            "concurrency": concurrency,
        }
        async with Wave(manifest, folder / "results.jsonl", **keywords) as running:
            opened = watch.figures(entries)["wall_s"]
            end = await running.run()
        require(end.status.created == entries)
        return {**watch.figures(entries), "open_s": opened}

    factory = quickest_loop() if loop == "uvloop" else None
    with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main(Path(folder)))


def sdk(port: int, entries: int, concurrency: int) -> Figures:
    """The official SDK in threads."""
    from huaweicloudsdkcore.auth.credentials import BasicCredentials
    from huaweicloudsdkcore.http.http_config import HttpConfig
    from huaweicloudsdkdrs.v3 import CreateCompareTaskReq, CreateCompareTaskRequest, DrsClient

    config = HttpConfig.get_default_config()
    config.pool_connections = config.pool_maxsize = concurrency
    client = (
        DrsClient.new_builder()
        .with_credentials(BasicCredentials("AK", "SK", "p"))
        .with_endpoint(f"http://127.0.0.1:{port}")
        .with_http_config(config)
        .build()
    )

    def send(index: int) -> str:
        body = CreateCompareTaskReq(**request(index))
        answer = client.create_compare_task(CreateCompareTaskRequest(body=body))
        return str(answer.object_level_compare_create_result.compare_task_id)

    send(0)
    watch = Watch()
    with ThreadPoolExecutor(concurrency) as pool:
        require(len(list(pool.map(send, range(entries)))) == entries)
    return watch.figures(entries)


def paced(port: int, rate: str, entries: int, concurrency: int) -> dict[str, Any]:
    """A wave at a limit; the moments at which its requests arrived, by the server's clock."""
    figures: dict[str, Any] = wave(port, entries, concurrency, rate=rate)
    figures["arrivals"] = told_arrivals(port)
    return figures


def checking(manifest: str, entries: int, short: bool, rounds: int) -> Figures:
    """How many rows of *manifest* are checked in a second, and how many bare pydantic validates."""
    from _bench.checking import rates

    return rates(Path(manifest), entries, short=short, rounds=rounds)


def memory(port: int, manifest: str, sent: int) -> Figures:
    """Opening a wave, and sending *sent* of its entries: the peak of it."""
    from batcher import Wave

    async def main(folder: Path) -> Figures:
        keywords: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{port}", "project_id": "p", "rate": "off"}
        watch = Watch()
        async with Wave(Path(manifest), folder / "results.jsonl", **keywords) as running:
            opened = watch.figures(1)["wall_s"]
            task = asyncio.create_task(running.run())
            while running.status().settled < sent and not task.done():  # noqa: ASYNC110 - looked at from outside
                await asyncio.sleep(0.05)
            running.abandon()
            await asyncio.wait({task})
        return {"peak_mb": peak_mb(), "open_s": opened}

    with TemporaryDirectory() as folder:
        return asyncio.run(main(Path(folder)))


def _planned(manifest: str, results: Path, port: int = 1) -> Any:
    """A wave over *manifest*, checked and planned, with nothing sent."""
    from batcher.clock import SystemClock
    from batcher.journal.files import WaveFiles
    from batcher.manifest import RunDefaults, open_manifest
    from batcher.wave.opening import open_wave
    from batcher.wave.request import Request

    return open_wave(
        Request(
            manifest=open_manifest(Path(manifest)),
            defaults=RunDefaults(endpoint=f"http://127.0.0.1:{port}", project_id="p"),
            files=WaveFiles.of(results),
        ),
        SystemClock(),
    )


def planning(manifest: str) -> Figures:
    """Checking and planning a wave, and nothing else. Its CPU time is that of the whole process, as of a command."""
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        _planned(manifest, Path(folder, "results.jsonl")).close()
        wall_s = time.perf_counter() - began
    return {"cpu_s": time.process_time(), "wall_s": wall_s, "peak_mb": peak_mb()}


def finish(manifest: str, results: str, share: float = 1.0, doubtful: int | None = None, port: int = 1) -> Figures:
    """Make a wave of which a *share* is done, as if the cloud had answered; one in so many is *doubtful*."""
    from batcher.drs.outcome import ErrorKind, Fate, Half, HalfOutcome, Made, Trouble
    from batcher.journal.ops import Happened, Settled
    from batcher.life.events import Answered, Intended
    from batcher.life.result import Status
    from batcher.life.result_line import result_of
    from batcher.life.state import fold, fresh

    lost = Trouble(fate=Fate.MAYBE, kind=ErrorKind.TIMEOUT, error_msg="no answer within 60 s")
    opened = _planned(manifest, Path(results), port)
    record, now, entries, after = opened.record, time.time(), 0, -1
    most = int(opened.start.entries * share)
    with Path(results).open("ab") as lines:
        while batch := record.planned(scope=0, after=after, limit=min(10_000, most - entries)):
            ops: list[Happened | Settled] = []
            for entry in batch:
                is_lost = doubtful is not None and entry.index % doubtful == 0
                intent = Intended(at=now, asked=entry.asked)
                made: HalfOutcome = lost if is_lost else Made(f"task-{entry.job_id}")
                answer = Answered(at=now, sent_at=now, halves={Half.OBJECT: made}, http_status=200, request_id="r")
                state = fold(fold(fresh(entry.asked), intent), answer)
                status, why = (Status.UNSETTLED, lost) if is_lost else (Status.CREATED, None)
                line = result_of(entry, state, status, why, now).to_line()
                lines.write(line)
                ops += [Happened(index=entry.index, event=intent), Happened(index=entry.index, event=answer)]
                ops.append(Settled(index=entry.index, status=status, line=line))
            record.commit(ops)
            entries += len(batch)
            after = batch[-1].index
            if entries >= most:
                break
    opened.close()
    return {"entries": entries}


def taking_up(port: int, manifest: str, results: str) -> Figures:
    """Taking up a wave that is not done, until its first request was answered; `stopping_cpu_s` is what it takes to
    stop it again in order, with a line for each entry that stays open. So it is found as it was, and goes on another
    time.

    It is taken up twice, and the second time counts: everything is loaded then, which takes longer than ten thousand
    entries do.
    """
    from batcher import Stop, StopKind, Wave

    async def once() -> Figures:
        keywords: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{port}", "project_id": "p", "rate": "10/s"}
        began = time.process_time()
        async with Wave(Path(manifest), Path(results), **keywords) as running:
            before = running.status().settled
            task = asyncio.create_task(running.run())
            while running.status().settled == before and not task.done():  # noqa: ASYNC110 - from outside
                await asyncio.sleep(0.01)
            taken_up = time.process_time()
            running.stop(Stop(StopKind.ASKED, "it was measured"))
            end = await task
            require(end.status.not_submitted > 0 and end.status.open == 0)
        return {"cpu_s": taken_up - began, "stopping_cpu_s": time.process_time() - taken_up}

    async def twice() -> Figures:
        await once()
        return await once()

    return asyncio.run(twice()) | {"peak_mb": peak_mb()}


def follow(results: str) -> Figures:
    """The verdicts on a wave that is done, as if the cloud had told them: one in twenty differs in two tables."""
    from batcher.journal.files import WaveFiles

    sides = {"database": "shop", "target_database": "shop", "source_count": 1000, "target_count": 998, "diff_count": 2}
    rest = {
        "object_type": "TABLE",
        "result": "INCONSISTENT",
        "source_value": None,
        "target_value": None,
        "message": None,
    }
    differences = [{**rest, **sides, "table": table, "target_table": table} for table in ("orders", "items")]
    counts = dict.fromkeys(("failed_to_compare", "cannot_be_compared"), 0)
    entries = 0
    with Path(results).open("rb") as lines, WaveFiles.of(Path(results)).verdicts.open("wb") as out:
        for entries, raw in enumerate(lines, start=1):
            line = orjson.loads(raw)
            differ = differences if entries % 20 == 0 else []
            verdict = "inconsistent" if differ else "consistent"
            half = {
                "compare_task_id": line["object_level_compare_create_result"]["compare_task_id"],
                "compare_type": "object_comparison",
                "compare_task_status": "SUCCESSFUL",
                "verdict": verdict,
                "counts": {"compared": 12, "consistent": 12 - len(differ), "inconsistent": len(differ), **counts},
                "differences": differ,
                "complete": True,
                "reason": "2 of 12 objects differ" if differ else None,
                "started_at": line["submitted_at"],
                "ended_at": line["finished_at"],
            }
            copied = ("key", "index", "job_id", "project_id", "endpoint", "status")
            told = {name: line[name] for name in copied} | {
                "verdict": verdict,
                "final": True,
                "object_level_compare_result": half,
                "data_level_compare_result": None,
                "reason": half["reason"],
                "decided_at": line["finished_at"],
                "labels": line["labels"],
            }
            out.write(orjson.dumps(told) + b"\n")
    return {"entries": entries}


def watching(results: str, timeout: str | None = None) -> Figures:
    """Following the wave of *results* as `watch` does, without the gate: to its verdicts, or until *timeout*.

    `looking_cpu_s` is what it took once the verdicts that are there were taken up.
    """
    from batcher.follow.watch_session import WatchSession
    from batcher.settings import RunSettings
    from batcher.wave.stop import Stopping

    async def main() -> Figures:
        watch = Watch()
        settings = RunSettings(read_rate="off", insecure_http=True, watch_timeout=timeout)
        session = WatchSession(Path(results), settings, Stopping())
        following = asyncio.create_task(session.run())
        while session.status() is None and not following.done():  # noqa: ASYNC110 - from outside
            await asyncio.sleep(0.01)
        taken_up = time.process_time()
        end = await following
        require(timeout is not None or end.status.decided == end.status.entries)
        return watch.figures(end.status.entries) | {"looking_cpu_s": time.process_time() - taken_up}

    return asyncio.run(main())


def main() -> None:
    """Measure what is asked for."""
    kind, arguments = sys.argv[1], json.loads(sys.argv[2])
    if kind not in ("bare", "script"):
        calm_collector()  # as the command line does
    kinds = (
        bare,
        script,
        wave,
        sdk,
        paced,
        checking,
        memory,
        planning,
        finish,
        taking_up,
        follow,
        watching,
    )
    measure = {function.__name__: function for function in kinds}[kind]
    print(json.dumps(measure(**arguments)))


if __name__ == "__main__":
    main()
