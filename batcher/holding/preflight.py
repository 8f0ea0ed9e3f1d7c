"""Preflight: the state of every job of a manifest, asked in full batches at the scope's pace for look-ups."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs import guesses
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.holding.readiness import JobState, Readiness, state_of_status, state_of_trouble
from batcher.life.entry import Scope
from batcher.manifest import Entry
from batcher.pace.polling import PollPolicy, after_failure_s

_PASSING = frozenset({ErrorKind.NETWORK, ErrorKind.TIMEOUT, ErrorKind.SERVER})
_TRIES = 8  # of one batch, where no answer comes: about a minute


@dataclass(slots=True, kw_only=True)
class JobReport:
    """One job of the manifest, with the keys of the entries that name it, and what the cloud says of it."""

    job_id: str
    endpoint: str
    project_id: str
    keys: list[str] = field(default_factory=list)
    state: JobState | None = None


def readiness_of(job: JobReport) -> Readiness:
    """Whether its entries could be submitted now."""
    return job.state.readiness if job.state is not None else Readiness.UNKNOWN


def jobs_of(entries: Iterable[Entry]) -> dict[Scope, dict[str, JobReport]]:
    """The jobs that *entries* name, by scope and id, in the order of the manifest."""
    scopes: dict[tuple[str, str], Scope] = {}
    jobs: dict[Scope, dict[str, JobReport]] = {}
    for entry in entries:
        name = (entry.endpoint, entry.project_id)
        scope = scopes.setdefault(name, Scope(len(scopes), *name))
        job_id = entry.job_id
        job = jobs.setdefault(scope, {}).setdefault(
            job_id, JobReport(job_id=job_id, endpoint=entry.endpoint, project_id=entry.project_id)
        )
        job.keys.append(entry.key)
    return jobs


OnTold = Callable[[int], None]


def _ignore(_: int) -> None:
    pass


async def preflight(
    jobs: Mapping[Scope, Mapping[str, JobReport]],
    reads: Mapping[Scope, Pass],
    clock: Clock,
    rng: random.Random,
    on_told: OnTold = _ignore,
) -> None:
    """Give every job of *jobs* its state; all scopes are asked at the same time, each at its own pace.

    *on_told* hears of how many jobs more the state is known.
    """

    async def ask(scope: Scope) -> None:
        states = await states_of(ScopeReader(reads[scope], clock), jobs[scope], clock, rng, on_told=on_told)
        for job_id, job in jobs[scope].items():
            job.state = states[job_id]

    async with asyncio.TaskGroup() as group:
        for scope in jobs:
            group.create_task(ask(scope))


async def look(reader: ScopeReader, job_ids: Sequence[str]) -> Mapping[str, JobState] | Trouble:
    """The state of each of *job_ids*, at most a batch of them; trouble that passes, as it came.

    A job that the answer to a batch says nothing of is asked about alone.
    """
    outcome = await reader.job_statuses(job_ids)
    if outcome is None:
        halted = reader.halted
        return {job_id: state_of_trouble(job_id, halted) for job_id in job_ids} if halted else _STOPPED
    if (trouble := outcome.trouble) is not None and (trouble.kind in _PASSING or trouble.foreign is not None):
        return trouble
    states: dict[str, JobState] = {}
    for job_id, told in outcome.jobs.items():
        if not isinstance(told, Trouble):
            states[job_id] = state_of_status(job_id, told)
        elif len(job_ids) == 1 or told.kind is not ErrorKind.PROTOCOL:
            states[job_id] = state_of_trouble(job_id, told)
        else:
            alone = await look(reader, [job_id])
            if isinstance(alone, Trouble):
                return alone
            states |= alone
    return states


async def states_of(
    reader: ScopeReader,
    job_ids: Iterable[str],
    clock: Clock,
    rng: random.Random,
    *,
    at_once: int = 8,
    on_told: OnTold = _ignore,
) -> dict[str, JobState]:
    """The state of every job. What the cloud does not answer after several tries is unknown.

    Once it has answered nobody for as long as the tries of one batch took, the rest is not asked about.
    """
    batches = _batches(job_ids)
    states: dict[str, JobState] = {}
    answers = 0
    silence: Trouble | None = None

    async def work() -> None:
        nonlocal answers, silence
        for batch in batches:
            before = answers
            found = silence or await _surely(reader, batch, clock, rng)
            on_told(len(batch))
            if not isinstance(found, Trouble):
                answers += 1
                states.update(found)
                continue
            if answers == before:
                silence = found
            states.update((job_id, state_of_trouble(job_id, found)) for job_id in batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return states


def _batches(job_ids: Iterable[str]) -> Iterator[list[str]]:
    ids = iter(job_ids)
    while batch := list(islice(ids, guesses.STATUS_BATCH)):
        yield batch


async def _surely(
    reader: ScopeReader, batch: Sequence[str], clock: Clock, rng: random.Random
) -> Mapping[str, JobState] | Trouble:
    """The states of *batch*, asked again while that may help."""
    polling = PollPolicy(soonest_s=1.0, longest_s=15.0)
    found = await look(reader, batch)
    for failures in range(1, _TRIES):
        if not isinstance(found, Trouble):
            break
        await clock.sleep(after_failure_s(failures, polling, rng.random()))
        found = await look(reader, batch)
    return found


_STOPPED = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg="the scope was stopped")
