"""When each request is to be counted from its answer (`pace_window`), as the way to the cloud pushes them together."""

# Let in before one was turned away: fewer are worth counting by answers, which takes a tenth of the time where a limit
# is by the second and an answer takes 0.1 s. One in a hundred is well below the 3% that may be turned away.
_BELOW = 100
_FOR = 300  # requests; four times as many each next time: finding out that the way is no better costs 0.3%, then less
_AGAIN = 1000  # let in, after it was of no help: a limit that is lower than ours would bring it on again and again


class AnswerCounting:
    """Whether requests are counted from their answers (`on`).

    Moments are monotonic seconds; *let_in* is the number of requests let in, in all.
    """

    def __init__(self) -> None:
        self.on = False
        self._for = _FOR
        self._since = (0.0, 0)  # the moment, and how many had been let in
        self._not_before = 0  # how many must have been let in before it is tried again

    def may_begin(self, let_in: int, run: int) -> bool:
        """Whether counting from answers is worth a try, after *run* requests were let in and one turned away."""
        return not self.on and run < _BELOW and let_in >= self._not_before

    def begin(self, moment: float, let_in: int) -> None:
        """From now on."""
        self.on, self._since = True, (moment, let_in)

    def note(self, let_in: int) -> None:
        """One more was let in: it ends after a while."""
        if self.on and let_in - self._since[1] >= self._for:
            self.on = False
            self._for *= 4

    def doubt(self, moment: float, let_in: int, period_s: float) -> None:
        """One that left at *moment* was turned away all the same, and no stray: after two periods it is of no help."""
        if self.on and moment > self._since[0] + 2 * period_s:
            self.on, self._not_before = False, let_in + _AGAIN
