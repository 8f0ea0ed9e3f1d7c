"""Finding the pace that the cloud allows, where nobody has told us: a pure object over moments and answers.

    searching ──▶ rising ◀──────────┐      up to our own limit, where there is one
        └───────────┴──turned away──▶ throttled ──let in──┘

*Searching* doubles the pace every second. The first request that is turned away *closes* the scope (`closure`); after
a silence one request at a time feels whether there is room again, each after a longer silence, since on some APIs a
refused request counts against the limit too. Once one is let in, `cause` says which it was:

- **A stray.** Limits are per user, so another tool may have used up the moment. While nobody can tell, the pace has
  `credit` for a few of those, which is less than what a limit a little too low for it would use up. Where one is likely
  the scope is not even closed: those under way tell whether there is room.
- **A little too fast.** There was room again after a few gaps or probes. Back to the pace before the last step up, or
  down by a tenth, or more where little was let in and a limit so low explains it (`slowing`); then it climbs again
  (`climb`). Within a period after a cut the faster pace still counts, so it is too soon for another;
  not where we have no limit of our own, as then nobody believed in the first pace.
- **Far too fast.** There was no room for long. What was let in and turned away fits few limits: `history` names the
  one to go on with. The longer there was no room, the lower a limit is believed; and a pace that was kept for long, or
  one that the answer itself names, is not given up for less than half of it on a single occasion.
- **Strays, many of them.** The pace was cut, and requests are turned away all the same: whatever limit there may be,
  strays are likelier (`evidence`). Then the pace is not the reason: back to where it began, by a factor of two to four
  each time. Where that is likely but not certain, twice the pace is tried: it tells.

A limit below the pace that the answer names is kept at once, and for long. Unless a limit is certain, nothing takes the
pace far below what was let in over the last half minute. Where a request was turned away although we kept the limit,
the way may have carried requests closer together: for a while each is counted from its answer (`answer_counting`).
"""

from bisect import bisect_right
from collections import deque
from math import inf

from batcher.pace.limit_finding import climb
from batcher.pace.limit_finding.answer_counting import AnswerCounting
from batcher.pace.limit_finding.cause import Circumstances, ClosureCause, cause_of
from batcher.pace.limit_finding.climb import Climb
from batcher.pace.limit_finding.closure import Closure, StrayCheck
from batcher.pace.limit_finding.credit import Credit
from batcher.pace.limit_finding.evidence import CERTAIN, LIKELY, Evidence
from batcher.pace.limit_finding.history import History, PacedRequest, Stretch
from batcher.pace.limit_finding.paces import (
    START_PER_S,
    as_rate,
    floor_per_s,
    is_used,
    measured_per_s,
    named_rate,
    scaled,
)
from batcher.pace.limit_finding.slowing import MANY_GAPS, Cut, a_little_slower, far_slower
from batcher.rates import Rate

_FASTER_PER_S = 0.7  # for each request let in while searching: the pace doubles about every second
_RECENT = 10  # requests by which it is told whether the pace is used

_CREDITED = 1.0  # credit with which a refusal is likely to be a stray, or
_SETTLED = 30  # requests let in at this pace: a limit by the second would have shown itself
_TRIED_FASTER = 2.0  # times the pace, where strays are likely: by so much that the traffic tells
_USUAL_S = 1.0  # the period of most limits: another one may be believed in by mistake
_FARTHEST_BACK = 4.0  # times the pace, where they are certain: a limit that was taken for them shows again by then
_TRAFFIC_GAPS = 3  # that traffic takes to fade: less would not tell a slow pace from a slower one
_SEVERAL, _SEVERAL_STRAYS = 2, 3  # that must be turned away until a `Retry-After` is the scope's, or, at a quick pace,
_MOST_UNDER_WAY = 0.5  # of those under way: strays are a third at most


