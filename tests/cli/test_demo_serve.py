"""`batcher demo --serve`: the service for a first look, over a cloud of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson

from tests.cli.conftest import Batcher
from tests.packaging.checkout import ROOT

ELSEWHERE = {
    "BATCHER_ENDPOINT": "http://127.0.0.1:9",
    "BATCHER_RATE": "1/h",
    "BATCHER_AK": "real",
    "BATCHER_SK": "real",
}


@contextmanager
def demo(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A demo as a process, in whose environment a real cloud is named, and where it serves; "" where it does not."""
    command = (sys.executable, "-m", "batcher", "demo", "--serve", "--listen", "127.0.0.1:0", "--folder", str(folder))
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **ELSEWHERE},
    )
    assert process.stderr is not None
    try:
        found = (match[1].decode() for line in process.stderr if (match := re.search(rb"Open (http://\S+)", line)))
        yield process, next(found, "")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def body(url: str, path: str) -> bytes:
    connection = HTTPConnection(url.removeprefix("http://"))
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def waves(url: str) -> dict[str, Any]:
    return {wave["name"][:7]: wave for wave in orjson.loads(body(url, "/v1/waves"))["waves"]}


def test_it_serves_a_wave_that_runs_and_one_that_waits_and_ends_with_a_signal(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.joinpath("service").mkdir(parents=True)
    folder.joinpath("service", "service.sqlite").write_text("of an old demo")
    folder.joinpath(".batcher-demo").touch()
    with demo(folder) as (process, url):
        deadline = time.monotonic() + 90
        while not (found := waves(url))["night-1"]["counts"]["created"]:
            assert time.monotonic() < deadline, found
            time.sleep(0.1)
        assert found["night-1"]["state"] == "running"
        assert found["night-2"]["state"] == "held"
        assert b"/page/main.js" in body(url, "/")
        with demo(folder) as (another, said):
            assert (another.wait(timeout=90), said) == (2, "")
        assert len(waves(url)) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=90) == 0


def test_what_is_of_the_other_demo_is_refused(batcher: Batcher) -> None:
    assert "leave it out with --serve" in batcher("demo", "--serve", "--fast").err
    ended = batcher("demo", "--listen", "127.0.0.1:0")
    assert (ended.code, Path("demo").exists()) == (2, False)
