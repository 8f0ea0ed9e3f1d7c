"""Commands as processes of their own, with streams and surroundings as bad as they get, forked from one that has all
imports: a tenth of what an interpreter of its own takes."""

import faulthandler
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

from tests.cli.commands import PATIENCE_S, Ended, clean_environment

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["pytest", "rich.table", "structlog", "tests.surroundings"]
    + [f"batcher.cli.{name}" for name in ("auth", "check", "conduct", "preflight", "report", "run", "watch")]
)

_ONE_AT_A_TIME = threading.Lock()  # whoever starts a process looks for the end of all others, and it is told only once

State = Literal["file", "null", "closed", "full", "broken", "stuck", "silent"]
"""What a stream is: a file that is looked at afterwards, nothing, closed, a full disk, a pipe whose reader has left, a
full pipe whose reader does not read, a pipe to which nobody writes."""


@dataclass(frozen=True, slots=True)
class Plumbing:
    """What the standard streams are."""

    stdin: State = "null"
    stdout: State = "file"
    stderr: State = "file"


class Forked:
    """A command under way in *folder*, with nothing but *environ* and a home in *folder*, less the names in *without*.

    *before* is called in its process first; it must be a function of a module.
    """

    def __init__(
        self,
        arguments: Sequence[object],
        folder: Path,
        environ: Mapping[str, str],
        plumbing: Plumbing = Plumbing(),
        before: Callable[[], None] | None = None,
        without: Sequence[str] = (),
    ) -> None:
        self.out, self.err = (folder / f".{name}" for name in ("stdout", "stderr"))
        for path in (self.out, self.err):
            path.write_bytes(b"")
        environment = {**clean_environment(folder), "PYTHONFAULTHANDLER": "1", **environ}
        for name in without:
            environment.pop(name, None)
        told = (list(map(os.fspath, map(str, arguments))), folder, environment, plumbing, before)
        self.process: ForkServerProcess = _FORKS.Process(target=_command, args=told)
        with _ONE_AT_A_TIME:
            self.process.start()

    @property
    def told(self) -> str:
        """What it has written to standard error so far."""
        return self.err.read_bytes().decode(errors="surrogateescape")

    def end(self) -> Ended:
        """Wait for its end."""
        wait([self.process.sentinel], PATIENCE_S)
        with _ONE_AT_A_TIME:
            code = self.process.exitcode
        if code is None:
            self.process.kill()
            raise AssertionError(f"it does not end; it has said: {self.told}")
        with _ONE_AT_A_TIME:
            self.process.close()
        return Ended(code, self.out.read_bytes().decode(errors="surrogateescape"), self.told)


def ran(
    arguments: Sequence[object],
    folder: Path,
    environ: Mapping[str, str],
    plumbing: Plumbing = Plumbing(),
    before: Callable[[], None] | None = None,
    without: Sequence[str] = (),
) -> Ended:
    """A command that has ended."""
    return Forked(arguments, folder, environ, plumbing, before, without).end()


def _command(
    arguments: list[str],
    folder: Path,
    environ: Mapping[str, str],
    plumbing: Plumbing,
    before: Callable[[], None] | None,
) -> None:
    for number, state in enumerate((plumbing.stdin, plumbing.stdout, plumbing.stderr)):
        _plumb(number, state, folder / (".stdout" if number == 1 else ".stderr"))
    # multiprocessing has put something else in its place.
    sys.stdin = None if plumbing.stdin == "closed" else open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    if plumbing.stderr == "file":
        faulthandler.enable()
    sys.argv = ["batcher", *arguments]
    if before is not None:
        before()
    from batcher.cli.main import main

    main()


def _plumb(number: int, state: State, file: Path) -> None:
    match state:
        case "closed":
            os.close(number)
            return
        case "file":
            fd = os.open(file, os.O_WRONLY | os.O_APPEND)
        case "null" | "full":
            fd = os.open(f"/dev/{state}", os.O_RDWR)
        case "broken":
            reading, fd = os.pipe()
            os.close(reading)
        case "silent":
            fd, _ = os.pipe()  # the other end stays open, here
        case "stuck":
            _, fd = os.pipe()  # the other end stays open, here
            os.set_blocking(fd, False)
            try:
                while True:
                    os.write(fd, b"." * 512)
            except BlockingIOError:
                os.set_blocking(fd, True)
    os.dup2(fd, number)
    os.close(fd)
