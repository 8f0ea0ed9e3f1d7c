"""The list of a job's comparisons, for the commands that only look."""

import asyncio
from collections.abc import Iterable, Mapping

from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs import guesses
from batcher.drs.outcome import Comparison, Trouble
from batcher.drs.paging import Paging, ReadState
from batcher.life.entry import Scope

_MOST_PAGES = 100

JobList = tuple[Comparison, ...] | str
"""A job's comparisons; or why they could not be had, for people."""


async def job_lists(
    jobs: Iterable[tuple[Scope, str]], reads: Mapping[Scope, Pass], clock: Clock, patience_s: float
) -> dict[tuple[Scope, str], JobList]:
    """The list of each of *jobs*, as far as it comes within *patience_s* seconds."""
    named = list(dict.fromkeys(jobs))
    found: dict[tuple[Scope, str], JobList] = dict.fromkeys(named, f"no answer within {patience_s:g} s")
    try:
        async with asyncio.timeout(patience_s):
            for scope, job_id in named:
                found[scope, job_id] = await _list_of(ScopeReader(reads[scope], clock), job_id)
    except TimeoutError:
        pass  # those that are missing say so
    return found


async def _list_of(reader: ScopeReader, job_id: str) -> JobList:
    paging: Paging[Comparison] = Paging(first=guesses.FIRST_PAGE, most_pages=_MOST_PAGES, first_again=True)
    while True:
        outcome = await reader.query(job_id, {}, page=paging.number)
        if outcome is None:
            return _said(reader.halted)
        listed = outcome.trouble or outcome.listed
        if listed is None or isinstance(listed, Trouble):
            return _said(listed)
        match paging.add({one.compare_task_id: one for one in listed.comparisons}, listed.total):
            case ReadState.WHOLE:
                return tuple(paging.found.values())
            case ReadState.SHORT | ReadState.TOO_LONG:
                return "the list did not come whole"


def _said(trouble: Trouble | None) -> str:
    if trouble is None:
        return "the cloud did not say"
    return " ".join(filter(None, [trouble.error_code, trouble.error_msg])) or trouble.kind.value
