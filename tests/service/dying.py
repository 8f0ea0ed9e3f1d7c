"""A service that dies by SIGKILL at a step of its own: `python -m tests.service.dying STEP serve …`."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from batcher.cli.main import main
from batcher.service import waves
from batcher.service.kept.folders import DataFolder
from batcher.service.kept.register import Register
from batcher.service.running.run import Run
from batcher.wave.collector import Collector


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(owner: Any, name: str, count: int = 1) -> Callable[[], None]:
    """Die when *owner*'s method called *name* has ended for the nth time."""

    def patch() -> None:
        method, left = getattr(owner, name), [count]

        def then() -> None:
            left[0] -= 1
            if not left[0]:
                _die()

        def called(*args: Any, **more: Any) -> Any:
            answer = method(*args, **more)
            if hasattr(answer, "__await__"):
                return awaited(answer)
            then()
            return answer

        async def awaited(answer: Any) -> Any:
            said = await answer
            then()
            return said

        setattr(owner, name, called)

    return patch


STEPS: dict[str, Callable[[], None]] = {
    "manifest on disk": _after(waves, "receive"),
    "manifest checked": _after(waves, "check"),
    "folder in place": _after(DataFolder, "admit"),
    "wave durable": _after(Register, "add"),
    "begun": _after(Register, "change", 1),
    "planned": _after(Register, "change", 2),
    "results under way": _after(Collector, "settled", 4),
    "run over": _after(Run, "play"),
    "end durable": _after(Register, "change", 3),
}

STOPPING = {"stop asked for": _after(Register, "change", 3)}

if __name__ == "__main__":
    {**STEPS, **STOPPING}[sys.argv[1]]()
    main(sys.argv[2:])
