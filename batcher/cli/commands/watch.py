"""`batcher watch`: from created to verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli.all_of_it import counts_of, entries_option
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.entries import journal_option, shared_place
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import is_at_service, only_with_service, service_options

if TYPE_CHECKING:
    from batcher.drs.auth.sources import CredentialSources
    from batcher.follow.follower import FollowEnd
    from batcher.journal.place import JournalPlace, WavePlace
    from batcher.settings import RunSettings

_SETTINGS = (
    "region",
    "endpoint",
    "insecure_http",
    "read_rate",
    "concurrency",
    "timeout",
    "connect_timeout",
    "language",
    "watch_timeout",
    "poll",
    "allow_inconsistent",
    "notify",
    "on_end",
    "ca_bundle",
    "proxy",
    "quiet",
    "timezone",
    "log_format",
    "log_level",
)

_EPILOG = """\b
Examples:
  batcher watch results.jsonl
  batcher watch results.jsonl --watch-timeout 6h --allow-inconsistent accepted.csv
  batcher watch results.jsonl --json | jq .verdict
  batcher watch --service https://batcher.example.com night-3

The verdicts stand in results.verdicts.jsonl, one line an entry, as soon as they fall. Interrupt it whenever you
like: the same command goes on where it was.

\b
Exit codes: 0 every verdict is consistent (or accepted); 1 not; 2 bad usage or files, or it cannot be told whether
all entries of the wave were seen; 3 a scope's credential was refused, or the database or the service is away;
129/130/143 stopped by a signal, resumable.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("results", type=click.Path(path_type=Path))
@journal_option
@entries_option
@click.option("--json", "as_json", is_flag=True, help="Print the gate's result as a JSON object.")
@service_options
@settings_options(_SETTINGS)
@credential_flags
def command(
    results: Path,
    journal: "JournalPlace | None",
    entries: tuple[str, ...],
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Follow the comparison tasks that the wave of RESULTS created, each until it ends, to a verdict.

    All jobs together are looked at within the limit of look-ups. Where something differs, all of its details are
    read: names and counts, never rows. With --service RESULTS is a wave of that service, which follows what was handed
    in with --wait: it is shown here until it ends. Of a wave in a database --journal names the place: what it has
    created by now is written to RESULTS first, and the verdicts that are there beside that. Where machines follow it
    (`run --wait`), so are those that they find, until all are there; else the cloud is asked from here.
    """
    options = credential_options(parameters)
    loaded = load_given(parameters, _SETTINGS)
    settings = loaded.settings

    place = shared_place(journal, service)
    if place is None and is_at_service(results, service, service_token_file):
        only_with_service(("allow_inconsistent", "notify", "on_end", "quiet", "log_format", "log_level"))
        from batcher.cli.commands.client.watching import watch

        return watch(results, service, service_token_file, settings, as_json=as_json)

    from batcher.cli.show.at_the_end import MOST_TOLD, accepted_by, check_end, tell_end, telling_stop
    from batcher.cli.show.follow_end import FollowSummary
    from batcher.cli.show.terminal import console
    from batcher.settings.credentials import credential_sources

    if place is not None:
        from batcher.cli.commands.shared.lines import bring_in_line

        bring_in_line(place, results)
    counts = counts_of([results], entries)
    check_end(settings)
    acceptances = accepted_by(settings)
    with telling_stop(settings, "watch"):
        end = _follow(results, journal, settings, credential_sources(settings, loaded.config, options))
    if place is not None:
        _bring_what_came(place, results)
    verdicts = FollowSummary.of(results, end, acceptances, journal=journal, entries=counts)
    said = {"results": str(results), "exit_code": verdicts.exit_code}
    if as_json:
        import orjson

        click.echo(orjson.dumps(said | verdicts.as_json(), option=orjson.OPT_INDENT_2))
    elif not settings.quiet:
        from batcher.cli.show.blockers import advice_for

        verdicts.print(console(stderr=True), advice=advice_for(journal))
    tell_end(settings, "watch", verdicts.text, said | verdicts.as_json(MOST_TOLD))
    return verdicts.exit_code


def _bring_what_came(place: "WavePlace", results: Path) -> None:
    """Have RESULTS say what was settled while others were followed, so that it is judged as what it is."""
    from batcher.cli.commands.shared.lines import bring_in_line
    from batcher.cli.show.terminal import note
    from batcher.errors import UserError

    try:
        bring_in_line(place, results)
    except UserError as error:  # the verdicts are there all the same
        note(f"what was settled meanwhile is not in {results}: {error.message}")


def _follow(
    results: Path, journal: "JournalPlace | None", settings: "RunSettings", sources: "CredentialSources"
) -> "FollowEnd":
    import asyncio

    from batcher import logs, streams
    from batcher.cli.show.following import level_of, shown, stopped_by_signals
    from batcher.cli.show.terminal import colors_on, screen
    from batcher.follow.watch_session import WatchSession
    from batcher.wave.stop import Stopping

    err = screen()
    logs.configure(settings.log_format, level_of(settings), color=colors_on(err.stream))

    async def follow() -> "FollowEnd":
        stopping = Stopping()
        if journal is not None and not isinstance(journal, Path):
            from batcher.machines.shared_watch import SharedWatch

            shared = SharedWatch(journal, results, settings, stopping)
            with stopped_by_signals(stopping):
                async with shown(shared.status, err, quiet=settings.quiet):
                    if (end := await shared.run()) is not None:
                        return end
        session = WatchSession(results, settings, stopping, journal=journal, sources=sources)
        with stopped_by_signals(stopping):
            async with shown(session.status, err, quiet=settings.quiet):
                if journal is None or isinstance(journal, Path):
                    return await session.run()
                from batcher.cli.commands.shared.keeping import kept_as_found

                async with kept_as_found(journal, results, quiet=settings.quiet):
                    return await session.run()

    with streams.never_waiting():
        return asyncio.run(follow())
