"""How many refusals are put up with before the pace is cut, while nobody can tell strays from a limit."""

_SHARE = 1 / 60  # of those let in: less than what a limit a little too low for the pace turns away
_MOST = 3.0  # as strays come in bunches


class Credit:
    """Refusals that may still pass for strays at this pace: each request let in earns a little, each refusal spends.

    *left* is a number of refusals; below zero there is none.
    """

    def __init__(self) -> None:
        self.left = 0.0

    def earn(self) -> None:
        """A request was let in."""
        self.left = min(self.left + _SHARE, _MOST)

    def spend(self, refused: int) -> None:
        """So many were turned away."""
        self.left -= refused

    def begin(self, left: float) -> None:
        """The pace is another one."""
        self.left = left

    def fill(self) -> None:
        """The pace has proven to be sound."""
        self.left = _MOST
