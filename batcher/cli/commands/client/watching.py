"""`watch` on a wave of a service: shown until it ends, and judged here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from batcher.cli.at_service import copies, places_at
from batcher.cli.show.at_the_end import accepted_by, check_end, tell_end
from batcher.cli.show.follow_end import FollowSummary
from batcher.cli.show.following import shown
from batcher.cli.show.terminal import console, screen
from batcher.client.followed_wave import FollowedWave
from batcher.client.service import ServiceWave
from batcher.client.told import follow_status_of, stop_of
from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.journal.files import WaveFiles
from batcher.settings import RunSettings


def watch(wave: Path, service: str | None, token_file: str | None, settings: RunSettings, *, as_json: bool) -> int:
    """Follow the *wave* to its end, and say what the gate says of it; its exit code. Raises `UserError`."""
    check_end(settings)
    acceptances = accepted_by(settings)
    ended: list[Mapping[str, Any]] = []

    async def follow(found: ServiceWave, path: Path) -> None:
        results, verdicts = places_at(path)
        followed = FollowedWave(found.client, found.told, results, verdicts)
        try:
            async with shown(followed.following, screen(), quiet=settings.quiet):
                ended.append(await followed.run())
            results.make()
        finally:
            results.close()
            verdicts.close()

    with copies([wave], service, token_file, settings, until_over=follow) as (here,):
        told = ended[0]
        status = follow_status_of(told) or FollowStatus(entries=0, verdicts={}, running=0, looks=0, silent=False)
        end = FollowEnd(verdicts=WaveFiles.of(here).verdicts, status=status, stop=stop_of(told), halted={})
        verdict = FollowSummary.of(here, end, acceptances)
        said = {"wave": told["id"], "exit_code": verdict.exit_code, **verdict.as_json(), "verdicts": None}
        if as_json:
            click.echo(orjson.dumps(said, option=orjson.OPT_INDENT_2))
        elif not settings.quiet:
            verdict.print(console(stderr=True), kept=False)
        tell_end(settings, "watch", verdict.text, said)
        return verdict.exit_code
