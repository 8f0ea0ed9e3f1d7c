"""The options by which a command is told which wave, and which entries of it."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from batcher.errors import UserError

if TYPE_CHECKING:
    from batcher.journal.place import JournalPlace, WavePlace
    from batcher.journal.port import Record
    from batcher.manifest.labels import LabelFilter

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN = 5  # keys


class JournalType(click.Path):
    """A `Path`, or the `WavePlace` of what begins with `postgresql:`.

    A place that cannot be read raises `WaveRefused`, which tells what to write, and nothing of a password.
    """

    name = "file or URL"

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The file or the place that *value* names."""
        if isinstance(value, str) and value.lower().startswith(("postgresql:", "postgres:")):
            from batcher.journal.place import WavePlace  # with the first one that is typed: it loads psycopg

            return WavePlace.of(value)
        return super().convert(value, param, ctx)


journal_option = click.option(
    "--journal",
    metavar="FILE|URL",
    type=JournalType(),
    help="The wave's journal, by default beside RESULTS; or its place in a database, postgresql://HOST/DATABASE/WAVE.",
)


def shared_place(journal: "JournalPlace | None", service: str | None = None) -> "WavePlace | None":
    """The place in a database that --journal names; None: it names none. Raises `UsageError` where --service was typed
    as well."""
    if journal is None or isinstance(journal, Path):
        return None
    if service is not None:
        raise click.UsageError(
            "--journal names a wave in a database and --service one of a service: use one of the two."
        )
    return journal


def missing(name: str) -> click.UsageError:
    """What is raised where the argument *name* is missing, which only a wave in a database may do without."""
    return click.UsageError(f"Missing argument '{name.upper()}'.", click.get_current_context())


def entry_options(function: F) -> F:
    """--key, --job and --index; `one_entry` checks that exactly one was given."""
    index = click.option("--index", metavar="N", type=int, help="The entry's 0-based place in the manifest instead.")
    job = click.option("--job", metavar="ID", help="The job that the entry compares instead.")
    key = click.option("--key", metavar="KEY", help="The entry's key, as its result line has it.")
    return key(job(index(function)))


def one_entry(key: str | None, job: str | None, index: int | None) -> None:
    """Raises `UsageError` where not exactly one of them was given."""
    if sum(named is not None for named in (key, job, index)) != 1:
        raise click.UsageError("Say which entry: give --key, --job or --index, one of the three.")


def places_of(record: "Record", key: str | None, job: str | None, index: int | None) -> list[int]:
    """The places of the entries that are meant: several only where a job has several. Raises `UserError`: none is."""
    if job is None:
        from batcher.journals import index_of

        return [index_of(record, key, index)]
    return of_job(places_of_jobs(record, {job}), job)


def places_of_jobs(record: "Record", jobs: Collection[str]) -> dict[str, list[int]]:
    """The places of the entries of each of *jobs*, in one walk over the wave, as it has no index that tells them."""
    found: dict[str, list[int]] = {}
    if jobs:
        for place, _, job_id, _ in record.outline():
            if job_id in jobs:
                found.setdefault(str(job_id), []).append(place)
    return found


def of_job(places: Mapping[str, list[int]], job: str) -> list[int]:
    """Those of *job* among the *places* that were found. Raises `UserError`: there are none."""
    if job not in places:
        raise UserError(f"no entry of the wave compares the job {job!r}: copy job_id from the results file.")
    return places[job]


def one_in_doubt(record: "Record", places: list[int]) -> int:
    """Of the entries of one job, the one to be decided about. Raises `UserError` where several are in doubt."""
    from batcher.life.result import Status

    if len(places) == 1:
        return places[0]
    results = {place: record.result_of(place) for place in places}
    doubtful = [place for place, found in results.items() if found is None or found[1] is Status.UNSETTLED]
    if len(doubtful) == 1:
        return doubtful[0]
    if not doubtful:
        raise UserError("no entry of the job is in doubt: there is nothing to decide.")
    entries = [entry for place in doubtful if (entry := record.entry(place)) is not None]
    shown = ", ".join(entry.key for entry in entries[:_SHOWN]) + (", …" if len(entries) > _SHOWN else "")
    raise UserError(f"{len(doubtful)} entries of the job are in doubt: say which, --key with one of {shown}.")


def one_decided(record: "Record", places: list[int]) -> int:
    """Of the entries of one job, the one that was decided about. Raises `UserError` where it is not exactly one."""
    from batcher.life.events import Ruled, standing

    if len(places) == 1:
        return places[0]
    decided = [
        place for place in places if (events := standing(record.events(place))) and isinstance(events[-1], Ruled)
    ]
    if len(decided) == 1:
        return decided[0]
    raise UserError(f"{len(decided)} entries of the job were decided about: say which one, --key or --index.")


def label_option(what: str) -> Callable[[F], F]:
    """`--label NAME=VALUE`, a `LabelFilter`; *what* a command does with the entries that have it."""
    return click.option(
        "--label",
        "labels",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_parsed,
        help=f"{what} only entries with this label. Of several names all have to fit, of one name any value.",
    )


def _parsed(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> "LabelFilter":
    from batcher.manifest.labels import LabelFilter

    try:
        return LabelFilter.parse(texts)
    except ValueError as error:
        raise click.UsageError(f"--label {error}") from None
