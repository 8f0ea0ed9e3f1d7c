"""No secret gets out: every command, every fault profile, every kind of credential, at debug level, on real processes.

All that is written is searched: standard output and error, results, journal, report, process list.
"""

import asyncio
import stat
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from batcher.simulator import iam
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import PROFILES, parse_profile
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.auth.iam_server import Asked, serving
from tests.secrets import marks
from tests.secrets.commands import Ran, batcher, batcher_alone

ENTRIES = 5
IAM = iam.IamConfig(
    mode="any",
    tokens=frozenset({marks.TOKEN}),
    users={"ann": iam.SimulatedUser(marks.PASSWORD, "acme")},
    keys={
        marks.AK: iam.SimulatedAccessKey(marks.SK),
        "MARKAKTEMP0": iam.SimulatedAccessKey(marks.SK, security_token=marks.SECURITY_TOKEN),
    },
)
HURRY = (  # where answers are lost on purpose
    "--rate=off",
    "--timeout=0.5",
    "--connect-timeout=0.5",
    "--landing-time=0.5",
    "--entry-deadline=1.5",
    "--attempts=2",
    "--grace=0.5",
)


def manifest(folder: Path) -> Path:
    path = folder / "wave.csv"
    rows = "".join(f"11112222-0000-0000-0000-0000000{number:02}jb01,objects\n" for number in range(ENTRIES))
    path.write_text("job_id,object_level_compare_type\n" + rows)
    return path


@pytest.fixture
def turns() -> asyncio.Semaphore:
    """How many processes at once."""
    return asyncio.Semaphore(6)


@pytest.mark.slow
async def test_a_wave_under_every_fault_profile(tmp_path: Path, turns: asyncio.Semaphore) -> None:
    async def wave(number: int, profile: str) -> None:
        kind = list(marks.KINDS)[number % len(marks.KINDS)]
        folder = tmp_path / str(number)
        folder.mkdir()
        manifest(folder)
        config = ServiceConfig(iam=IAM, faults=parse_profile(profile), seed=number)
        async with turns, Simulator(config) as cloud:
            environ = {**marks.KINDS[kind], "BATCHER_ENDPOINT": cloud.url, "BATCHER_LOG_LEVEL": "debug"}
            log_format = ("console", "json")[number % 2]
            ran = await batcher(
                folder, environ, "run", "wave.csv", "-o", "results.jsonl", "--project-id=p1",
                f"--log-format={log_format}", *HURRY,
            )  # fmt: skip
            given_out = list(cloud.service.iam._tokens)
        assert ran.code in (0, 1, 3, 4), ran.said.decode()
        assert (folder / "results.jsonl").read_bytes().count(b"\n") == ENTRIES
        found = marks.leaks([*ran.texts(), *marks.written(folder)], [*marks.ALL, *given_out])
        assert not found, f"{profile}, {kind}: {found}"
        for journal in folder.glob("*journal*"):
            assert not journal.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), f"{journal} is open to others"

    async with asyncio.TaskGroup() as group:
        for number, profile in enumerate([*PROFILES, "unauthorized=50%"]):
            group.create_task(wave(number, profile))


COMMANDS: tuple[tuple[str, ...], ...] = (
    ("auth", "wave.csv", "--project-id=p1"),
    ("auth", "--project-id=p1", "--json"),
    ("check", "wave.csv", "--project-id=p1"),
    ("preflight", "wave.csv", "--project-id=p1"),
    ("run", "wave.csv", "-o", "results.jsonl", "--project-id=p1", "--rate=off"),
    ("run", "wave.csv", "-o", "-", "--project-id=p1", "--rate=off"),
    ("report", "results.jsonl", "--html", "report.html"),
    ("report", "results.jsonl", "--json"),
    ("explain", "results.jsonl", "--key", "KEY"),
    ("settle", "results.jsonl", "--key", "KEY", "--as", "failed"),
    ("select", "results.jsonl", "--status", "created", "-o", "next.csv"),
    ("watch", "results.jsonl"),
    ("gate", "results.jsonl"),
    ("rehearse", "wave.csv", "--project-id=p1"),
    ("schema", "result"),
    ("completion", "bash"),
)


