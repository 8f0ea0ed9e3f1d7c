"""The judge: what the contract promises, checked against what the world's cloud has on record."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate, pairwise

import orjson

from batcher.drs.outcome import Half
from batcher.life.policy import Reconcile
from batcher.life.result import Status
from batcher.rates import Rate
from batcher.wave.stop import StopKind
from tests.worlds.cloud import Sent
from tests.worlds.judge_hand import UNITS as _UNITS
from tests.worlds.judge_hand import paces, running, slowest_s, steered, strangers
from tests.worlds.lines import strays, whole_lines
from tests.worlds.violation import Violation
from tests.worlds.world import History, Lived

HALF_FIELDS = {
    Half.OBJECT: "object_level_compare_create_result",
    Half.DATA: "data_level_compare_create_result",
}


def judge(history: History) -> list[Violation]:
    """Every promise that this world saw broken, by either wave."""
    second = history.second
    if second is None:
        return _judge(history, None)
    return _judge(history, second) + _judge(second, history)


def _judge(history: History, beside: History | None) -> list[Violation]:
    verdict = _Judge(history, beside)
    return [
        *steered(history),
        *running(history),
        *strangers(history, beside),
        *(
            violation
            for check in (
                verdict.once,
                verdict.own_first_lives,
                verdict.one_line_each,
                verdict.file_is_journal,
                verdict.nothing_lost,
                verdict.nothing_invented,
                verdict.limits,
                verdict.one_of_a_job_at_a_time,
                verdict.stops,
                verdict.refusals,
                verdict.endings,
                verdict.peace,
            )
            for violation in check()
        ),
    ]


def late(history: History) -> set[int]:
    """Entries with a request that landed after every time promised for it: what they may do is not judged."""
    landing_s = history.spec.policy.landing_s
    return {
        sent.entry
        for sent in history.cloud.sent
        if sent.landed_at is not None and sent.landed_at - sent.left_at > landing_s
    }


class _Judge:
    def __init__(self, history: History, beside: History | None) -> None:
        self._history = history
        self._spec = history.spec
        self._late = late(history)
        self._by_entry: dict[int, list[Sent]] = defaultdict(list)
        for sent in history.cloud.sent:
            self._by_entry[sent.entry].append(sent)
        self._others_jobs = {job for _, job, _ in history.spec.others}
        if beside is not None:
            self._others_jobs |= {entry.job_id for entry in beside.spec.entries}
        self._results = history.results()
        self._by_index = {result["index"]: result for result in self._results}

    def once(self) -> Iterator[Violation]:
        """At most one creation for each half of each entry."""
        for entry, requests in self._by_entry.items():
            made = Counter(half for sent in requests for half in sent.created)
            for half, count in made.items():
                if count > 1 and entry not in self._late:
                    numbers = [sent.number for sent in requests if half in sent.created]
                    yield Violation("once", f"entry {entry} has {count} {half} comparisons, by requests {numbers}")

    def own_first_lives(self) -> Iterator[Violation]:
        """A repeat never cancels what the first request made."""
        for entry, requests in self._by_entry.items():
            if entry in self._late:
                continue
            own = {made for sent in requests for made in sent.created.values()}
            for sent in requests:
                if killed := own & set(sent.cancelled):
                    yield Violation("cancel", f"request {sent.number} of entry {entry} cancelled its own {killed}")

    def one_line_each(self) -> Iterator[Violation]:
        """Every entry has exactly one result line."""
        lines = Counter(result["index"] for result in self._results)
        for entry in self._spec.entries:
            if lines[entry.index] != 1:
                yield Violation("lines", f"entry {entry.index} has {lines[entry.index]} result lines")
        if extra := lines.keys() - {entry.index for entry in self._spec.entries}:
            yield Violation("lines", f"results of entries that are not: {extra}")

    def file_is_journal(self) -> Iterator[Violation]:
        """The results file holds the journal's lines, and after them only entries that are still open."""
        journal = b"".join(self._history.lines)
        if not self._history.file.startswith(journal):
            yield Violation("file", "the results file does not begin with the journal's lines")
        if stray := strays(self._history.file, self._history.lines):
            yield Violation("file", f"a line that is not in the journal: {stray[0]!r}")
        for number, lived in enumerate(self._history.lives):
            if lived.strays:
                yield Violation("stray", f"life {number} left a line that is not in the journal: {lived.strays[0]!r}")

    def nothing_lost(self) -> Iterator[Violation]:
        """What was made is reported, or the entry is left to a person."""
        for sent in self._history.cloud.sent:
            result = self._by_index.get(sent.entry)
            if result is None or sent.entry in self._late:
                continue
            beside = sent.job[1] in self._others_jobs and self._spec.policy.reconcile is Reconcile.WINDOW
            if beside and not self._is_told(sent):
                continue  # what others made at the same time was taken for it: what `snapshot` is for
            for half, made in sent.created.items():
                fate = result[HALF_FIELDS[half]] or {}
                if fate.get("compare_task_id") == made:
                    continue
                if result["status"] == Status.NOT_SUBMITTED and sent.life < self._history.forgotten:
                    continue  # an older journal cannot know; the next run looks before it sends
                if self._is_told(sent) or result["status"] != Status.UNSETTLED:
                    told = "whose answer arrived" if self._is_told(sent) else "that was made"
                    yield Violation(
                        "lost",
                        f"entry {sent.entry} is {result['status']}, {half} {made} {told} is not reported: {fate}",
                    )

    def _is_told(self, sent: Sent) -> bool:
        """Whether the process heard of it, and lived on to write it down where it is still known."""
        if sent.life < self._history.forgotten:
            return False  # the journal that knew was replaced by an older one
        lived = self._history.lives[sent.life] if sent.life < len(self._history.lives) else None
        if not sent.told or lived is None or lived.end is None or lived.life.second_signal_at:
            return False
        unrecorded = " ".join(lived.end.unrecorded)
        return not all(made in unrecorded for made in sent.created.values())  # else it was said, if not written

    def nothing_invented(self) -> Iterator[Violation]:
        """A reported id was made by a request of that very entry, for that very half."""
        spec = self._spec
        if spec.cloud_step:
            return
        # What others made on the same job may look like ours; that is told in the documentation.
        beside = self._others_jobs | {spec.entries[index].request.job_id for index in self._late}
        for result in self._results:
            if result["job_id"] in beside:
                continue
            requests = self._by_entry[result["index"]]
            for half, name in HALF_FIELDS.items():
                if half is Half.DATA and spec.config.keep_answer == "existing":
                    continue
                task_id = (result[name] or {}).get("compare_task_id")
                if task_id and task_id not in {sent.created.get(half) for sent in requests}:
                    yield Violation("invented", f"entry {result['index']} reports {half} {task_id}")

    def limits(self) -> Iterator[Violation]:
        """In any window of the period at most so many leave; across restarts too, unless our clock was set in the run
        before: how long ago that was is then not known."""
        cloud = self._history.cloud
        eras = [0, *accumulate(lived.clock_was_set for lived in self._history.lives)]
        creates = [((sent.job[0], eras[sent.life]), sent.left_at) for sent in cloud.sent]
        reads = [((read.project, eras[read.life]), read.left_at) for read in cloud.reads]
        read_pace = (0.0, float("inf"), self._spec.read_rate)
        for name, limits, moments in (("creates", paces(self._history), creates), ("look-ups", [read_pace], reads)):
            for since, until, rate in limits:
                if rate is not None:
                    chosen = [(where, at) for where, at in moments if since <= at < until]
                    for place in sorted({place for place, _ in chosen}):
                        yield from limit_broken(name, rate, sorted(at for where, at in chosen if where == place))

    def one_of_a_job_at_a_time(self) -> Iterator[Violation]:
        """Two requests for one job are never under way together, as far as one process can know."""
        by_job: dict[tuple[int, tuple[str, str]], list[Sent]] = defaultdict(list)
        for sent in self._history.cloud.sent:
            by_job[sent.life, sent.job].append(sent)
        for (_, job), requests in by_job.items():
            for one, other in pairwise(requests):
                if one.ended_at is None or one.ended_at > other.left_at + _UNITS:
                    yield Violation("together", f"requests {one.number} and {other.number} for {job} overlap")

    def stops(self) -> Iterator[Violation]:
        """After a signal nothing leaves that was not on its way: connecting takes time, so that is counted in."""
        for number, lived in enumerate(self._history.lives):
            stop_at = lived.told_to_stop_at
            for sent in self._history.cloud.sent:
                if (
                    stop_at is not None
                    and sent.life == number
                    and sent.left_at > stop_at + slowest_s(self._history) + _UNITS
                ):
                    yield Violation(
                        "stop", f"request {sent.number} left {sent.left_at - stop_at:.3f} s after the signal"
                    )

    def refusals(self) -> Iterator[Violation]:
        """A credential that is refused costs few requests: what was in flight, and one after a renewal."""
        spec = self._spec
        projects = len({entry.project_id for entry in spec.entries})
        if spec.refused_from is not None and not spec.faults.expire:
            most = len(self._history.lives) * projects * (2 * spec.policy.concurrency + 2)
            if self._history.cloud.refusals > most:
                yield Violation("refusals", f"{self._history.cloud.refusals} requests were refused, {most} at most")

    def endings(self) -> Iterator[Violation]:
        """Each run says truly how it ended."""
        for number, lived in enumerate(self._history.lives):
            if lived.end is not None:
                yield from self._ending(number, lived)

    def _ending(self, number: int, lived: Lived) -> Iterator[Violation]:
        end = lived.end
        assert end is not None
        status = end.status
        total = status.created + status.partial + status.failed + status.unsettled + status.invalid
        excused = _journal_failed(lived) or lived.journal_was_unreadable
        if total + status.not_submitted != status.entries and not excused:
            yield Violation("counts", f"life {number}: {status}")
        if status.not_submitted and end.stop is None and not end.halted:
            yield Violation("ending", f"life {number} ended without a reason, and left {status.not_submitted}")
        if end.unrecorded and end.stop is None:
            yield Violation("ending", f"life {number} could not record all, and does not say that it stopped")
        if lived.life.signal_at is None and end.stop is not None and end.stop.kind is StopKind.SIGTERM:
            yield Violation("ending", f"life {number} says that it was terminated")

    def peace(self) -> Iterator[Violation]:
        """The last life, in which nothing goes wrong, leaves nothing undone; one more run does nothing."""
        last = self._history.lives[-1]
        if last.end is None:
            yield Violation("peace", f"the last life did not end: {last.could_not_open}")
            return
        if last.end.stop is None and not last.end.halted and last.end.status.not_submitted:
            yield Violation("peace", "entries were left over")
        if last.end.unrecorded:
            yield Violation("peace", f"unrecorded: {last.end.unrecorded}")
        counts = Counter(result["status"] for result in self._results)
        for name in Status:
            said = getattr(last.end.status, name.value)
            if counts[name.value] != said:
                yield Violation("peace", f"the file has {counts[name.value]} {name}, the summary says {said}")
        if self._history.calls_after_end:
            yield Violation("peace", f"{self._history.calls_after_end} calls after everything was settled")


def _journal_failed(lived: Lived) -> bool:
    return lived.end is not None and lived.end.stop is not None and lived.end.stop.kind is StopKind.JOURNAL


def limit_broken(name: str, rate: Rate, moments: list[float]) -> Iterator[Violation]:
    """The first of *moments*, in order, at which more left than *rate* allows."""
    for first, last in zip(moments, moments[rate.count :], strict=False):
        if last - first < rate.period_s - _UNITS:
            yield Violation("limit", f"{rate.count + 1} {name} in {last - first:.3f} s, and {rate} is allowed")
            return


def statuses(history: History) -> Counter[str]:
    """How its entries ended: worlds in which nothing happens prove nothing."""
    return Counter(orjson.loads(line)["status"] for line in whole_lines(history.file))
