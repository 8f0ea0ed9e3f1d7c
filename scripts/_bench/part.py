"""A subject measured in a process of its own, within its time: one that hangs or fails takes no other with it.

`python -m _bench.part SUBJECT FILE` writes each row to FILE as soon as it is known.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from _bench.common import ROOT, Row, surroundings

CUT_SHORT = "not measured to its end"
_ENDS_S = 30.0  # for a subject that is told to end, with its server and workers


class Subject(NamedTuple):
    """What is measured, in the *module* of that name, and how many *minutes* it may take."""

    module: str
    minutes: float
    needs: str | None = None  # by default only what every machine has, and what takes no long time


SUBJECTS = {
    "throughput": Subject("throughput", 6),
    "machines": Subject("machines", 8),
    "keepers": Subject("keepers", 5),
    "startup": Subject("startup", 5),
    "follow": Subject("follow", 12),
    "size": Subject("size", 6),
    "pace": Subject("pace", 6),
    "scale": Subject("scale", 30),
    "counts": Subject("counts", 20, needs="valgrind, and its time"),
}


def measured(name: str, *, quick: bool, ends_at: float) -> list[Row]:
    """The rows of the subject *name*, which ends by *ends_at*, monotonic, in any case.

    Where it fails or takes too long, those that there are, and one that says so.
    """
    minutes = min(SUBJECTS[name].minutes, max(0.0, ends_at - time.monotonic()) / 60)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as another user
        told = Path(folder, "rows")
        options = ["--quick"] if quick else []
        where = surroundings(ROOT)
        where["env"]["TMPDIR"] = folder  # what is left of one that was killed goes with it
        process = subprocess.Popen(
            [sys.executable, "-m", "_bench.part", name, str(told), *options], start_new_session=True, **where
        )
        try:
            status = process.wait(minutes * 60)
            why = None if status == 0 else f"it ended with {status}"
        except subprocess.TimeoutExpired:
            why = f"it took more than {minutes:.1f} minutes"
        finally:
            _end(process)
        found = [Row(**json.loads(line)) for line in told.read_bytes().splitlines()] if told.exists() else []
    if why is not None:
        found.append(Row(subject=CUT_SHORT, figure=why, good=False))
    return found


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and all that it has begun."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_ENDS_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whatever is left of the group


def main() -> None:
    """Measure a subject."""
    parser = argparse.ArgumentParser()
    parser.add_argument("subject", choices=SUBJECTS)
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is open is closed
    module = __import__(f"_bench.{SUBJECTS[arguments.subject].module}", fromlist=["rows"])
    rows: Callable[..., Iterator[Row]] = module.rows
    began = time.monotonic()
    with arguments.file.open("ab", buffering=0) as file:
        for row in rows(quick=arguments.quick):
            file.write(json.dumps(asdict(row)).encode() + b"\n")
    print(f"  {arguments.subject} took {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