@pytest.mark.slow
async def test_every_command(tmp_path: Path, turns: asyncio.Semaphore) -> None:
    path = manifest(tmp_path)
    at_once = CloudConfig(speed=1e6)  # comparisons end at once, so that watching them does
    async with Simulator(ServiceConfig(iam=IAM, cloud=at_once)) as cloud:
        environ = {
            **marks.BY_TEMPORARY_KEY,
            "BATCHER_ENDPOINT": cloud.url,
            "BATCHER_LOG_LEVEL": "debug",
            "NO_PROXY": "127.0.0.1",
            "HTTPS_PROXY": f"http://someone:{marks.PROXY_PASSWORD}@127.0.0.1:9",
        }
        first = await batcher_alone(
            tmp_path, environ, "run", str(path), "-o", "results.jsonl", "--project-id=p1", "--rate=off"
        )
        assert first.code == 0, first.said.decode()
        key = orjson.loads((tmp_path / "results.jsonl").read_bytes().splitlines()[0])["key"]

        async def command(args: tuple[str, ...]) -> Ran:
            async with turns:
                return await batcher(tmp_path, environ, *(key if arg == "KEY" else arg for arg in args))

        ran = await asyncio.gather(*map(command, COMMANDS))
    texts = [text for one in ran for text in one.texts()]
    assert not marks.leaks([*first.texts(), *texts, *marks.written(tmp_path)])


def echo(asked: Asked) -> web.Response:
    """A cloud that quotes all it was sent in its refusal, as the gateway quotes the canonical request it built."""
    said = "|".join(f"{name}:{value}" for name, value in asked.headers.items()) + "|" + asked.body.decode()
    body = {"error_code": "APIGW.0301", "error_msg": f"verify aksk signature fail, got {asked.path}|{said}"}
    return web.json_response(body, status=401)


ASKING: tuple[tuple[str, ...], ...] = (
    ("auth", "wave.csv", "--json"),
    ("run", "wave.csv", "-o", "results.jsonl", "--project-id=p1", "--rate=off"),
)


@pytest.mark.parametrize("kind", marks.KINDS)
async def test_a_refusal_that_quotes_the_secrets_back(kind: str, tmp_path: Path, turns: asyncio.Semaphore) -> None:
    manifest(tmp_path)
    async with serving(echo) as cloud:
        environ = {**marks.KINDS[kind], "BATCHER_ENDPOINT": cloud.url, "BATCHER_LOG_LEVEL": "debug"}

        async def command(args: tuple[str, ...]) -> Ran:
            async with turns:
                return await batcher(tmp_path, environ, *args)

        ran = await asyncio.gather(*map(command, ASKING))
    assert {one.code for one in ran} <= {1, 3}, [one.said.decode() for one in ran]
    texts = [text for one in ran for text in one.texts()]
    assert any(b"verify aksk" in text or b"IAM" in text for _, text in texts), "the refusals were shown"
    assert not marks.leaks([*texts, *marks.written(tmp_path)])


async def test_secrets_in_options(tmp_path: Path) -> None:
    """They come back in the journal, on the report's page, and in what is offered to be typed again."""
    manifest(tmp_path)
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        environ = {**marks.BY_TOKEN, "BATCHER_ENDPOINT": cloud.url, "BATCHER_LOG_LEVEL": "debug"}
        ran = await batcher_alone(
            tmp_path, environ, "run", "wave.csv", "-o", "results.jsonl", "--project-id=p1", "--deadline=0.2s",
            "--rate=1/s", "--proxy", f"http://someone:{marks.PROXY_PASSWORD}@127.0.0.1:9",
            "--notify", f"http://127.0.0.1:9/{marks.HOOK}", f"--on-end=echo {marks.ON_END} >/dev/null; exit 3",
        )  # fmt: skip
        page = await batcher(tmp_path, environ, "report", "results.jsonl", "--html", "report.html")
    assert (ran.code, page.code) == (3, 0)
    assert b"batcher run wave.csv -o results.jsonl" in ran.said
    assert b"--on-end=***" in ran.said
    assert b"the command of --on-end ended with exit code 3" in ran.said
    assert not marks.leaks([*ran.texts(), *page.texts(), *marks.written(tmp_path)])


