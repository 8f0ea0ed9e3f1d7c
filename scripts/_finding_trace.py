"""What the limit finder concludes, step by step, in a simulated wave."""

from batcher.pace.limit_finding.cause import Circumstances, ClosureCause, cause_of
from batcher.pace.limit_finding.closure import Closure, StrayCheck
from batcher.pace.limit_finding.finder import LimitFinder
from batcher.rates import Rate

_SAID = {
    ClosureCause.NAMED: "the answer names the limit",
    ClosureCause.PUSHED_TOGETHER: "the way may push requests together",
    ClosureCause.STRAYS: "strays, for certain",
    ClosureCause.LIKELY_STRAYS: "strays, likely",
    ClosureCause.STRAY: "it may be a stray",
    ClosureCause.STEP: "the step up was too much",
    ClosureCause.TOO_SOON_TO_TELL: "too soon after a cut to tell",
    ClosureCause.A_LITTLE_TOO_FAST: "a little too fast",
    ClosureCause.FAR_TOO_FAST: "far too fast",
}


class TracedFinder(LimitFinder):
    """One that writes a line, *lines*, each time there is room again and each time it climbs."""

    def __init__(self, ceiling: Rate | None, *, search: bool = False) -> None:
        super().__init__(ceiling, search=search)
        self.lines: list[str] = []
        self._why = ""

    def accepted(self, sent_at: float, now: float) -> None:
        """As the finder does it, with a line for what changed."""
        before, self._why = self.rate, ""
        super().accepted(sent_at, now)
        if self._why or self.rate != before:
            said = self._why or "all let in: a step up"
            self.lines.append(f"{sent_at:6.1f} s  {said:<64} {_pace(before)} -> {_pace(self.rate)}")

    def _were_strays(self, check: StrayCheck, sent_at: float) -> None:
        self._why = f"turned away: {check.refused}, odds {self._odds:+.1f}: strays, and the scope was not closed"
        super()._were_strays(check, sent_at)

    def _circumstances(self, closure: Closure, sent_at: float) -> Circumstances:
        known = super()._circumstances(closure, sent_at)
        self._why = f"turned away: {known.in_turn}, odds {known.odds:+.1f}: {_SAID[cause_of(known)]}"
        return known


def _pace(rate: Rate | None) -> str:
    return "no limit" if rate is None else f"{rate.per_s:.2f}/s"
