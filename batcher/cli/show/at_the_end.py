"""What happens last: the summary goes where --notify and --on-end say. Neither changes the exit code."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batcher.cli import exits
from batcher.cli.show.terminal import note
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.homes import expanded
from batcher.masking import mask_values
from batcher.settings import RunSettings

if TYPE_CHECKING:
    from batcher.gate.accepted import Acceptance

MOST_TOLD = 1000  # of the entries in the way, and of the accepted differences: nobody's hook takes a million


def check_end(settings: RunSettings) -> None:
    """Find out before anything is done what would keep the end from being told. Raises `UserError`."""
    if settings.notify is not None:
        from batcher.notify.send import notify_secret

        notify_secret()


def accepted_by(settings: RunSettings) -> "tuple[Acceptance, ...]":
    """The accepted differences that *settings* name. Raises `AcceptanceError`."""
    if settings.allow_inconsistent is None:
        return ()
    from batcher.gate.accepted import read_acceptances

    return read_acceptances(expanded(settings.allow_inconsistent))


@contextmanager
def telling_stop(settings: RunSettings, event: str) -> Iterator[None]:
    """Tell also of an *event* (a command) that was stopped by an error: its end is never reached."""
    try:
        yield
    except UserError as error:
        if error.exit_code == exits.STOPPED:
            tell_end(settings, event, error.message, {"exit_code": error.exit_code, "stopped": error.message})
        raise


def tell_end(settings: RunSettings, event: str, text: str, facts: Mapping[str, Any]) -> None:
    """Tell how *event* (a command) ended; what goes wrong with that is said on stderr."""
    if settings.notify is None and settings.on_end is None:
        return
    from batcher.notify.send import run_command, summary

    body = mask_values(summary(event, text, facts, SystemClock.now()).decode()).encode()
    problems = []
    if settings.notify is not None:
        problems.append(asyncio.run(_post(settings, settings.notify, body)))
    if settings.on_end is not None:
        problems.append(run_command(settings.on_end, body))
    for problem in filter(None, problems):
        note(problem)


async def _post(settings: RunSettings, url: str, body: bytes) -> str | None:
    from batcher.clock import SystemClock
    from batcher.drs.transport import AiohttpTransport
    from batcher.notify.send import notify_secret, post

    async with AiohttpTransport(
        limit=1, connect_timeout_s=5.0, total_timeout_s=10.0, ca_bundle=settings.ca_bundle, proxy=settings.proxy
    ) as transport:
        return await post(transport, url, body, notify_secret(), SystemClock())
