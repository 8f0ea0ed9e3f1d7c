"""Runs waves through real proxies and gateways, as far as they are installed, and prints what became of them.

    scripts/middlemen
    scripts/middlemen squid nginx --entries 100

Each stands, with a few lines of configuration, between batcher and a simulated cloud, on loopback. Through each go two
waves:

    lossy   a fifth of all answers is lost after its effect, and in mid-wave the middleman is killed and started again
    refused in mid-wave nothing listens behind it for six seconds; a request can take effect for 20 s (--landing-time)

The cloud's ledger is the judge. Exits 1 where a comparison was made twice, or was made and not reported; those that are
not installed are said. On Debian: apt-get install squid nginx-light haproxy apache2 tinyproxy varnish.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batcher.simulator.faults import NO_FAULTS, parse_profile
from batcher.simulator.ledger import Effect
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.middleman.middleman import Middleman

_ROOT = Path(__file__).resolve().parent.parent
_PATIENCE_S = 300.0
_APACHE = "/usr/lib/apache2/modules"


@dataclass(frozen=True)
class Place:
    """Where a middleman runs: its *folder*, the *port* it listens on, the port of what is *behind* it."""

    folder: Path
    port: int
    behind: int


@dataclass(frozen=True)
class Kind:
    """A program that can stand between: its *command* for a configuration written to `conf`.

    *forward*: it is a proxy that batcher is told of, not an address that stands for the cloud.
    """

    name: str
    program: str
    version: tuple[str, ...]
    conf: str
    command: Callable[[Place], list[str]]
    forward: bool = False


def _squid(place: Place) -> list[str]:
    return ["squid", "-N", "-f", str(place.folder / "conf")]


_SQUID = """
http_access allow all
cache deny all
access_log none
cache_log {folder}/log
pid_filename {folder}/pid
coredump_dir {folder}
shutdown_lifetime 0 seconds
"""

KINDS = (
    Kind(
        "squid, as a proxy",
        "squid",
        ("squid", "-v"),
        "http_port 127.0.0.1:{port}\n" + _SQUID,
        _squid,
        forward=True,
    ),
    Kind(
        "squid, before the cloud",
        "squid",
        ("squid", "-v"),
        "http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1:{behind}\n"
        "cache_peer 127.0.0.1 parent {behind} 0 no-query originserver no-digest\nnever_direct allow all\n" + _SQUID,
        _squid,
    ),
    Kind(
        "nginx",
        "nginx",
        ("nginx", "-v"),
        "daemon off; pid {folder}/pid; error_log {folder}/log; events {{}}\n"
        "http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
        "fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }} }}\n",
        lambda place: ["nginx", "-c", str(place.folder / "conf"), "-e", str(place.folder / "log")],
    ),
    Kind(
        "HAProxy",
        "haproxy",
        ("haproxy", "-v"),
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        "frontend front\n  bind 127.0.0.1:{port}\n  default_backend back\n"
        "backend back\n  server cloud 127.0.0.1:{behind}\n",
        lambda place: ["haproxy", "-db", "-f", str(place.folder / "conf")],
    ),
    Kind(
        "Apache",
        "apache2",
        ("apache2", "-v"),
        "".join(
            f"LoadModule {name}_module {_APACHE}/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http")
        )
        + "ServerName localhost\nServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/log\n"
        "DefaultRuntimeDir {folder}\nListen 127.0.0.1:{port}\nUser nobody\nGroup nogroup\n"
        "ProxyPass / http://127.0.0.1:{behind}/\n",
        lambda place: ["apache2", "-DFOREGROUND", "-f", str(place.folder / "conf")],
    ),
    Kind(
        "tinyproxy",
        "tinyproxy",
        ("tinyproxy", "-v"),
        'Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nLogFile "{folder}/log"\nMaxClients 100\n',
        lambda place: ["tinyproxy", "-d", "-c", str(place.folder / "conf")],
        forward=True,
    ),
    Kind(
        "Varnish",
        "varnishd",
        ("varnishd", "-V"),
        'vcl 4.1;\nbackend default {{ .host = "127.0.0.1"; .port = "{behind}"; }}\n',
        lambda place: [
            *("varnishd", "-F", "-j", "none", "-s", "malloc,16m", "-n", str(place.folder / "work")),
            *("-f", str(place.folder / "conf"), "-a", f"127.0.0.1:{place.port}"),
        ],
    ),
)


@dataclass
class Outcome:
    """What became of one wave."""

    wave: str
    statuses: Counter[str]
    twice: int
    lost: int
    recovered: int
    seconds: float
    exit_code: int
    said: str

    @property
    def broken(self) -> bool:
        """Whether a promise is broken."""
        return bool(self.twice or self.lost)


class Running:
    """A middleman that runs; it can be killed and started again."""

    def __init__(self, kind: Kind, place: Place) -> None:
        self._command = kind.command(place)
        self._port = place.port
        self._folder = place.folder
        place.folder.mkdir()
        place.folder.chmod(0o777)
        values = {"folder": place.folder, "port": place.port, "behind": place.behind}
        (place.folder / "conf").write_text(kind.conf.format(**values), encoding="utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self._folder / "said").open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        for _ in range(200):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
        raise RuntimeError(f"{self._command[0]} does not listen: {(self._folder / 'said').read_text()[-500:]}")

    async def kill(self) -> None:
        """Kill it, with the processes that it started."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            await self._process.wait()
            self._process = None
        (self._folder / "pid").unlink(missing_ok=True)


