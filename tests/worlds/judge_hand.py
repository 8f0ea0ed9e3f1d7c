"""The judge's further questions: the operator's hand, deadlines, and comparisons that run at once."""

from collections.abc import Iterator

from batcher.life.result import Status
from batcher.rates import Rate, parse_pace
from batcher.wave.stop import StopKind
from tests.worlds.violation import Violation
from tests.worlds.world import History, Lived

UNITS = 1e-3  # what floating point and the loop's tick may move
_EVER = float("inf")


def slowest_s(history: History) -> float:
    """How long a request that was let go may take to leave: connecting takes time."""
    return 10.0 if history.spec.faults.slow else 0.02


def paces(history: History) -> list[tuple[float, float, Rate | None]]:
    """From when until when which limit of ours was in force, as promised: without the moments in which it changes."""
    moments: list[tuple[float, Rate | None]] = []
    for lived in history.lives:
        moments.append((lived.began_at, history.spec.rate))
        for order in lived.orders:
            if order.do == "rate" and order.value is not None:
                pace = parse_pace(order.value)
                moments.append((order.at, pace if isinstance(pace, Rate) else None))
    changes = [one for nth, one in enumerate(moments) if nth == 0 or one[1] != moments[nth - 1][1]]
    ends = [at for at, _ in changes[1:]] + [_EVER]
    grace_s = slowest_s(history) + UNITS
    begins = [at if nth == 0 else at + grace_s for nth, (at, _) in enumerate(changes)]
    return [(begin, end, rate) for begin, end, (_, rate) in zip(begins, ends, changes, strict=True)]


def steered(history: History) -> Iterator[Violation]:
    """While it is paused, once it was stopped, and after its deadline nothing leaves but what was on its way."""
    for number, lived in enumerate(history.lives):
        for why, since, until in _silences(lived):
            for sent in history.cloud.sent:
                if sent.life == number and since + slowest_s(history) + UNITS < sent.left_at < until:
                    yield Violation(why, f"request {sent.number} left {sent.left_at - since:.3f} s after that")
        kind = lived.end.stop.kind if lived.end is not None and lived.end.stop is not None else None
        if kind is StopKind.DEADLINE and lived.life.deadline_s is None:
            yield Violation("ending", f"life {number} speaks of a deadline that it had not")


def _silences(lived: Lived) -> Iterator[tuple[str, float, float]]:
    paused_at: float | None = None
    for order in lived.orders:
        if order.do == "pause" and paused_at is None:
            paused_at = order.at
        elif order.do == "resume" and paused_at is not None:
            yield "pause", paused_at, order.at
            paused_at = None
        elif order.do == "stop":
            yield "stop", order.at, _EVER
    if paused_at is not None:
        yield "pause", paused_at, _EVER
    if lived.life.deadline_s is not None:
        yield "deadline", lived.began_at + lived.life.deadline_s, _EVER


def running(history: History) -> Iterator[Violation]:
    """Never more comparisons run than `--max-running` allows, unless one entry alone asks for more."""
    settings = history.spec.settings
    if history.spec.cloud_step is not None:
        return  # when comparisons end goes by the clock that was set
    if settings is None or settings.max_running is None or any(lived.life.retry_failed for lived in history.lives):
        return  # what was created of a failed entry that is taken up again is not followed until it ends anew
    untold = {result.index for lived in history.lives for result in lived.results if result.status is Status.UNSETTLED}
    landed = [(sent.landed_at, sent) for sent in history.cloud.sent if sent.landed_at is not None]
    ends: dict[str, float] = {}
    by: dict[str, int] = {}  # which entry made it
    for at, sent in sorted(landed, key=lambda one: one[0]):
        ends = {made: end for made, end in ends.items() if end > at and made not in sent.cancelled}
        if sent.entry in untold:
            continue  # nobody can tell when it ends
        beside_others = any(by[made] != sent.entry for made in ends)  # its own other half may have come before
        if beside_others and len(ends) + len(sent.created) > settings.max_running:
            together = len(ends) + len(sent.created)
            yield Violation("running", f"request {sent.number} makes it {together}, {settings.max_running} may run")
        ends |= sent.ends_at
        by |= dict.fromkeys(sent.ends_at, sent.entry)


def strangers(history: History, beside: History | None) -> Iterator[Violation]:
    """Where another wave works on the same jobs, a comparison of its may be taken for ours only by a look-up."""
    if beside is None:
        return
    theirs = {made for sent in beside.cloud.sent for made in sent.created.values()}
    ours = {made for sent in history.cloud.sent for made in sent.created.values()}
    for result in history.results():
        for name in ("object_level_compare_create_result", "data_level_compare_create_result"):
            made = (result[name] or {}).get("compare_task_id")
            if made in theirs - ours and not result["recovered"] and history.spec.config.keep_answer != "existing":
                yield Violation("invented", f"entry {result['index']} reports {made}, of another wave")
