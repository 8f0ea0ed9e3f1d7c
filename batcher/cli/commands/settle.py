"""`batcher settle`: the operator's decision on unsettled entries."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli import exits
from batcher.cli.credential_flags import credential_flags, credential_options
from batcher.cli.entries import (
    entry_options,
    journal_option,
    missing,
    one_decided,
    one_entry,
    one_in_doubt,
    places_of,
    shared_place,
)
from batcher.cli.lists import ListedCommand
from batcher.cli.options import load_given, settings_options
from batcher.cli.service_options import is_at_service, only_with_service, service_options
from batcher.cli.show.terminal import tell
from batcher.clock import SystemClock

if TYPE_CHECKING:
    from batcher.cli.commands.client.steering import Decision, WaveOfService
    from batcher.journal.place import JournalPlace
    from batcher.journal.port import Record
    from batcher.life.ruling import Ruling
    from batcher.wave.settling import Recorded

_Named = tuple[str | None, str | None, int | None]  # key, job and index of an entry

_SETTINGS = ("read_rate", "timeout", "connect_timeout", "ca_bundle", "proxy", "insecure_http")

_EPILOG = """\b
Examples:
  batcher settle results.jsonl --job 7b1c… --as created=5a1c…
  batcher settle results.jsonl --key 3f2a… --as object=5a1c…,data=failed
  batcher settle results.jsonl --job 7b1c… --as failed
  batcher settle results.jsonl --from decisions.csv
  batcher settle results.jsonl --job 7b1c… --undo
  batcher settle --service https://batcher.example.com night-3 --key 3f2a… --as failed
  batcher settle --journal postgresql://db.example.org/fleet/night-3 --key 3f2a… --as failed

\b
created=TASK_ID      the comparison exists under this id
object=…,data=…      both levels were in doubt: an id, or `failed`, for each
failed               it was not created
retry                send it again with the next run; if it was created after all, there are two then

