"""What `batcher settle` records: rulings from the command line or a file, looked up in the cloud's own lists."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batcher.cli.entries import of_job, one_in_doubt, places_of, places_of_jobs
from batcher.cli.show.terminal import note
from batcher.errors import UserError
from batcher.life.ruling import NotSettled, Ruling

if TYPE_CHECKING:
    from batcher.drs.auth.sources import CredentialSources
    from batcher.drs.outcome import Comparison
    from batcher.journal.port import Record
    from batcher.life.entry import Scope
    from batcher.settings import RunSettings

_NAMES = ("key", "job_id", "index")
_PATIENCE_S = 30.0  # with the cloud
_MOST_BYTES = 64 * 1024 * 1024


def rulings_in(table: Path, record: "Record") -> dict[int, Ruling]:
    """The rulings in the CSV file *table*, by the places of the entries that they are on. Raises `UserError`, with a
    line for each row that is wrong."""
    rulings: dict[int, Ruling] = {}
    wrong: list[str] = []
    rows = list(rows_of(table))
    jobs = places_of_jobs(record, {job for _, row in rows if not row.get("key") and (job := row.get("job_id"))})
    for line, row in rows:
        try:
            place = _place(record, row, jobs)
            if place in rulings:
                raise UserError("another row decides about the same entry.")
            rulings[place] = Ruling.parse(row["as"], "as")
        except UserError as error:
            wrong.append(f"{table}, line {line}: {error.message}")
    if wrong:
        raise NotSettled("\n".join(wrong))
    if not rulings:
        raise UserError(f"{table} decides nothing: no row has anything in its column `as`.")
    return rulings


def rows_of(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row of the CSV file *table* with something in `as`, and its line. Raises `UserError`."""
    try:
        if table.stat().st_size > _MOST_BYTES:
            raise UserError(f"{table} is larger than any list of decisions.")
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {table}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{table} is not UTF-8: save it as CSV UTF-8.") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    if "as" not in header or not any(name in header for name in _NAMES):
        raise UserError(f"{table} needs a column `as`, and one of `key`, `job_id` and `index`; it has: {first[:200]}")
    reader.fieldnames = header
    try:
        for row in reader:
            told = {name: (value or "").strip() for name, value in row.items() if isinstance(value, str) and name}
            if told.get("as"):
                yield reader.line_num, told
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num} is no CSV: {error}.") from None


def _place(record: "Record", row: Mapping[str, str], jobs: Mapping[str, list[int]]) -> int:
    if key := row.get("key"):
        return places_of(record, key, None, None)[0]
    if job := row.get("job_id"):
        return one_in_doubt(record, of_job(jobs, job))
    index = row.get("index", "")
    if not (index.isascii() and index.isdigit() and len(index) < 10):
        raise UserError("it names no entry: write its key, its job_id or its index.")
    return places_of(record, None, None, int(index))[0]


def listed_by_the_cloud(
    record: "Record", rulings: Mapping[int, Ruling], settings: "RunSettings", sources: "CredentialSources"
) -> "dict[int, tuple[Comparison, ...]]":
    """The comparisons that the cloud lists for the jobs of the entries of which an id is told; without those that it
    could not be asked about, which is said."""
    import asyncio

    entries = {index: record.entry(index) for index, ruling in rulings.items() if ruling.names_ids}
    jobs = {index: (entry.scope, entry.job_id) for index, entry in entries.items() if entry is not None}
    if not jobs:
        return {}
    try:
        lists = asyncio.run(_asked(list(jobs.values()), settings, sources))
    except UserError as error:
        note(f"not looked up in the cloud: {error.message}")
        return {}
    found = {}
    for index, job in jobs.items():
        comparisons = lists[job]
        if isinstance(comparisons, str):
            note(f"not looked up in the cloud, job {job[1]}: {comparisons}")
        else:
            found[index] = comparisons
    return found


async def _asked(
    jobs: "list[tuple[Scope, str]]", settings: "RunSettings", sources: "CredentialSources"
) -> "Mapping[tuple[Scope, str], tuple[Comparison, ...] | str]":
    from batcher.clock import SystemClock
    from batcher.follow.connect import connected
    from batcher.follow.job_list import job_lists

    clock = SystemClock()
    scopes = dict.fromkeys(scope for scope, _ in jobs)
    async with connected(scopes, settings, clock, sources=sources) as reads:
        return await job_lists(jobs, reads, clock, _PATIENCE_S)
