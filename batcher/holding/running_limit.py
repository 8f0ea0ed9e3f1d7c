"""Holding entries back while enough comparisons are running: each takes about ten sessions on source and target."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import count

from batcher.holding.admission import Admittance, Admitted, Waits, WaitsFor
from batcher.life.entry import PlannedEntry
from batcher.life.result import Result

Again = Callable[[], None]
Group = tuple[str, str] | None  # of entries with a limit of their own: (label, its value); None: the whole wave
Kind = tuple[int, tuple[tuple[Group, int], ...]]  # of entries that fit alike: comparisons each, limits that concern it

ADMITTED = Admitted()


class RunningLimit:
    """The admission of entries by how many comparisons of the wave are running.

    *most* is for the whole wave, *per* for the entries that share a label's value; an entry without the label is
    not held back by it. A comparison counts from its entry's admission until the entry failed, or the comparison
    has ended; one that is unsettled counts no more, as nobody can tell when it ends. An entry that asks for two is also
    admitted where only one fits and nothing else is running. A comparison with a start time of its own neither counts
    nor waits: when it runs was decided already.
    """

    def __init__(self, most: int | None, per: Sequence[tuple[str, int]]) -> None:
        self._most = most
        self._per = tuple(per)
        self._running: Counter[Group] = Counter()
        self._held: dict[int, tuple[int, Mapping[str, str]]] = {}  # by index: comparisons that count, labels
        self._waiting: dict[Kind, deque[tuple[int, PlannedEntry, Again]]] = {}  # each with its number in the queue
        self._numbers = count()

    @property
    def running(self) -> int:
        """Comparisons that count now."""
        return self._running[None]

    @property
    def waits(self) -> bool:
        """Whether anybody is held back."""
        return bool(self._waiting)

    def ask(self, entry: PlannedEntry, again: Again) -> Admittance:
        """Whether *entry* fits into the limits; after `Waits`, *again* is called once it has been let in."""
        if entry.index in self._held or entry.start_time is not None:
            return ADMITTED
        if self._fits(len(entry.asked), self._limits(entry.labels)):
            self._hold(entry.index, len(entry.asked), entry.labels)
            return ADMITTED
        kind = (len(entry.asked), tuple(self._limits(entry.labels)))
        self._waiting.setdefault(kind, deque()).append((next(self._numbers), entry, again))
        return Waits(WaitsFor.PLACE)

    def settled(self, result: Result) -> None:
        """The entry of *result* has ended: what was created is running, what was not is not."""
        created = sum(
            half is not None and half.compare_task_id is not None and half.error_code is None
            for half in (result.object_level_compare_create_result, result.data_level_compare_create_result)
        )
        if result.index in self._held:
            self._hold(result.index, created, result.labels)
            self._let_in()

    def taken_up(self, result: Result, count: int) -> None:
        """*count* comparisons of an earlier run's *result* may be running still."""
        self._hold(result.index, count, result.labels)

    def begun(self, entry: PlannedEntry) -> None:
        """An earlier run sent *entry*, and has not come to its end: what it asks for may be running."""
        if entry.start_time is None:
            self._hold(entry.index, len(entry.asked), entry.labels)

    def running_still(self, index: int, count: int) -> None:
        """Only *count* comparisons of the entry at *index* are running still."""
        if index in self._held:
            self._hold(index, count, self._held[index][1])
            self._let_in()

    def _hold(self, index: int, count: int, labels: Mapping[str, str]) -> None:
        if self._most is None and not self._per:
            return  # nothing is limited
        before, _ = self._held.pop(index, (0, labels))
        for group, _ in self._limits(labels):
            self._running[group] += count - before
        if self._most is None:
            self._running[None] += count - before
        if count:
            self._held[index] = (count, labels)

    def _fits(self, need: int, limits: Iterable[tuple[Group, int]]) -> bool:
        return all(self._running[group] + need <= most or not self._running[group] for group, most in limits)

    def _limits(self, labels: Mapping[str, str]) -> Iterator[tuple[Group, int]]:
        """The limits that concern an entry with *labels*."""
        if self._most is not None:
            yield None, self._most
        for label, most in self._per:
            if (value := labels.get(label)) is not None:
                yield (label, value), most

    def _let_in(self) -> None:
        """Admit whoever fits now, first come first served; those of a full group do not hold up the rest."""
        heads = [(queue[0][0], kind) for kind, queue in self._waiting.items() if self._fits(*kind)]
        heapify(heads)
        while heads:
            _, kind = heappop(heads)
            if not self._fits(*kind):
                continue
            queue = self._waiting[kind]
            _, entry, again = queue.popleft()
            self._hold(entry.index, len(entry.asked), entry.labels)
            if queue:
                heappush(heads, (queue[0][0], kind))
            else:
                del self._waiting[kind]
            again()
