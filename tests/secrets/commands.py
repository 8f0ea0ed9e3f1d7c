"""Commands as processes of their own, without paying for their imports each time: forked from one that has them."""

import asyncio
import faulthandler
import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "pytest",
        "batcher.cli.commands.run",
        "batcher.cli.conduct",
        "batcher.cli.commands.check",
        "batcher.cli.commands.auth",
        "batcher.cli.commands.watch",
    ]
)
DEFECT = 70


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended: its exit code, and all it said."""

    args: tuple[str, ...]
    code: int
    said: bytes

    def __post_init__(self) -> None:
        assert self.code != DEFECT, f"a defect: {self.said.decode()}"

    def texts(self) -> list[tuple[str, bytes]]:
        return [(f"output of {' '.join(self.args)}", self.said)]


def environment(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Nothing but *environ*, and what a process cannot do without."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    return {**own, "NO_COLOR": "1", "PYTHONFAULTHANDLER": "1", **environ}


async def batcher(folder: Path, environ: Mapping[str, str], *args: str) -> Ran:
    """Run a command in *folder* with *environ*, in a process that is forked for it."""
    with TemporaryDirectory() as kept:
        said = Path(kept, "said")
        process = _FORKS.Process(target=_command, args=(args, environment(folder, environ), folder, said))
        process.start()
        try:
            await asyncio.to_thread(process.join)
        except asyncio.CancelledError:
            process.kill()  # its cloud is gone, and it would wait for it
            raise
        code = process.exitcode
        process.close()
        assert code is not None
        return Ran(args, code, said.read_bytes())


def _command(args: tuple[str, ...], environ: Mapping[str, str], folder: Path, said: Path) -> None:
    output = os.open(said, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    faulthandler.enable()
    sys.argv = ["batcher", *args]
    from batcher.cli.main import main

    main()


async def batcher_alone(folder: Path, environ: Mapping[str, str], *args: str, stdin: bytes = b"") -> Ran:
    """The same, in an interpreter of its own, as from a shell."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "batcher",
        *args,
        cwd=folder,
        env=environment(folder, environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return Ran(args, process.returncode, said)
