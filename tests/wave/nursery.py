"""Runs waves in processes of their own, which die when told to. Started as `python -m tests.wave.nursery`.

Reads one JSON object a line from standard input, forks a child that runs that wave as `batcher run` does, and answers
with a line on how the child ended. The fork spares the start-up of Python; the death is real.
"""

import asyncio
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batcher.api import Wave


def main() -> None:
    """Serve until standard input ends."""
    _say("ready")
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what it logs is not for whoever gives orders
            os._exit(_run(order))
        _say(json.dumps(_wait(child, order.get("kill_after_s"))))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _run(order: dict[str, Any]) -> int:
    try:
        return asyncio.run(_wave(order))
    except BaseException:  # noqa: BLE001 - whatever it is, the one who gave the order is told
        traceback.print_exc()
        return 70


async def _wave(order: dict[str, Any]) -> int:
    if order.get("file_size"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
    watch = _killer(*order["kill_at"]) if order.get("kill_at") else _nobody
    wave = Wave(Path(order["manifest"]), Path(order["results"]), watch=watch, **order["settings"])
    async with wave:
        end = await wave.run()
    return 0 if end.stop is None and not end.halted else 3


def _nobody(boundary: str) -> None:
    pass


def _killer(at: str, nth: int) -> Callable[[str], None]:
    """Kills its own process the *nth* time that the boundary *at* is passed."""
    left = nth

    def watch(boundary: str) -> None:
        nonlocal left
        if boundary == at:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return watch


def _wait(child: int, kill_after_s: float | None) -> dict[str, Any]:
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)  # a child that has ended is still there, until it is waited for
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status), "code": None}
    return {"signal": None, "code": os.WEXITSTATUS(status)}


if __name__ == "__main__":
    main()