\b
A CSV file has a column `key`, `job_id` or `index`, and a column `as` with such a ruling. Rows without one are
left out; of all the others either every ruling is recorded or none. A service takes them one after the other.
"""


@click.command(cls=ListedCommand, epilog=_EPILOG)
@click.argument("results", required=False, type=click.Path(path_type=Path))
@entry_options
@click.option("--as", "ruling", metavar="RULING", help="What became of it; see below.")
@click.option("--from", "table", metavar="CSV", type=click.Path(path_type=Path), help="Take many rulings from a file.")
@click.option("--undo", is_flag=True, help="Take the last ruling back: the entry is in doubt again.")
@click.option("--offline", is_flag=True, help="Do not look the ids up in the cloud's list of the job's comparisons.")
@journal_option
@click.option("--json", "as_json", is_flag=True, help="Print the entries' new result lines.")
@service_options
@settings_options(_SETTINGS)
@credential_flags
def command(
    results: Path | None,
    key: str | None,
    job: str | None,
    index: int | None,
    ruling: str | None,
    table: Path | None,
    undo: bool,
    offline: bool,
    journal: "JournalPlace | None",
    as_json: bool,
    service: str | None,
    service_token_file: str | None,
    **parameters: Any,
) -> int:
    """Decide what became of unsettled entries of the wave of RESULTS, after a look at the console.

    An id is looked up in the cloud's list of the job's comparisons, if a credential is at hand. The decision is kept in
    the journal and shown by `explain`; the results file is brought in line. Refused while the wave runs, and for
    entries that are not in doubt. With --service RESULTS is a wave of that service. Of a wave in a database --journal
    names the place; it is refused while a worker has the entry's scope, and RESULTS may be left out.
    """
    options = credential_options(parameters)
    loaded = load_given(parameters, _SETTINGS)
    _one_decision((key, job, index), ruling, table, undo=undo)

    shared = shared_place(journal, service)
    if results is None and shared is None:
        raise missing("results")
    if results is not None and shared is None and is_at_service(results, service, service_token_file):
        only_with_service(("key", "job", "index", "ruling", "table", "undo"))
        from batcher.cli.commands.client.steering import Decision, asked_of
        from batcher.life.events import UNDO

        typed = Decision(key=key, job=job, index=index, ruling=ruling or UNDO, where="")
        asked = asked_of(results, service, service_token_file, loaded.settings)
        return _settle_at_service(asked, typed, table, as_json=as_json)

    from batcher.cli.failures import told
    from batcher.cli.rulings import listed_by_the_cloud
    from batcher.journals import deciding, journal_of, reading
    from batcher.settings.credentials import credential_sources
    from batcher.wave.settling import settle_all

    path = shared or journal_of(results or Path(), journal)
    with told():
        with reading(path) as record:
            rulings = _rulings(record, (key, job, index), ruling, table)
            sources = credential_sources(loaded.settings, loaded.config, options)
            listed = {} if offline else listed_by_the_cloud(record, rulings, loaded.settings, sources)
        with deciding(path) as record:
            recorded = settle_all(record, None if shared else results, rulings, SystemClock.now(), listed)
    if shared is not None and results is not None:
        from batcher.cli.commands.shared.lines import bring_in_line

        bring_in_line(shared, results)
    for one, said in zip(recorded, rulings.values(), strict=True):
        _print_recorded(one, is_sent_again=said.retry, as_json=as_json)
    return exits.CREATED


def _settle_at_service(asked: "WaveOfService", typed: "Decision", table: Path | None, *, as_json: bool) -> int:
    """Have a service record what was *typed*, or what each row of *table* says."""
    from batcher.cli.commands.client.steering import decisions_in, settle

    decisions = [typed] if table is None else decisions_in(table)
    settle(asked, decisions, lambda entry: _print_settled(entry, as_json=as_json))
    return exits.CREATED


def _print_recorded(one: "Recorded", *, is_sent_again: bool, as_json: bool) -> None:
    if one.said:
        tell(one.said)
    if as_json:
        click.echo(one.result.to_line(), nl=False)
    else:
        _tell_recorded(one.result.key, None if is_sent_again else one.result.status.value)


def _one_decision(named: _Named, ruling: str | None, table: Path | None, *, undo: bool) -> None:
    """Refuse what does not go together: *named* are key, job and index of an entry. Raises `UsageError`."""
    if sum(given is not None and given is not False for given in (ruling, table, undo)) != 1:
        raise click.UsageError("Say what to decide: give --as, --from or --undo, one of the three.")
    if table is None:
        one_entry(*named)
    elif named != (None, None, None):
        raise click.UsageError("--from says in its rows which entries: leave --key, --job and --index out.")


def _rulings(record: "Record", named: _Named, ruling: str | None, table: Path | None) -> "dict[int, Ruling]":
    """What is decided of which entries, by their indexes. Without *ruling* and *table* the last one is taken back."""
    from batcher.cli.rulings import rulings_in
    from batcher.life.ruling import Ruling

    if table is not None:
        return rulings_in(table, record)
    places = places_of(record, *named)
    if ruling is None:
        return {one_decided(record, places): Ruling.taken_back()}
    return {one_in_doubt(record, places): Ruling.parse(ruling)}


def _tell_recorded(key: str, status: str | None) -> None:
    """Tell what was recorded of an entry: its *status* now; None: it is sent again."""
    from batcher.text import printable

    now = "sent again when the wave goes on" if status is None else f"{status} now"
    tell(f"{printable(key)} is {now}; the decision is on record in the journal.")


def _print_settled(entry: dict[str, Any], *, as_json: bool) -> None:
    """Tell what a service has recorded of an entry."""
    import orjson

    result = entry["result"]
    if as_json:
        click.echo(orjson.dumps(result))
    else:
        _tell_recorded(str(entry["key"]), None if result is None else result["status"])