async def run_wave(kind: Kind, wave: str, folder: Path, entries: int) -> Outcome:
    """Run one wave through a middleman of *kind*."""
    faults = parse_profile("creates:reset-after=20%") if wave == "lossy" else NO_FAULTS
    async with Simulator(ServiceConfig(faults=faults)) as cloud, Middleman(cloud.url, lost=b"") as relay:
        place = Place(folder / "middleman", free_port(), relay.port)
        middleman = Running(kind, place)
        await middleman.start()
        try:
            began = time.monotonic()
            batcher = await start_batcher(kind, wave, folder, place, entries)
            if wave == "lossy":
                await until(lambda: made(cloud).total() > entries / 3)
                await middleman.kill()
                await middleman.start()
            else:
                await until(lambda: made(cloud).total() > entries / 3)
                await relay.__aexit__(None, None, None)
                await asyncio.sleep(6.0)
                await relay.__aenter__()
            _, told = await asyncio.wait_for(batcher.communicate(), _PATIENCE_S)
            seconds = time.monotonic() - began
        finally:
            await middleman.kill()
        return judge(wave, folder, cloud, seconds, batcher.returncode or 0, told.decode())


async def start_batcher(kind: Kind, wave: str, folder: Path, place: Place, entries: int) -> asyncio.subprocess.Process:
    """`batcher run`, through the middleman."""
    lines = [{"job_id": f"job-{number}", "object_level_compare_type": "objects"} for number in range(entries)]
    (folder / "wave.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    way = f"http://127.0.0.1:{place.port}"
    settings = {
        "BATCHER_ENDPOINT": f"http://127.0.0.1:{place.behind}" if kind.forward else way,
        "BATCHER_PROJECT_ID": "p",
        "BATCHER_TOKEN": "simulated-token",
        "BATCHER_RATE": "20/s",
        "BATCHER_LANDING_TIME": "3s" if wave == "lossy" else "20s",
        **({"BATCHER_PROXY": way} if kind.forward else {}),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BATCHER_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batcher", "run", "wave.jsonl", "-o", "results.jsonl"),
        cwd=folder,
        env={**kept, "PYTHONPATH": str(_ROOT), **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def made(cloud: Simulator) -> Counter[str]:
    """How many comparisons each job has."""
    return Counter(event.job_id for event in cloud.ledger if isinstance(event, Effect))


def judge(wave: str, folder: Path, cloud: Simulator, seconds: float, exit_code: int, told: str) -> Outcome:
    """Hold the results to the cloud's ledger."""
    results = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    reported = {(each["object_level_compare_create_result"] or {}).get("compare_task_id") for each in results}
    unsettled = {each["job_id"] for each in results if each["status"] == "unsettled"}
    effects = [event for event in cloud.ledger if isinstance(event, Effect)]
    hidden = {effect.job_id for effect in effects if not reported.issuperset(effect.created.values())}
    return Outcome(
        wave=wave,
        statuses=Counter(each["status"] for each in results),
        twice=sum(count > 1 for count in made(cloud).values()),
        lost=len(hidden - unsettled),
        recovered=sum(each["recovered"] for each in results),
        seconds=seconds,
        exit_code=exit_code,
        said=told,
    )


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process brings about."""
    async with asyncio.timeout(_PATIENCE_S):
        while not true():  # noqa: ASYNC110 - it is in a process of its own
            await asyncio.sleep(0.02)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def version_of(kind: Kind) -> str:
    """Its version, as it says."""
    told = subprocess.run(kind.version, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[\w.]*", told.stdout + told.stderr)
    return found[0] if found else "?"


async def run_all(kinds: list[Kind], home: Path, entries: int) -> list[Outcome]:
    """Run both waves through each, and print a line for each."""
    outcomes = []
    for number, kind in enumerate(kinds):
        label = f"{kind.name} {version_of(kind)}"
        for wave in ("lossy", "refused"):
            folder = home / f"{number}-{wave}"
            folder.mkdir()
            folder.chmod(0o755)
            outcome = await run_wave(kind, wave, folder, entries)
            outcomes.append(outcome)
            columns = (outcome.statuses["created"], outcome.twice, outcome.lost, outcome.statuses["unsettled"])
            numbers = "".join(f" {column:>9}" for column in (*columns, outcome.recovered))
            print(f"{label:<34} {wave:<8}{numbers} {outcome.seconds:>6.1f}", flush=True)
            if outcome.exit_code:
                print(f"  exit code {outcome.exit_code}:\n{outcome.said[-2000:]}")
    return outcomes


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="scripts/middlemen", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="*", help="only these: squid, nginx, haproxy, apache2, tinyproxy, varnishd")
    parser.add_argument("--entries", type=int, default=60, help="of each wave (default: 60)")
    asked = parser.parse_args()
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # where Debian has most of them
    kinds = [kind for kind in KINDS if not asked.programs or kind.program in asked.programs]
    there = [kind for kind in kinds if shutil.which(kind.program) is not None]
    titles = "".join(f" {title:>9}" for title in ("created", "twice", "lost", "in doubt", "recovered"))
    print(f"{'middleman':<34} {'wave':<8}{titles} {'s':>6}", flush=True)
    with tempfile.TemporaryDirectory(prefix="middlemen-") as home:
        Path(home).chmod(0o755)  # they give up being root
        outcomes = asyncio.run(run_all(there, Path(home), asked.entries))
    for name in sorted({kind.program for kind in kinds} - {kind.program for kind in there}):
        print(f"{name}: not installed")
    broken = sum(outcome.broken for outcome in outcomes)
    print(f"{len(outcomes)} waves of {asked.entries} entries, {broken} with a promise broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
