"""`control`, `explain` and `settle` on a wave of a service."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from batcher.cli.at_service import ask
from batcher.client.service import Service, ServiceWave
from batcher.client.told import status_of
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.settings import RunSettings
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


def settle(asked: WaveOfService, key: str | None, job: str | None, index: int | None, ruling: str) -> dict[str, Any]:
    """Decide what became of the entry that is meant; the entry then. Raises `UserError`."""

    async def work(service: Service) -> dict[str, Any]:
        wave = await service.wave(asked.wave)
        places = await _places(wave, key, job, index, only_unsettled=job is not None)
        if len(places) > 1:
            raise UserError(f"{len(places)} entries of the job are in doubt: say which, --key or --index.")
        return await wave.settle(places[0], ruling)

    return ask(work, asked.service, asked.token_file, asked.settings, while_waiting=_UNKNOWN)


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
