"""A worker of the fleet: `batcher worker`, which tells the cloud who sends, and freezes or dies when told.

Started as `python -m tests.machines.fleet.member FILE`, FILE with a JSON object: `arguments` of batcher, `name`,
`orders` (a file that is read at SIGUSR1), `mutate`.

Nothing of what is tested is replaced: a header is added to each request, and the points that a wave passes are watched.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from batcher.clock import SystemClock

SENDER = "X-Tested-Sender"
_sender: ContextVar[str] = ContextVar("sender", default="nobody/0")


class Points:
    """What happens at the named points that a wave passes. *orders* are read at SIGUSR1."""

    def __init__(self, orders: Path) -> None:
        self._orders = orders
        self._armed: dict[str, Any] | None = None
        self._passed: Counter[str] = Counter()
        self._ahead_s = 0.0
        signal.signal(signal.SIGUSR1, self._told)
        real = time.time
        SystemClock.now = staticmethod(lambda: real() + self._ahead_s)

    def _told(self, *_: object) -> None:
        order = json.loads(self._orders.read_text())
        if "clock_ahead_s" in order:
            self._ahead_s = order["clock_ahead_s"]
        else:
            self._passed.clear()
            self._armed = order

    def passed(self, point: str) -> None:
        """The wave passes *point*."""
        self._passed[point] += 1
        order = self._armed
        if order is not None and order["at"] == point and self._passed[point] >= order["nth"]:
            self._armed = None
            os.kill(os.getpid(), signal.SIGKILL if order["do"] == "kill" else signal.SIGSTOP)


def main() -> None:
    """Be a worker."""
    told = json.loads(Path(sys.argv[1]).read_text())
    points = Points(Path(told["orders"]))  # before anything keeps the clock as it is

    from msgspec.structs import replace

    from batcher.cli.main import main as batcher
    from batcher.drs.answer import Answer
    from batcher.drs.cloud import HttpRequest
    from batcher.drs.transport import AiohttpTransport
    from batcher.machines import scope_run, working
    from batcher.machines.held_scope import HeldScope

    run_scope, send, work = scope_run.run_scope, AiohttpTransport.send, working.work

    async def named_run(held: HeldScope, *others: Any, **more: Any) -> Any:
        _sender.set(f"{told['name']}/{held.epoch}")
        return await run_scope(held, *others, **more)

    async def named_send(self: AiohttpTransport, request: HttpRequest) -> Answer:
        return await send(self, replace(request, headers={**request.headers, SENDER: _sender.get()}))

    async def watched(*arguments: Any) -> None:
        await work(*arguments, watch=points.passed)

    for owner, name, value in (
        (working, "run_scope", named_run), (working, "work", watched), (AiohttpTransport, "send", named_send),
    ):  # fmt: skip
        setattr(owner, name, value)
    if told["mutate"] == "send-check":
        setattr(HeldScope, "check", lambda *_: None)  # noqa: B010
    batcher(told["arguments"])


if __name__ == "__main__":
    main()
