"""The judge of several machines: what the contract promises of them together, against what the cloud has on record."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import orjson

from batcher.life.events import Intended
from batcher.life.result import Status
from tests.worlds.cloud import Sent, are_clear
from tests.worlds.fleet import FleetHistory
from tests.worlds.fleet_judge_log import judge_log
from tests.worlds.fleet_judge_verdicts import judge_verdicts
from tests.worlds.fleet_parts import MEMBER
from tests.worlds.judge import HALF_FIELDS, limit_broken
from tests.worlds.shared_database import SharedRecord
from tests.worlds.violation import Violation


def judge_fleet(history: FleetHistory) -> list[Violation]:
    """Every promise that was broken."""
    checks = (_once, _settled, _fenced, _limits, _told, judge_log, judge_verdicts, _defects)
    return [violation for check in checks for violation in check(history)]


def _once(history: FleetHistory) -> Iterator[Violation]:
    """At most one creation for each half of each entry, whoever sent it; none is cancelled by a repeat."""
    by_entry: dict[int, list[Sent]] = defaultdict(list)
    for sent in history.sent:
        by_entry[sent.entry].append(sent)
    for entry, requests in by_entry.items():
        for half, count in Counter(half for sent in requests for half in sent.created).items():
            if count > 1:
                by = [(sent.number, f"machine {sent.life}", sent.epoch) for sent in requests if half in sent.created]
                yield Violation("once", f"entry {entry} has {count} {half} comparisons: {by}")
        own = {made for sent in requests for made in sent.created.values()}
        for sent in requests:
            if killed := own & set(sent.cancelled):
                yield Violation("cancel", f"request {sent.number} of entry {entry} cancelled its own {killed}")


def _settled(history: FleetHistory) -> Iterator[Violation]:
    """Every entry has a result in the end, and what was made is in it, or it is left to a person."""
    if not history.is_settled:
        yield Violation("peace", "not all entries were settled")
    is_mixed = history.spec.base.config.keep_answer == "existing"  # the cloud itself gives one's for another's
    strangers = {job for _, job, _ in history.spec.base.others}
    jobs = Counter(entry.request.job_id for wave in history.spec.waves for entry in wave)
    for number, record in enumerate(history.database.records.values()):
        for line in record.lines():
            result = orjson.loads(line)
            entry = number * MEMBER + result["index"]
            if is_mixed or jobs[result["job_id"]] > 1 or result["job_id"] in strangers:
                continue
            made = {half: one for sent in history.sent if sent.entry == entry for half, one in sent.created.items()}
            for half, name in HALF_FIELDS.items():
                said = (result[name] or {}).get("compare_task_id")
                if half in made and said != made[half] and result["status"] != Status.UNSETTLED:
                    yield Violation("lost", f"entry {entry} is {result['status']}, {half} {made[half]} is not told")
                if said and said != made.get(half):
                    yield Violation("invented", f"entry {entry} reports {half} {said}")


def _fenced(history: FleetHistory) -> Iterator[Violation]:
    """No request of an older epoch is let leave after one of a newer one has left."""
    newest: dict[str, Sent] = {}
    for sent in sorted(history.sent, key=lambda sent: sent.checked_at):
        project = sent.job[0]
        last = newest.get(project)
        if last is not None and sent.epoch < last.epoch:
            text = f"request {sent.number} of epoch {sent.epoch} left after {last.number} of epoch {last.epoch}"
            yield Violation("fence", text)
        else:
            newest[project] = sent


def _limits(history: FleetHistory) -> Iterator[Violation]:
    """The limits hold over all machines, that of look-ups as well."""
    # What a frozen machine had let leave comes when it wakes.
    creates = [(sent.job[0], sent.left_at) for sent in history.sent if sent.checked_at == sent.left_at]
    reads = [(read.project, read.left_at) for read in history.reads]
    base = history.spec.base
    for name, rate, left in (("creates", base.rate, creates), ("look-ups", base.read_rate, reads)):
        by_project: dict[str, list[float]] = defaultdict(list)
        for project, at in left:
            by_project[project].append(at)
        if rate is not None:
            for moments in by_project.values():
                yield from limit_broken(f"{name} of all machines", rate, sorted(moments))


def _told(history: FleetHistory) -> Iterator[Violation]:
    """What the cloud answered in time to a machine that had lost its scope is not left to a person."""
    for record in history.database.records.values():
        for index in record.with_status([Status.UNSETTLED]):
            if _was_told(record, index):
                yield Violation("late", f"{record.name}: entry {index} is unsettled, though its answer is there")


def _was_told(record: SharedRecord, index: int) -> bool:
    events = record.events(index)
    intents = [event for event in events if isinstance(event, Intended)]
    settled_at = record.settled_at.get(index, float("inf"))
    return bool(intents) and any(
        at == index and epoch == intents[-1].lease and when < settled_at - 30.0 and are_clear(answer.halves.values())
        for at, epoch, when, answer in record.late
    )


def _defects(history: FleetHistory) -> Iterator[Violation]:
    for error in history.defects:
        yield Violation("crash", f"{type(error).__name__}: {error}")
