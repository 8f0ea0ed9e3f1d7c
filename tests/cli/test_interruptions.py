"""Ctrl-C at any moment of a start: the exit code says so, and nobody reads a traceback."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import clean_environment, write_manifest

# A real signal as the process begins to load the so many-th module after those of the entry point.
_INTERRUPTED = """
import os, signal, sys
left = int(sys.argv.pop(1))
begun = False
def watch(event, arguments):
    global begun, left
    if event != "import" or left < 0:
        return
    begun = begun or arguments[0] == "batcher.cli.main"
    left -= begun
    if left < 0:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(watch)
from batcher.__main__ import main
main()
"""
RUN = ("run", "wave.csv", "--endpoint", "http://127.0.0.1:9", "--project-id", "p")


def interrupted(folder: Path, after: int, *words: str) -> subprocess.CompletedProcess[str]:
    """What became of `batcher` with *words*, interrupted as it began to load the module *after* so many others."""
    command = [sys.executable, "-c", _INTERRUPTED, str(after), *words]
    environment = {**clean_environment(folder), "BATCHER_TOKEN": "none"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "after"),
    [
        (("--help",), 0),
        (("--version",), 7),
        (("gate", "--help"), 45),
        *((RUN, n) for n in (20, 95, 160, 220, 310, 400)),
    ],
)
def test_an_interrupted_start_ends_with_its_code_and_no_traceback(
    tmp_path: Path, words: tuple[str, ...], after: int
) -> None:
    write_manifest(tmp_path / "wave.csv", ["job-1"])
    ended = interrupted(tmp_path, after, *words)
    assert ended.returncode == 130, ended.stderr
    assert ended.stderr.strip() in ("", "interrupted")
    assert ended.stdout == ""
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["wave.csv"]  # nothing was begun


def test_next_to_nothing_is_loaded_before_an_interruption_is_taken_quietly() -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nimport batcher.__main__\n"
        "print(sorted(name for name in set(sys.modules) - before if name.partition('.')[0] != 'batcher'))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(ast.literal_eval(said)) <= {"_signal"}  # which is built in


def test_an_interruption_that_python_cannot_pass_on_is_not_lost() -> None:
    """In a class that is being made it becomes the cause of another error, and in a callback it is only told of."""
    code = """
import signal, sys, time, weakref
import click
from batcher.cli import interruptions
from batcher.cli import main

class Named:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGINT)

class Gone:
    pass

@click.command()
@click.argument("where")
def here(where):
    if where == "class":
        type("Class", (), {"named": Named()})
    if where == "text":
        exec("signal.raise_signal(signal.SIGINT)", {"signal": signal})
    gone = Gone()
    known = weakref.ref(gone, lambda _: signal.raise_signal(signal.SIGINT))
    del gone
    time.sleep(30)

interruptions.end_at_once()
main.cli = here
main.main([sys.argv[1]])
"""
    for where in ("class", "callback", "text"):
        ended = subprocess.run([sys.executable, "-c", code, where], capture_output=True, text=True)
        assert (ended.returncode, ended.stderr.strip()) == (130, "interrupted"), (where, ended.stderr)


@pytest.mark.parametrize("after", [5, 60])
def test_a_start_in_the_background_is_not_interrupted(tmp_path: Path, after: int) -> None:
    """What a script sends to the background has the signal ignored, as under nohup."""

    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    command = [sys.executable, "-c", _INTERRUPTED, str(after), "gate", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), preexec_fn=ignore)
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage:")
