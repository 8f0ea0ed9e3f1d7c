"""The judge of several machines, as far as the database's own log tells: orders, intents, commits, jobs in doubt."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from batcher.journal.ops import Happened, Settled
from batcher.journal.port import Record
from batcher.life.events import Answered, Intended, Retracted
from batcher.life.result import Status
from batcher.life.state import EntryState, fold, fresh
from batcher.machines.held_scope import LEAVE_S
from batcher.rates import Rate, parse_pace
from tests.worlds.cloud import Sent, are_clear
from tests.worlds.fleet import FleetHistory
from tests.worlds.fleet_parts import MEMBER
from tests.worlds.judge import limit_broken
from tests.worlds.judge_hand import UNITS
from tests.worlds.shared_database import Handed, Ordered, Recorded
from tests.worlds.shared_orders import Named, Order, ScopeOrders, WaveOrders, forbidden
from tests.worlds.violation import Violation


def number_of(wave: str, index: int) -> int:
    """The entry at *index* of that *wave*, as the cloud is told whose a request is."""
    return int(wave.removeprefix("wave-")) * MEMBER + index


def judge_log(history: FleetHistory) -> Iterator[Violation]:
    """Every promise of these that was broken."""
    yield from _fenced(history)
    yield from _obeyed(history)
    yield from _intended(history)
    yield from _paced(history)
    yield from _one_in_doubt(history)
    yield from _committed(history)


def _fenced(history: FleetHistory) -> Iterator[Violation]:
    """Nothing is recorded by a lease once another has the scope."""
    takes: dict[Named, list[tuple[float, int]]] = defaultdict(list)
    for at, scope, epoch, _ in history.database.takes:
        takes[scope].append((at, epoch))
    for one in history.database.log:
        if isinstance(one, Recorded):
            newest = max((epoch for at, epoch in takes[one.scope] if at < one.at), default=0)
            if one.epoch < newest:
                text = f"{one.wave}: epoch {one.epoch} records at {one.at - 1000:.3f}, and {newest} has the scope"
                yield Violation("fence", text)


def _obeyed(history: FleetHistory) -> Iterator[Violation]:
    """Once an order is given nothing is intended any more that it forbids, whichever machine that is of."""
    waves: dict[str, WaveOrders] = defaultdict(WaveOrders)
    scopes: dict[Named, ScopeOrders] = defaultdict(ScopeOrders)
    counts: dict[str, Counter[Status]] = defaultdict(Counter)
    for one in history.database.log:
        match one:
            case Ordered(at, order):
                _change(waves, scopes, order, at)
            case Recorded(op=Settled(status=status)):
                counts[one.wave][status] += 1
            case Recorded(op=Happened(event=Intended())):
                why = forbidden(waves[one.wave], scopes[one.scope], counts[one.wave], one.at)
                if why is not None:
                    yield Violation("orders", f"{one.wave}: an intent at {one.at - 1000:.3f}, though it is {why}")


def _change(waves: dict[str, WaveOrders], scopes: dict[Named, ScopeOrders], order: Order, at: float) -> None:
    if order.wave is not None:
        waves[order.wave].change(order.changes, at)
    if order.scope is not None:
        scopes[order.scope].change(order.changes)


def _intents(history: FleetHistory) -> dict[tuple[int, int], list[tuple[int, Recorded]]]:
    """By entry and epoch: each intent with its place in the log."""
    found: dict[tuple[int, int], list[tuple[int, Recorded]]] = defaultdict(list)
    for place, one in enumerate(history.database.log):
        if isinstance(one, Recorded) and isinstance(one.op, Happened) and isinstance(one.op.event, Intended):
            found[number_of(one.wave, one.op.index), one.epoch].append((place, one))
    return found


def _intent_of(sent: Sent, intents: dict[tuple[int, int], list[tuple[int, Recorded]]]) -> tuple[int, Recorded] | None:
    """The intent by which *sent* left, with its place in the log."""
    before = [found for found in intents.get((sent.entry, sent.epoch), ()) if found[1].at <= sent.checked_at]
    return before[-1] if before else None


def _intended(history: FleetHistory) -> Iterator[Violation]:
    """Each request leaves soon after an intent that its own lease made durable."""
    intents = _intents(history)
    used: Counter[int] = Counter()
    for sent in history.sent:
        found = _intent_of(sent, intents)
        if found is None:
            yield Violation("unintended", f"request {sent.number} of entry {sent.entry} has no intent")
            continue
        place, intent = found
        used[place] += 1
        if used[place] > 1:
            yield Violation(
                "unintended", f"request {sent.number} of entry {sent.entry} left by an intent that was used"
            )
        if sent.checked_at - intent.at > LEAVE_S + UNITS:
            late_s = sent.checked_at - intent.at
            yield Violation("unintended", f"request {sent.number} was let leave {late_s:.3f} s after its intent")


def _paced(history: FleetHistory) -> Iterator[Violation]:
    """What is intended after an order for another pace leaves by that, over all machines, until the next order."""
    orders = [(place, one) for place, one in enumerate(history.database.log) if isinstance(one, Ordered)]
    paces = [(place, one) for place, one in orders if any(name == "rate" for name, _ in one.order.changes)]
    if not paces:
        return
    intents = _intents(history)
    left = [(found[0], sent) for sent in history.sent if (found := _intent_of(sent, intents)) is not None]
    for nth, (since, one) in enumerate(paces):
        rate = _rate_of(one.order)
        if rate is None:
            continue
        until = next((other.at for _, other in paces[nth + 1 :] if _same(one.order, other.order)), float("inf"))
        by_project: dict[str, list[float]] = defaultdict(list)
        for place, sent in left:
            is_meant = sent.job[0] == one.order.scope[1] if one.order.scope else one.order.wave == _wave_of(sent)
            if is_meant and since < place and sent.checked_at == sent.left_at < until:
                by_project[sent.job[0]].append(sent.left_at)
        for moments in by_project.values():
            for broken in limit_broken("creates after an order", rate, sorted(moments)):
                yield Violation("pace", broken.text)


def _rate_of(order: Order) -> Rate | None:
    said = dict(order.changes).get("rate")
    rate = None if said is None else parse_pace(said)
    return rate if isinstance(rate, Rate) else None


def _same(one: Order, other: Order) -> bool:
    return (one.wave, one.scope) == (other.wave, other.scope)


def _wave_of(sent: Sent) -> str:
    return f"wave-{sent.entry // MEMBER}"


def _one_in_doubt(history: FleetHistory) -> Iterator[Violation]:
    """Nothing is intended for a job while a request for it is in doubt that can still land, of whichever wave and
    machine. An intent that nobody was told is durable makes no request."""
    sharing: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, wave in enumerate(history.spec.waves):
        for entry in wave:
            sharing[entry.terms.scope[1], entry.request.job_id].append(number * MEMBER + entry.index)
    shared = {own: numbers for numbers in sharing.values() if len(numbers) > 1 for own in numbers}
    if not shared:
        return
    landing_s = history.spec.base.policy.landing_s
    by_entry: dict[int, list[Sent]] = defaultdict(list)
    for sent in history.sent:
        by_entry[sent.entry].append(sent)
    states: dict[int, EntryState] = {}
    opened: dict[int, tuple[float, int | None]] = {}  # since when, and who knows of it alone, where it is settled
    for one in history.database.log:
        match one:
            case Recorded(op=Happened(index=index, event=event)):
                own = number_of(one.wave, index)
                if own not in shared:
                    continue
                if isinstance(event, Intended):
                    for other in shared[own]:
                        since, known_to = opened.get(other, (None, None))
                        if other == own or since is None or known_to not in (None, one.epoch):
                            continue
                        if states[other].in_doubt and _may_land(by_entry[other], since, one.at, landing_s):
                            text = f"entry {own} is intended at {one.at - 1000:.3f} while {other} is in doubt"
                            yield Violation("together", text)
                    opened[own] = one.at, None
                elif isinstance(event, Retracted) or (isinstance(event, Answered) and are_clear(event.halves.values())):
                    opened.pop(own, None)
                before = states.get(own) or _fresh(history.database.records[one.wave], index)
                states[own] = fold(before, event)
            case Recorded(op=Settled(index=index)) if (own := number_of(one.wave, index)) in opened:
                opened[own] = opened[own][0], one.epoch


def _may_land(requests: list[Sent], since: float, now: float, landing_s: float) -> bool:
    """Whether that of *requests* which was intended at *since* may land after *now*, and nobody knows its end, recorded
    or not."""
    sent = next((sent for sent in requests if 0 <= sent.checked_at - since <= LEAVE_S + UNITS), None)
    if sent is None or now >= sent.left_at + landing_s:
        return False
    return not (sent.is_clear and sent.ended_at is not None and sent.ended_at <= now)


def _fresh(record: Record, index: int) -> EntryState:
    entry = record.entry(index)
    assert entry is not None
    return fresh(entry.asked)


def _committed(history: FleetHistory) -> Iterator[Violation]:
    """What a machine was told is durable is in the record, and what it was told is refused is not; what failed may be
    there. Nothing is there twice, also where it was handed over again."""
    database = history.database
    written = Counter(id(one.op) for one in database.log if isinstance(one, Recorded))
    groups: dict[tuple[int, ...], list[Handed]] = defaultdict(list)
    for handed in database.handed:
        groups[tuple(map(id, handed.ops))].append(handed)
    for ops, handings in groups.items():
        if not ops:  # by which a machine sees to it that what failed comes too late from then on
            continue
        times, told = {written[op] for op in ops}, Counter(handed.told for handed in handings)
        most, wave = max(times), handings[0].wave
        if len(times) > 1:
            yield Violation("commits", f"{wave}: a group was written in part")
        elif most > 1:
            yield Violation("commits", f"{wave}: a group was written {most} times, and told {dict(told)}")
        elif most > told["durable"] + told["failed"] + told[""]:
            yield Violation("commits", f"{wave}: a group was written that was told {dict(told)}")
        elif most < told["durable"]:
            yield Violation("commits", f"{wave}: a group is not there that was told to be durable")
