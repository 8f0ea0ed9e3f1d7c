"""The list of a job's comparisons, for the commands that only look."""

import asyncio
from collections.abc import Iterable, Mapping

from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.outcome import Comparison, Trouble
from batcher.life.entry import Scope
from batcher.pace.fair_semaphore import PartyClosed

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
    try:
        told = await reader.comparisons(job_id, most_pages=_MOST_PAGES)
    except PartyClosed:
        told = None
    if told is None:
        return _said(reader.halted)
    return _said(told.comparisons) if isinstance(told.comparisons, Trouble) else told.comparisons


def _said(trouble: Trouble | None) -> str:
    if trouble is None:
        return "the cloud did not say"
    return " ".join(filter(None, [trouble.error_code, trouble.error_msg])) or trouble.kind.value
