"""`gate` and `report` on a wave of a service, in the service's own words."""

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from batcher.cli import exits
from batcher.cli.at_service import ask
from batcher.cli.outputs import STDOUT, Outputs, refuse_outputs
from batcher.cli.service_options import words
from batcher.cli.show.at_the_end import check_end, tell_end
from batcher.cli.show.blockers import of_service
from batcher.cli.show.gate_result import headline, print_gate
from batcher.cli.show.json_pieces import print_file
from batcher.cli.show.terminal import console
from batcher.client.service import MOST_AT_ONCE, Service
from batcher.errors import UserError
from batcher.gate.result import GateVerdict
from batcher.gate.told import ToldGate
from batcher.settings import RunSettings
from batcher.whole import whole_bytes


class _RulingWord(msgspec.Struct):
    """The one word of a ruling, however long that is."""

    verdict: GateVerdict


def ruled(wave: Path, service: str | None, token_file: str | None, settings: RunSettings, *, as_json: bool) -> int:
    """Say what the service's gate says of its *wave*; the exit code. Raises `UserError`."""
    check_end(settings)
    with tempfile.TemporaryFile() as file:
        gate, named = ask(
            partial(_asked, wave=str(wave), whole=file if as_json else None), service, token_file, settings
        )
        code = gate.exit_code
        if as_json:
            file.seek(0)
            code = msgspec.json.decode(file.read(), type=_RulingWord).verdict.exit_code
            print_file(file)
        else:
            print_gate(console(), gate, advice=lambda state, _, example: of_service(state, named, example))
    facts = {"wave": named, "exit_code": code, "gate": gate.as_json()}
    tell_end(settings, "gate", headline(gate).plain, facts)
    return code


async def _asked(speaking: Service, *, wave: str, whole: BinaryIO | None) -> tuple[ToldGate, str]:
    found = await speaking.wave(wave)
    if whole is not None:
        await found.client.download(f"{found.path}/gate", {}, whole)
    return await found.gate(most=MOST_AT_ONCE), words(found.client.access.url, found.id)


def report_of(
    wave: Path,
    outputs: Outputs,
    service: str | None,
    token_file: str | None,
    settings: RunSettings,
    *,
    as_json: bool,
) -> Iterator[str]:
    """Write the service's own report on its *wave* to each of *outputs*, or with *as_json* print it; what was written.

    Raises `UserError`.
    """
    asked = {"--html": outputs.html, "--csv": outputs.csv, "--markdown": outputs.markdown}
    files = {option: path for option, path in asked.items() if path is not None}
    if as_json and (files or outputs.differences_csv is not None):
        given = next(iter(files), "--differences-csv")
        raise click.UsageError(f"--json prints a summary, {given} writes one: use one of the two.")
    refuse_outputs([], asked)
    for option, path in files.items() if files else (("--json", STDOUT),):

        async def work(speaking: Service, format: str = _FORMATS[option]) -> None:
            await (await speaking.wave(str(wave))).report(file, format)

        with tempfile.TemporaryFile() as file:
            ask(work, service, token_file, settings)
            if path == STDOUT:
                print_file(file, end=b"\n" if as_json else b"")
                continue
            file.seek(0)
            try:
                with whole_bytes(path) as out:
                    shutil.copyfileobj(file, out)
            except OSError as error:
                raise UserError(f"cannot write {path}: {error.strerror}.", exit_code=exits.STOPPED) from None
        yield f"wrote {path}"


_FORMATS = {"--html": "html", "--csv": "csv", "--markdown": "md", "--json": "json"}
