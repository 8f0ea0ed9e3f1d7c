"""Commands over waves of a service: asked through its API, or over copies of their lines, which are files as any."""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import orjson
from msgspec import Struct

from batcher import logs, streams
from batcher.cli.service_options import service_of, words
from batcher.cli.show.following import level_of
from batcher.cli.show.terminal import colors_on, screen
from batcher.cli.signals import Detached, until_signal
from batcher.client.errors import ServiceRefused
from batcher.client.lines import copy
from batcher.client.places import FilePlace, provisional_result, provisional_verdict
from batcher.client.service import Service, ServiceWave
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.journal.attached import attachment_of
from batcher.journal.files import WaveFiles
from batcher.settings import RunSettings
from batcher.whole import whole_bytes

if TYPE_CHECKING:
    from batcher.gate.accepted import Acceptance

T = TypeVar("T")
_UNSAFE = re.compile(r"[^\w .@+=-]|^[.\-]|\.jsonl$")
_LONGEST = 100


def ask(
    work: Callable[[Service], Awaitable[T]],
    service: str | None,
    token_file: str | None,
    settings: RunSettings,
    *,
    while_waiting: str = "nothing was changed",
) -> T:
    """What *work* makes of the service. Raises `UserError`, also where a signal ends it: *while_waiting* says then
    what that means."""
    err = screen()
    logs.configure(settings.log_format, level_of(settings), color=colors_on(err.stream))
    speaking = service_of(service, token_file, settings)

    async def run() -> T:
        async with speaking:
            return await work(speaking)

    with streams.never_waiting(), asyncio.Runner() as runner:
        ended = runner.run(until_signal(run()))
    if isinstance(ended, Detached):
        from batcher.exits import OF_SIGNALS

        raise UserError(f"{ended.signal.name}: {while_waiting}.", exit_code=OF_SIGNALS[ended.signal.name])
    return ended


class Copies(Struct, frozen=True, kw_only=True):
    """Copies of the lines of waves: results files, *paths*, each with the *words* that name its wave in a command.

    *acceptances* are what the service's own configuration accepts of their differences.
    """

    paths: tuple[Path, ...]
    words: Mapping[str, str]
    acceptances: "tuple[Acceptance, ...]"


@contextmanager
def copies(
    waves: Sequence[Path],
    service: str | None,
    token_file: str | None,
    settings: RunSettings,
    *,
    with_acceptances: bool = False,
) -> Iterator[Copies]:
    """Copies of the lines of the *waves*, which are named by id or name: results files, called as the waves are.

    They lie in the current folder, which is one of their own while the context lasts. Raises `UserError`.
    """
    with tempfile.TemporaryDirectory(prefix="batcher-") as folder:

        async def work(speaking: Service) -> Copies:
            found = [await speaking.wave(str(wave)) for wave in waves]
            found = list({wave.id: wave for wave in found}.values())
            named = [_called(wave, found) for wave in found]
            accepted: dict[Acceptance, None] = {}
            for wave, name in zip(found, named, strict=True):
                await _copied(wave, Path(folder) / name)
                if with_acceptances:
                    accepted |= dict.fromkeys(await _accepted(wave))
            return Copies(
                paths=tuple(Path(name) for name in named),
                words={name: words(wave.client.access.url, wave.id) for wave, name in zip(found, named, strict=True)},
                acceptances=tuple(accepted),
            )

        made = ask(work, service, token_file, settings)
        with chdir(folder):
            yield made


async def _accepted(wave: ServiceWave) -> "tuple[Acceptance, ...]":
    """What the service accepts of the wave's differences; nothing where it has no word on it yet."""
    try:
        return tuple((await wave.gate()).acceptances())
    except ServiceRefused as error:
        if error.status != 409:
            raise
        return ()


def _called(wave: ServiceWave, all_: Sequence[ServiceWave]) -> str:
    """What the copy is called: as the wave, where that can be a file's name and is no other's."""
    name = str(wave.told["name"])
    if _UNSAFE.search(name) or len(name.encode()) > _LONGEST or [w.told["name"] for w in all_].count(name) > 1:
        return wave.id
    return name


async def _copied(wave: ServiceWave, path: Path) -> None:
    results, verdicts = places_at(path)
    about = {"service": wave.client.access.url, "wave": wave.id, "entries": wave.told["entries"]}
    with whole_bytes(attachment_of(path)) as file:
        file.write(orjson.dumps(about) + b"\n")
    try:
        await copy(wave.client, f"{wave.path}/results", results, SystemClock())
        await copy(wave.client, f"{wave.path}/verdicts", verdicts, SystemClock())
        results.make()
    finally:
        results.close()
        verdicts.close()


def places_at(path: Path) -> tuple[FilePlace, FilePlace]:
    """Places for results at *path*, and for verdicts beside it."""
    return (
        FilePlace(path, provisional_result, None, lambda _: None),
        FilePlace(WaveFiles.of(path).verdicts, provisional_verdict, None, lambda _: None),
    )
