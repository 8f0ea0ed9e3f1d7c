"""`batcher run --journal postgresql://…`: the wave is in a database that machines share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batcher.cli import exits
from batcher.settings import Loaded

if TYPE_CHECKING:
    from batcher.cli.show.running_wave import RunningWave
    from batcher.drs.auth.sources import CredentialSources
    from batcher.journal.place import WavePlace
    from batcher.machines.shared_wave import SharedWave
    from batcher.wave.sink import Sink


def shared_wave(
    manifest: Path,
    results: Path | None,
    place: "WavePlace",
    *,
    loaded: Loaded,
    credentials: "CredentialSources",
    command: str,
    format: str | None,
    encoding: str | None,
    output: "Sink | None",
) -> "SharedWave":
    """The wave at *place*, to be entered. Raises `UserError`."""
    from batcher.machines.shared_wave import SharedWave

    return SharedWave(
        manifest,
        results,
        place,
        loaded=loaded,
        credentials=credentials,
        command=command,
        format=format,
        encoding=encoding,
        output=output,
    )


def submit(make: "Callable[[], RunningWave]", *, as_json: bool) -> int:
    """Hand the wave in that *make* gives, and leave it to workers. Prints its place. Raises what entering it does."""
    import asyncio

    import orjson

    from batcher.cli.show.terminal import tell
    from batcher.machines.shared_wave import SharedWave

    wave = make()
    assert isinstance(wave, SharedWave)  # noqa: S101 - the command looked
    found = asyncio.run(wave.submit())
    left = found.to_go + found.in_doubt
    for said in found.said:
        tell(said)
    if as_json:
        click.echo(orjson.dumps({"journal": str(wave.place), "wave": wave.place.wave, "to_go": left}))
    else:
        click.echo(str(wave.place))
        tell(
            f"{left:,} to go, for whichever machine runs `batcher worker` on that database. Where it stands: "
            f"batcher status --journal '{wave.place}'"
        )
    return exits.CREATED
