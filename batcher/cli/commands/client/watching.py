"""`watch` on a wave of a service: shown until it ends, with what its gate says then."""

from pathlib import Path

import click
import orjson

from batcher.cli.at_service import ask, copies
from batcher.cli.service_options import words
from batcher.cli.show.at_the_end import accepted_by, check_end, tell_end
from batcher.cli.show.blockers import at_service
from batcher.cli.show.follow_end import FollowSummary
from batcher.cli.show.following import shown
from batcher.cli.show.terminal import console, screen
from batcher.client.followed_wave import WatchedWave
from batcher.client.service import MOST_AT_ONCE, Service, ServiceWave
from batcher.client.told import follow_end_of
from batcher.gate.told import ToldGate
from batcher.settings import RunSettings


def watch(wave: Path, service: str | None, token_file: str | None, settings: RunSettings, *, as_json: bool) -> int:
    """Follow the *wave* to its end, and say what the gate says of it; its exit code. Raises `UserError`."""
    check_end(settings)
    acceptances = accepted_by(settings)
    is_ours = settings.allow_inconsistent is not None

    async def follow(speaking: Service) -> tuple[ServiceWave, ToldGate | None]:
        found = await speaking.wave(str(wave))
        watched = WatchedWave(found.client, found.told)
        async with shown(watched.following, screen(), quiet=settings.quiet):
            found.told = await watched.until_over()
        return found, None if is_ours else await found.gate(most=MOST_AT_ONCE)

    found, gate = ask(follow, service, token_file, settings, while_waiting="the wave goes on at the service")
    end = follow_end_of(found.told)
    named = words(found.client.access.url, found.id)
    if gate is not None:
        verdict = FollowSummary(end, gate, goes_on=f"batcher control {named} start lets it go on")
    else:
        with copies([Path(found.id)], service, token_file, settings) as here:
            verdict = FollowSummary.of(here.paths[0], end, acceptances)
    said = {"wave": found.id, "exit_code": verdict.exit_code, **verdict.as_json()}
    if as_json:
        click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    elif not settings.quiet:
        verdict.print(console(stderr=True), advice=at_service({found.told["name"]: named, found.id: named}))
    tell_end(settings, "watch", verdict.text, said)
    return verdict.exit_code
