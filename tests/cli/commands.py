"""Running batcher's commands against a simulated cloud: in this process where it can be, as a program where it must."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK
from batcher.simulator.ledger import Event, RequestSeen

PATIENCE_S = 90.0  # of a loaded machine; nothing here waits for it
# What the tester's own environment must not bring in.
FOREIGN = ("BATCHER_", "HUAWEICLOUD_", "CLOUD_SDK_", "HW_", "OS_", "NO_COLOR", "FORCE_COLOR", "COLUMNS")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def clean_environment(folder: Path) -> dict[str, str]:
    """An environment in which nothing is set, and whose home is in *folder*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "home"), "TERM": "xterm-256color"}


class Program:
    """`batcher ARGUMENTS` as a program of its own. One that outlives its test is killed: see `kill_programs`."""

    started: ClassVar[list["Program"]] = []

    def __init__(
        self,
        arguments: Iterable[object],
        *,
        folder: Path,
        environment: Mapping[str, str],
        stdout: Any = subprocess.PIPE,
    ) -> None:
        self._told = folder / f"stderr-{uuid.uuid4().hex}"
        with self._told.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "batcher", *map(str, arguments)],
                cwd=folder,
                env={**clean_environment(folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                text=True,
            )
        self.started.append(self)

    @property
    def told(self) -> str:
        """What it has written to standard error so far."""
        return self._told.read_text(encoding="utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Send it *number*."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it where it still runs, and let go of what it wrote."""
        with self._process as process:
            process.kill()

    def end(self) -> Ended:
        """Wait for its end."""
        try:
            out, _ = self._process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        return Ended(self._process.returncode, out or "", self.told)


def kill_programs() -> None:
    """Kill the programs that a test has left behind, as one that failed does: else the next ones would hear of them."""
    while Program.started:
        Program.started.pop().kill()


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that another process or thread brings about."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > until:
            raise AssertionError("it never came true")
        time.sleep(0.01)


def write_manifest(path: Path, jobs: Iterable[str], **columns: str) -> Path:
    """A CSV manifest: a comparison of row counts for each of *jobs*, with further *columns* the same for all."""
    header = ["job_id", "conflict_policy", "compare_type", "compare_object_infos", *columns]
    rows = [[job, "keep", "lines", '"shop: orders, items"', *columns.values()] for job in jobs]
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n", encoding="utf-8")
    return path


def lines_of(results: Path) -> list[dict[str, Any]]:
    """The result lines."""
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


def created_jobs(ledger: Iterable[Event]) -> list[str]:
    """The job of each create request that the cloud saw, in order."""
    creates = (e for e in ledger if isinstance(e, RequestSeen) and e.call == CREATE_COMPARE_TASK)
    return [request.job_id or "" for request in creates]