class LimitFinder:
    """The pace of one scope. Read `rate`, `strict` and `alone` after each call: they may have changed.

    *ceiling* is our own limit, None for none; *search* begins slowly and finds the cloud's. *each_waits*: who is told
    when to come again waits that long, whatever the scope does; where nobody does, a `Retry-After` always holds for the
    scope. All moments are monotonic seconds.
    """

    def __init__(self, ceiling: Rate | None, *, search: bool = False, each_waits: bool = True) -> None:
        self.ceiling = ceiling
        self._each_waits = each_waits
        self.searching = search
        self.rate: Rate | None = as_rate(START_PER_S) if search else ceiling
        self.named: Rate | None = None  # the limit that the cloud named, unless it proved wrong
        self.confirmed = False  # a whole period has passed under it
        self._let_in = 0  # requests, in all
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._since = -inf  # what left before says nothing new about the pace
        self._closure: Closure | None = None
        self._last_s = inf  # that the scope was closed the last time
        self._run = Stretch()  # since the scope was last opened, or the pace last changed
        self._kept = Stretch()  # at this pace, those before a stray included
        self._cut: Cut | None = None
        self._period_s = 1.0 if ceiling is None else max(1.0, ceiling.period_s)  # of the limit, as far as it is known
        self._cut_at = -inf  # when the pace was last cut for being a little too fast
        self._stray_check: StrayCheck | None = None
        self._history = History()
        self._evidence = Evidence()
        self._credit = Credit()
        self._climb = Climb(0.0 if ceiling is None else ceiling.per_s)
        self._answer_counting = AnswerCounting()

    @property
    def strict(self) -> bool:
        """Whether each request is to be counted from its answer."""
        return self._answer_counting.on

    @property
    def alone(self) -> bool:
        """Whether only one request may be under way."""
        return self._closure is not None

    @property
    def _odds(self) -> float:
        """The logarithm of how much likelier strays are than a limit."""
        gaps_s = 0.0 if self.rate is None else _TRAFFIC_GAPS / self.rate.per_s
        return self._evidence.weigh(max(_USUAL_S, gaps_s), max(self._period_s, gaps_s)).odds

    def accepted(self, sent_at: float, now: float) -> None:
        """The cloud let in a request that left at *sent_at*."""
        closure = self._closure
        news = sent_at >= self._since
        one = PacedRequest(sent_at, now, True, news and not self.searching)
        self._history.add(one)
        self._evidence.add(one)
        self._let_in += 1
        if closure is not None:
            if news or closure.shows_room(sent_at):
                self._reopen(closure, sent_at)
            return
        if news:
            self._go_on(sent_at)

    def turned_away(
        self, sent_at: float, now: float, *, retry_after_s: float | None, named: tuple[int, float] | None
    ) -> float | None:
        """The cloud turned a request away: for how many seconds nothing may leave now. None: nothing new.

        *named* is the limit in its answer, as count and period in seconds.
        """
        closure = self._closure
        news = sent_at >= self._since
        one = PacedRequest(sent_at, now, False, news and not self.searching)
        self._history.add(one)
        self._evidence.add(one)
        self._kept.refused += 1
        if not news:  # it was under way when the first one came back
            return None if closure is None else closure.also(now, self._since, retry_after_s)
        if closure is None and self._stays_open(sent_at, now, retry_after_s, named_rate(named)):
            return None
        self._stray_check = None
        self._since = now
        if closure is None:
            closure = self._closure = self._close(sent_at, now, retry_after_s, named_rate(named))
        else:
            closure.again(sent_at, now, retry_after_s)
            self._evidence.probe(sent_at, refused=True)
        return closure.silence_s

    def _stays_open(self, sent_at: float, now: float, retry_after_s: float | None, named: Rate | None) -> bool:
        """Whether the scope goes on although one that left at *sent_at* was turned away, as that is likely a stray."""
        rate = self.rate
        if rate is None or self.searching or (retry_after_s is not None and not self._each_waits):
            return False
        if named is not None and named.per_s < rate.per_s:
            return False
        if self._stray_check is not None:
            return not self._stray_check.is_too_much()
        tried = self._cut is not None or self._climb.before is not None  # then it is the pace that is on trial
        if self._odds <= (CERTAIN if tried else LIKELY):
            return False
        several = max(_SEVERAL, 1 + int(_MOST_UNDER_WAY * self._history.under_way(now - sent_at, rate)))
        self._stray_check = StrayCheck(at=sent_at, answered_at=now, several=several)
        return True

    def _were_strays(self, check: StrayCheck, sent_at: float) -> None:
        """What was turned away were strays, as one shows that left at *sent_at* and was let in."""
        self._stray_check = None
        self._credit.spend(check.refused)
        if self._is_pushed_together(check.at, self._run.let_in):  # a limit that we keep looks like strays then
            self._answer_counting.begin(sent_at, self._let_in)
        if self._cut is not None:
            self._go_back(self._cut.rate, sent_at)
        else:
            self._history.excuse(check.at)

    def _go_on(self, sent_at: float) -> None:
        """A request was let in while nothing was wrong: what does that prove, and may the pace be raised?"""
        if self._stray_check is not None and self._stray_check.is_over(sent_at):
            self._were_strays(self._stray_check, sent_at)
        self._run.add(sent_at)
        self._kept.add(sent_at)
        self._credit.earn()
        self._recent.append(sent_at)
        rate = self.rate
        if rate is None:
            return
        if self.searching:
            if is_used(rate, self._recent):
                self._go(as_rate(rate.per_s + _FASTER_PER_S), sent_at)
            return
        if self._kept.let_in == climb.PROVEN:
            self._climb.prove(rate)
        if rate == self.named and self._run.lasted_s(sent_at) > rate.period_s:
            self.confirmed = True
        self._answer_counting.note(self._let_in)
        if rate != self.ceiling and is_used(rate, self._recent):
            more = self._climb.next_pace(rate, self._kept.let_in, self._kept.lasted_s(sent_at), self._let_in)
            if more is not None:
                self._go(more, sent_at)
                self._climb.before = rate

    def _close(self, sent_at: float, now: float, retry_after_s: float | None, named: Rate | None) -> Closure:
        history = self._history
        per_s = measured_per_s(history.departures(let_in=True), history.departures(let_in=False), sent_at, self.rate)
        closure = Closure(
            at=sent_at,
            answered_at=now,
            kept_s=self._kept.lasted_s(sent_at),
            let_in=self._run.let_in,
            rate=self.rate,
            per_s=per_s,
            last_s=self._last_s,
            several=self._several(0.0 if self.rate is None else history.under_way(now - sent_at, self.rate)),
            each_waits=self._each_waits,
            named=named,
            told=self._keep(named),
        )
        closure.begin(retry_after_s)
        if self.rate is None:
            self.rate = as_rate(per_s)  # the requests that feel for room count under the pace that is found
        return closure

    def _several(self, under_way: float) -> int:
        """How many must be turned away until a `Retry-After` is the scope's and not one entry's, where so many are
        *under_way*; 1 where that one is hardly a stray. A limit turns away most of those under way, strays few."""
        odds = self._odds
        if self.searching:
            return 1
        most = 1 + int(_MOST_UNDER_WAY * under_way)
        if odds < -CERTAIN:
            return most
        if odds > CERTAIN:
            return max(_SEVERAL_STRAYS, most)
        sound = self._credit.left >= _CREDITED or self._kept.let_in >= _SETTLED
        return max(_SEVERAL if sound or odds > LIKELY else 1, most)

    def _keep(self, limit: Rate | None) -> bool:
        """Keep the limit that the cloud names; False: it names none, or none below the pace."""
        if limit is None or (self.rate is not None and limit.per_s >= self.rate.per_s):
            return False
        again = limit == self.named
        self._climb.bar_named(limit, self._let_in, again=again)
        self.confirmed = self.confirmed and again
        self.named = self.rate = limit
        return True

    def _reopen(self, closure: Closure, sent_at: float) -> None:
        """There is room again, for one that left at *sent_at*."""
        self._closure = None
        self._last_s = sent_at - closure.at
        self._credit.spend(closure.refused)
        if not self.searching:
            self._evidence.probe(sent_at, refused=False)
        is_on_trial = self._climb.before is not None or closure.told
        if self.rate is not None and not is_on_trial and self._credit.left < 0 and self._odds < -LIKELY:
            self._answer_counting.doubt(closure.at, self._let_in, self.rate.period_s)
        match cause_of(self._circumstances(closure, sent_at)):
            case ClosureCause.NAMED:
                self._go(self.rate, sent_at)
            case ClosureCause.PUSHED_TOGETHER:
                self._answer_counting.begin(sent_at, self._let_in)
                self._go(self.rate, sent_at)
            case ClosureCause.STRAYS if self._cut is not None:
                self._go_back(self._cut.rate, sent_at)
            case ClosureCause.LIKELY_STRAYS:
                self._try_faster(sent_at)
            case ClosureCause.STRAY | ClosureCause.STRAYS:
                if self._cut is None:
                    self._history.excuse(closure.at)
                self._go(closure.rate, sent_at)
            case ClosureCause.STEP:
                self._step_back(sent_at)
            case ClosureCause.TOO_SOON_TO_TELL:
                self._go(closure.rate, sent_at)
            case ClosureCause.A_LITTLE_TOO_FAST:
                self._cut_at = sent_at
                self._try_slower(closure)
                self._slow_down(closure, sent_at)
            case ClosureCause.FAR_TOO_FAST:
                self._try_slower(closure)
                self._slow_down_far(closure, sent_at)
        self.searching = False

    def _circumstances(self, closure: Closure, sent_at: float) -> Circumstances:
        odds = self._odds
        return Circumstances(
            named=closure.told,
            searching=self.searching,
            gaps=(closure.until - closure.at) * closure.per_s,
            short=closure.rate is not None and closure.was_short,
            in_turn=closure.in_turn,
            pushed_together=self._is_pushed_together(closure.at, closure.let_in),
            odds=odds,
            on_trial=self._cut is not None,
            in_credit=self._credit.left >= 0 and (odds > 0 or closure.kept_s >= sent_at - closure.at),
            stepped_up=self._climb.before is not None,
            just_cut=self.ceiling is not None and closure.at - self._cut_at < self._period_s,
        )

    def _is_pushed_together(self, at: float, run: int) -> bool:
        """Whether too many are turned away although we keep the limit: after *run*, one that left at *at*."""
        limit = self.rate
        if limit is None or limit not in (self.ceiling, self.named):
            return False
        left = self._history.departures(let_in=False)
        full = len(left) - bisect_right(left, at - limit.period_s) >= 0.5 * limit.count
        return full and self._answer_counting.may_begin(self._let_in, run)

    def _try_slower(self, closure: Closure) -> None:
        """A slower pace is on trial; where the limit has changed, what was seen before speaks of another one."""
        if self._cut is None:
            self._cut = Cut(closure.rate)
            period_s = max(2 * (closure.until - closure.at), self.rate.period_s if self.rate else 0.0)
            if not self._history.explained(period_s):
                self._history.begin(closure.at)

    def _go_back(self, before: Rate | None, sent_at: float) -> None:
        """The pace was not the reason: back to the one *before* it was cut, or faster where that was slow as well."""
        self._history.begin(sent_at)
        if before is not None and self.rate is not None:
            times = before.per_s / self.rate.per_s
            nearer = min(max(times, _TRIED_FASTER), _FARTHEST_BACK)
            before = before if times == nearer else scaled(self.rate, nearer)
        self._go(before, sent_at)
        self._credit.fill()

    def _try_faster(self, sent_at: float) -> None:
        """A faster pace than the one on trial tells whether the pace is the reason at all."""
        assert self.rate is not None  # noqa: S101 - the pace was cut, so there is one
        faster = scaled(self.rate, _TRIED_FASTER)
        before = None if self._cut is None else self._cut.rate
        self._go(faster if before is None or faster.per_s < before.per_s else before, sent_at)

    def _step_back(self, sent_at: float) -> None:
        """The last step up was one too many."""
        before = self._climb.before or self.rate
        if before is not None:
            self._climb.fell(before.per_s if self.rate is None else self.rate.per_s, self._let_in)
            self._go(before, sent_at)

    def _slow_down(self, closure: Closure, sent_at: float) -> None:
        """The pace was a little too fast."""
        rate = self.rate or as_rate(closure.per_s)
        share = self._kept.let_in / (self._kept.let_in + self._kept.refused)
        slower = a_little_slower(rate, self._history.fit(), closure.per_s, share, self._odds)
        self._climb.bar_again(rate.per_s, self._let_in)
        self._go(slower, sent_at)

    def _slow_down_far(self, closure: Closure, sent_at: float) -> None:
        """The pace was far too fast."""
        shortest_s = (closure.until - closure.at) * (1.0 if closure.says_when else 0.5)  # what feels for room counts
        fit = self._history.fit(shortest_s)
        if fit is None:
            self._history.begin(self._run.since)
            fit = self._history.fit(shortest_s)
        if fit is not None:
            self._period_s = max(1.0, fit.rate.period_s)
        slower = far_slower(closure, fit, None if self.searching else self.rate, sent_at, self._odds)
        if slower.gaps > MANY_GAPS:
            self._climb.proven_per_s = 0.0
            if not closure.says_when:  # what felt for room showed that it is no stray: there is no way straight back
                self._cut = None
        self.named = None
        self._climb.bar(slower.barrier_per_s, self._let_in)
        self._go(slower.rate, sent_at)

    def _go(self, rate: Rate | None, sent_at: float) -> None:
        """Keep *rate* from now on, or our own limit if that is lower; not far below what was let in of late, unless a
        limit is certain: one that was cut to a third is kept at once."""
        if rate is not None and not self.searching and self._odds > -CERTAIN:
            floor = floor_per_s(self._history.departures(let_in=True), sent_at)
            # No reason to go faster: it would go over a limit that an answer has just named.
            floor = min(floor, inf if self.rate is None else self.rate.per_s)
            rate = as_rate(floor) if rate.per_s < floor else rate
        if rate is not None and self.ceiling is not None and rate.per_s >= self.ceiling.per_s:
            rate = self.ceiling
        if rate != self.rate:
            fastest = max(self.rate.per_s if self.rate else inf, self._climb.proven_per_s)
            self._credit.begin(float(rate is not None and rate.per_s < fastest))
            self._kept = Stretch()
            self._climb.before = None
        if self._cut is not None and (
            rate is None or (self._cut.rate is not None and rate.per_s >= self._cut.rate.per_s)
        ):
            self._cut = None  # it has climbed back
        self.rate = rate
        self._since, self._run = sent_at, Stretch()
        self._recent.clear()
