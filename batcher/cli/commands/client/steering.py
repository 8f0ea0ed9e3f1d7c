"""`control`, `explain` and `settle` on a wave of a service."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from batcher.cli.at_service import ask
from batcher.cli.rulings import rows_of
from batcher.client.service import Service, ServiceWave
from batcher.client.told import status_of
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.life.events import UNDO
from batcher.life.ruling import Ruling
from batcher.settings import RunSettings
from batcher.text import counted
from batcher.wave.explain import EntryStep
from batcher.wave.status import WaveStatus

_SAID = {
    "pause": "paused: nothing more is created until `resume`",
    "resume": "it goes on",
    "start": "it is run as soon as there is room for it",
    "approve": "approved",
    "retry-failed": "its failed entries are taken up again",
    "stop": "stopping: what is in flight is settled, and `start` goes on later",
}


class WaveOfService(Struct, frozen=True, kw_only=True):
    """Which *wave* (an id or a name) of which *service* is meant, and the way there."""

    wave: str
    service: str | None
    token_file: str | None
    settings: RunSettings


def control(asked: WaveOfService, verb: str, value: str | None) -> tuple[Mapping[str, Any], WaveStatus, str | None]:
    """Do what *verb* says: the wave as the service tells it then, its status, and what to say of it; None: show it.

    Raises `UserError`.
    """

    async def work(service: Service) -> tuple[ServiceWave, str | None]:
        wave = await service.wave(asked.wave)
        match verb:
            case "status":
                return wave, None
            case "rate" | "concurrency" | "priority":
                await wave.change(**{verb: value if verb == "rate" else _number(verb, value)})
                return wave, f"{value}{' in each scope' if verb != 'priority' else ''}"
            case "recheck":
                new = await wave.recheck()
                return new, f"wave {new.id} compares again what did not come out consistent"
            case _:
                await wave.do(verb, {"digest": value} if verb == "approve" else None)
                return wave, _SAID[verb]

    wave, said = ask(work, asked.service, asked.token_file, asked.settings, while_waiting=_UNKNOWN)
    return wave.told, status_of(wave.told, SystemClock.now()), said


def explain(asked: WaveOfService, key: str | None, job: str | None, index: int | None) -> list[dict[str, Any]]:
    """The entries that are meant, each with every attempt, as `explain --json` has them. Raises `UserError`."""

    async def work(service: Service) -> list[dict[str, Any]]:
        wave = await service.wave(asked.wave)
        return [await wave.entry(place) for place in await _places(wave, key, job, index)]

    return ask(work, asked.service, asked.token_file, asked.settings, while_waiting="interrupted")


class Decision(Struct, frozen=True, kw_only=True):
    """What the operator says of one entry, as typed: *ruling*, or `UNDO`. *where* it stands, for a message."""

    key: str | None
    job: str | None
    index: int | None
    ruling: str
    where: str


def decisions_in(table: Path) -> list[Decision]:
    """The decisions in the CSV file *table*. Raises `UserError`, with a line for each row that is wrong."""
    found, wrong = [], []
    for line, row in rows_of(table):
        where, index = f"{table}, line {line}", row.get("index", "")
        key, job = row.get("key") or None, row.get("job_id") or None
        is_index = index.isascii() and index.isdigit() and len(index) < 10
        try:
            Ruling.parse(row["as"], "as")
            if not (key or job or is_index):
                raise UserError("it names no entry: write its key, its job_id or its index.")
        except UserError as error:
            wrong.append(f"{where}: {error.message}")
        place = None if key or job or not is_index else int(index)
        found.append(Decision(key=key, job=None if key else job, index=place, ruling=row["as"], where=where))
    if wrong:
        raise UserError("\n".join(wrong))
    if not found:
        raise UserError(f"{table} decides nothing: no row has anything in its column `as`.")
    return found


def settle(asked: WaveOfService, decisions: Sequence[Decision], said: Callable[[dict[str, Any]], None]) -> None:
    """Decide what became of the entries that are meant, one after the other; *said* is told of each entry then.

    All of them are found before the first is decided. Raises `UserError`, which says how many were decided.
    """

    async def work(service: Service) -> None:
        wave = await service.wave(asked.wave)
        places: dict[int, Decision] = {}
        for one in decisions:
            with _naming(one, decisions, "Nothing was decided."):
                place = await _place(wave, one)
                if place in places:
                    raise UserError("another row decides about the same entry.")
            places[place] = one
        for number, (place, one) in enumerate(places.items()):
            before, after = (counted(count, "decision") for count in (number, len(decisions) - number - 1))
            with _naming(one, decisions, f"Made before it: {before}; not made after it: {after}."):
                said(await wave.settle(place, one.ruling))

    ask(work, asked.service, asked.token_file, asked.settings, while_waiting=_UNKNOWN)


@contextmanager
def _naming(one: Decision, decisions: Sequence[Decision], rest: str) -> Iterator[None]:
    """Say where the decision stands that cannot be made, and what becomes of the *rest*, where it is one of many."""
    try:
        yield
    except UserError as error:
        if len(decisions) == 1:
            raise
        raise UserError(f"{one.where}: {error.message} {rest}", exit_code=error.exit_code) from error


async def _place(wave: ServiceWave, one: Decision) -> int:
    """The place of the entry that is meant. Raises `UserError` where there is none, or several."""
    only_unsettled = one.job is not None and one.ruling != UNDO
    places = await _places(wave, one.key, one.job, one.index, only_unsettled=only_unsettled)
    if len(places) > 1:
        which = "of the job are in doubt" if only_unsettled else "are meant"
        raise UserError(f"{len(places)} entries {which}: say which, by its key or its index.")
    return places[0]


_UNKNOWN = "whether it was done is not known. Look before you ask again"


async def _places(
    wave: ServiceWave, key: str | None, job: str | None, index: int | None, *, only_unsettled: bool = False
) -> list[int]:
    """The places of the entries that are meant. Raises `UserError` where there is none."""
    if index is not None:
        if index < 0:
            raise UserError(f"there is no entry {index}: entries are counted from 0.")
        return [index]
    field, wanted = ("key", key) if key is not None else ("job_id", job)
    query = {"q": str(wanted), **({"status": "unsettled"} if only_unsettled else {})}
    places = [told["index"] async for told in wave.entries(**query) if told[field] == wanted]
    if not places:
        what = "in doubt " if only_unsettled else ""
        raise UserError(f"no entry {what}of the wave has the {'key' if key is not None else 'job'} {wanted!r}.")
    return places


def steps_of(entry: Mapping[str, Any]) -> list[EntryStep]:
    """The steps of an *entry*, as the service tells it."""
    known = EntryStep.__struct_fields__
    return [
        EntryStep(
            **{name: value for name, value in step.items() if name in known and name != "at"}, at=_seconds(step["at"])
        )
        for step in entry["steps"]
    ]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _number(verb: str, value: str | None) -> int:
    try:
        return int(value or "")
    except ValueError:
        raise UserError(f"{verb} {value!r} is none: write a whole number.") from None


def asked_of(results: Path, service: str | None, token_file: str | None, settings: RunSettings) -> WaveOfService:
    """The wave that was typed where a results file stands else."""
    return WaveOfService(wave=str(results), service=service, token_file=token_file, settings=settings)