WRONG: tuple[tuple[str, str], ...] = (
    ("proxy", f"user:{marks.PROXY_PASSWORD}@127.0.0.1:1"),
    ("proxy", f"http://user:{marks.PROXY_PASSWORD}@127.0.0.1:99999999"),
    ("proxy", f"http://user:{marks.PROXY_PASSWORD}@127.0.0.1:x"),
    ("proxy", f"socks5://user:{marks.PROXY_PASSWORD}@127.0.0.1:1"),
    ("notify", f"http://hooks.example.com/{marks.HOOK}"),
    ("notify", f"hooks.example.com/{marks.HOOK}"),
)


@pytest.mark.parametrize("where", ["flag", "environment", "file"])
async def test_settings_that_cannot_be_used_are_not_quoted(tmp_path: Path, where: str) -> None:
    manifest(tmp_path)
    for name, value in WRONG:
        flags = [f"--{name}", value] if where == "flag" else []
        environ = {f"BATCHER_{name.upper()}": value} if where == "environment" else {}
        config = f'{name} = "{value}"\n' if where == "file" else ""
        (tmp_path / "batcher.toml").write_text(config)
        ran = await batcher(tmp_path, environ, "run", "wave.csv", "-o", "results.jsonl", *flags)
        assert ran.code == 2
        assert name in ran.said.decode().lower()
        assert not marks.leaks(ran.texts())


async def test_secrets_in_files_and_on_standard_input(tmp_path: Path) -> None:
    manifest(tmp_path)
    for name, value in (("ak", marks.AK), ("sk", marks.SK)):
        (tmp_path / name).write_text(value + "\n")
    async with Simulator(ServiceConfig(iam=IAM)) as cloud:
        environ = {"BATCHER_ENDPOINT": cloud.url, "BATCHER_LOG_LEVEL": "debug"}
        by_files = await batcher_alone(
            tmp_path, environ, "run", "wave.csv", "-o", "one.jsonl", "--project-id=p1",
            "--ak-file=ak", "--sk-file=sk", "--rate=off",
        )  # fmt: skip
        by_input = await batcher_alone(
            tmp_path, environ, "run", "wave.csv", "-o", "two.jsonl", "--project-id=p1", "--token-file=-", "--rate=off",
            stdin=marks.TOKEN.encode(),
        )  # fmt: skip
    assert (by_files.code, by_input.code) == (0, 0)
    assert b"access key from file ak (--ak-file) and file sk (--sk-file)" in by_files.said, "said, without the secret"
    assert b'used="token from standard input (--token-file)"' in by_input.said
    secret_files = frozenset({"ak", "sk"})
    texts = [*by_files.texts(), *by_input.texts(), *marks.written(tmp_path, but=secret_files)]
    assert not marks.leaks(texts)


async def test_the_process_list_shows_no_secret(tmp_path: Path) -> None:
    """What `ps` shows of a running wave, for every process it consists of."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("no /proc here")
    manifest(tmp_path)
    shown: list[tuple[str, bytes]] = []
    async with Simulator(ServiceConfig(iam=IAM, latency_s=(0.1, 0.2))) as cloud:
        environ = {**marks.BY_KEY, "BATCHER_ENDPOINT": cloud.url}
        running = asyncio.create_task(
            batcher_alone(tmp_path, environ, "run", "wave.csv", "-o", "results.jsonl", "--project-id=p1", "--rate=off")
        )
        while not cloud.ledger:
            await asyncio.wait({running}, timeout=0.02)
            assert not running.done(), "it ended before it asked the cloud"
        for process in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "comm"):
                try:
                    if (process / "cwd").readlink() != tmp_path:
                        continue  # another test's
                    shown.append((f"{process}/{name}", (process / name).read_bytes()))
                except OSError:
                    continue  # it has ended
        limits = [(Path(name).parent / "limits").read_text() for name, text in shown if b"--project-id=p1" in text]
        await running
    assert limits
    assert all("Max core file size        0" in each for each in limits), "a crash would leave its memory on disk"
    assert any(b"results.jsonl" in text for _, text in shown), "the wave was in the list"
    assert not marks.leaks(shown)


def test_the_search_finds_what_it_looks_for() -> None:
    """The other tests are worth as much as their search."""
    for disguised in (
        f"X-Auth-Token: {marks.TOKEN}".encode(),
        orjson.dumps({"sk": marks.SK}),
        marks.SK.replace("/", "%2F").replace("+", "%2B").encode(),
        b"<p>" + marks.PASSWORD.replace("&", "&amp;").encode() + b"</p>",
    ):
        assert marks.leaks([("somewhere", disguised)])
