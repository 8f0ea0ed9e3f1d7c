"""`python first_request.py ARGUMENTS` runs `batcher ARGUMENTS`; the CPU time it had used when its first request left.

Nothing but what it takes to look is imported here: whatever else is loaded by then, batcher has loaded.
"""

import sys
import time
from typing import Any


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: the first connection over a network is about to be made."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and not used:
        used.append(time.process_time())


used: list[float] = []
sys.modules["uvloop"] = None  # type: ignore[assignment] # an extra: what is installed without one is measured
sys.addaudithook(_watch)
from batcher.cli.main import run  # noqa: E402 - what it imports is watched

if code := run(sys.argv[1:]):
    sys.exit(code)
print(used[0])
