"""Whatever is typed, found or set: a documented exit code and a sentence, never a traceback.

Every command of the table in `batcher.cli.main` is taken in by itself: what it must be given is read from its
parameters, and `GIVEN` has only what they do not tell.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import pytest

from batcher.cli.main import SECTIONS, cli
from batcher.simulator.config import CloudConfig
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import write_manifest
from tests.cli.conftest import environment_for
from tests.forked import ran
from tests.surroundings import BYTES, CONTROL, LONG, WORLDS, World

CODES = frozenset({0, 1, 2, 3, 4, 129, 130, 141, 143})
NAMES = [name for section in SECTIONS.values() for name in section]

# Files that are there, by the names under which commands ask for them.
FILES = {"manifest": "wave.csv", "results": "results.jsonl", "journal": "results.jsonl.journal", "folder": "new"}
# What a command must be given, beyond what its parameters tell.
GIVEN: Mapping[str, tuple[str, ...]] = {
    "auth": ("wave.csv",),
    "control": ("results.jsonl", "status"),
    "demo": ("--fast", "--folder", "new"),
    "explain": ("results.jsonl", "--index", "0"),
    "run": ("wave.csv", "-o", "new.jsonl"),
    "select": ("results.jsonl", "--status", "created", "-o", "new.jsonl"),
    "settle": ("results.jsonl", "--index", "0", "--as", "failed"),
    "serve": ("--listen", "nowhere"),  # it serves until it is told to stop
    "simulate": ("--list-faults",),  # so does it
}


def given(name: str) -> tuple[str, ...]:
    """Sound arguments for the command *name*."""
    if name in GIVEN:
        return GIVEN[name]
    with click.Context(cli) as context:
        command = cli.get_command(context, name)
    assert command is not None
    words: list[str] = []
    for parameter in command.params:
        if not parameter.required:
            continue
        value = parameter.type.choices[0] if isinstance(parameter.type, click.Choice) else "new"
        value = FILES.get(parameter.name or "", value)
        words += [value] if isinstance(parameter, click.Argument) else [parameter.opts[-1], value]
    return tuple(words)


# What may be typed for any word: in the place of each that a command is given.
WORDS = (
    "", ".", "home", "-", "--", "nowhere", "nowhere/at/all", "wave.csv/below", "wave.csv", "results.jsonl", "odd.bin",
    "empty", "results.jsonl.journal", LONG, f"{LONG}.jsonl", "x" * 250, "x/" * 3000, BYTES, f"{BYTES}.jsonl", CONTROL,
    "a\nb.csv", "=", "--=x", "--nope", "-o", "~nobody-at-all/x", "é→.csv", "9" * 5000, "device",
)  # fmt: skip


Template = tuple[Path, dict[str, str]]
"""A folder with a wave that has ended, and the variables of a cloud."""


@contextmanager
def made(folder: Path) -> Iterator[Template]:
    """The template, in *folder*."""
    write_manifest(folder / "wave.csv", ["job-1", "job-2"])
    (folder / "odd.bin").write_bytes(bytes(range(256)) * 20)
    (folder / "empty").touch()
    (folder / "home").mkdir()
    with ThreadedSimulator(ServiceConfig(cloud=CloudConfig(speed=1e6))) as simulator:
        unhurried = environment_for(simulator)
        assert ran(("run", "wave.csv", "-o", "results.jsonl", "--wait"), folder, unhurried).code in (0, 1)
        environ = {
            **unhurried,
            "BATCHER_DEADLINE": "1s",
            "BATCHER_GIVE_UP_AFTER": "1s",
            "BATCHER_WATCH_TIMEOUT": "1s",
            "BATCHER_TIMEOUT": "2s",
            "BATCHER_CONNECT_TIMEOUT": "1s",
        }
        yield folder, environ


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    with made(tmp_path_factory.mktemp("template")) as template:
        yield template


def check(template: Template, folder: Path, words: tuple[str, ...], world: World) -> str | None:
    """What is wrong with how `batcher` *words* ends in *world*; None: nothing."""
    source, environ = template
    shutil.copytree(source, folder)
    with suppress(PermissionError):  # an ordinary user has no device of his own
        os.mknod(folder / "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    environ = {"HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "home"), **environ}
    told = {name: value for name, value in {**environ, **world.environ}.items() if value is not None}
    unset = tuple(name for name, value in world.environ.items() if value is None)
    ended = ran(words, folder, told, world.plumbing, world.before, without=unset)
    said = ended.out + ended.err
    if ended.code in CODES and "Traceback" not in said and "defect" not in ended.err:
        return None
    return f"{world.name}: batcher {' '.join(words)[:200]!r} ends with {ended.code}: {ended.err[-1500:]}"


def check_all(template: Template, folder: Path, cases: list[tuple[tuple[str, ...], World]]) -> list[str]:
    """What is wrong with any of *cases*."""
    with ThreadPoolExecutor(4) as pool:
        begun = [pool.submit(check, template, folder / str(number), *case) for number, case in enumerate(cases)]
    return [wrong for one in begun if (wrong := one.result()) is not None]


def mistyped() -> Iterator[tuple[str, ...]]:
    """Each command with each of its words replaced by each of `WORDS`."""
    for name in NAMES:
        words = given(name)
        for place in range(len(words)):
            for word in WORDS:
                yield name, *words[:place], word, *words[place + 1 :]
        yield from ((name, *words, word) for word in WORDS[:6])


HEAVY = {"demo"}  # it runs 300 entries, whatever the variables are
SURROUNDED = [
    ((name, *given(name)), world)
    for world in WORLDS
    for name in NAMES
    if name not in HEAVY or not world.environ or world.before
]
MISTYPED = [(words, World("a sound world")) for words in mistyped()]


def test_every_command_is_taken_in() -> None:
    assert {words[0] for words, _ in SURROUNDED} == set(NAMES) == {words[0] for words, _ in MISTYPED}


@pytest.mark.parametrize("part", range(2))
def test_a_sample_of_them(template: Template, tmp_path: Path, part: int) -> None:
    """With every command in it; `scripts/try-anything` tries all."""
    cases = [*SURROUNDED[:: 2 * len(NAMES) + 1], *MISTYPED[:: len(MISTYPED) // 40]][part::2]
    wrong = check_all(template, tmp_path, cases)
    assert not wrong, "\n\n".join(wrong)
