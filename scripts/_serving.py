"""A simulated cloud and a service as processes of their own, for scripts that lean on them hard."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BATCHER = [sys.executable, "-m", "batcher"]
PROJECT = "0123456789abcdef0123456789abcdef"


class Process:
    """A batcher command that serves: its *url*, once it said it, and what it logs in *log*."""

    def __init__(self, arguments: list[str], says: str, log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen([*BATCHER, *arguments], stdout=file, stderr=file, env={**os.environ, **env})
        self.url = ""
        while not self.url:
            if self.process.poll() is not None:
                raise SystemExit(f"batcher {arguments[0]} ended at once: {log.read_text()}")
            if found := re.search(says, log.read_text()):
                self.url = found[1]
            else:
                _pause()

    def end(self) -> int:
        """SIGTERM; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        """SIGKILL, if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextmanager
def simulator(folder: Path, *arguments: str) -> Iterator[Process]:
    """A simulated cloud, with its ledger in *folder*."""
    ledger = folder / "ledger.jsonl"
    command = ["simulate", "--port", "0", "--ledger", str(ledger), *arguments]
    process = Process(command, r"BATCHER_ENDPOINT=(http://\S+)", folder / "simulator.log", {})
    try:
        yield process
    finally:
        process.kill()


@contextmanager
def service(folder: Path, endpoint: str, *arguments: str, database: str | None = None, **env: str) -> Iterator[Process]:
    """A service with its data in *folder*, or in the *database* at that address, over the cloud at *endpoint*."""
    place = ["--data", str(folder / "data")] if database is None else ["--database", database]
    process = Process(
        ["serve", *place, "--listen", "127.0.0.1:0", *arguments],
        r"serves .* at (http://\S+)",
        folder / "service.log",
        {"BATCHER_ENDPOINT": endpoint, "BATCHER_PROJECT_ID": PROJECT, "BATCHER_TOKEN": "any", **env},
    )
    try:
        yield process
    finally:
        process.kill()


def request(method: str, url: str, body: bytes | None = None, **headers: str) -> Any:
    """What the service at *url* answers, as JSON."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(url, body, named, method=method), timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read())


def _pause() -> None:
    import time

    time.sleep(0.05)
