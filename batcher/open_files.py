"""How many files and connections this process may have open at once, and how many of those are still free."""

import os
import resource
from contextlib import suppress

from batcher.errors import UserError

LEAST = 32  # with fewer not even a small wave goes: interpreter, event loop, journal, results, a connection
_SPARE = 12  # besides connections: verdicts, control, log, names that are looked up, modules that are loaded later
_ENOUGH = 4096


def require() -> None:
    """Raise our own limit as far as the system lets us. Raises `UserError` where even that is too little."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _ENOUGH:
        return
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        soft = max(soft, wanted)
    if soft < LEAST:
        raise UserError(f"at most {soft} files may be open at once, and batcher needs {LEAST}: raise ulimit -n.")


def room(wanted: int) -> int:
    """How many connections, of *wanted*, there can be at once. Raises `UserError` where there can be none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    free = soft - _in_use(soft) - _SPARE
    if free < 1:
        raise UserError(f"at most {soft} files may be open at once, too few for a connection: raise ulimit -n.")
    return min(wanted, free)


def _in_use(soft: int) -> int:
    try:
        return len(os.listdir("/dev/fd"))  # noqa: PTH208 - no paths are wanted
    except OSError:
        return min(soft // 4, 32)  # nobody tells
