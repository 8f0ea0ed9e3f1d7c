"""Strays: requests turned away for no reason of ours, as by a neighbour under the same account; what is believed.

A pace earns *credit* with each request that is let in, a little, and what is turned away spends it: while there is
some left, a refusal counts as a stray. Once it is spent the pace is cut, and the slower one is on *trial*. If no
limit explains what is turned away during the trial, the pace was not the reason: for a while strays are believed to
be as many as they were then, and credit is earned accordingly.
"""

from msgspec import Struct

from batcher.rates import Rate

_SHARE = 1 / 60  # of those let in: less than what a limit a little too low for the pace turns away
_MOST = 3.0  # credit; twice that where strays are believed to be many, as they come in bunches
_MANY = 1 / 3  # of all: so many are no strays
_BELIEVED = 500  # requests let in, for which a trial is believed


class Credit:
    """How many requests may still be turned away as strays, at this pace."""

    def __init__(self) -> None:
        self.left = 0.0
        self._share = _SHARE
        self._believed = 0

    @property
    def believes(self) -> bool:
        """Whether a trial has shown that there are many strays."""
        return self._believed > 0

    def earn(self) -> None:
        """A request was let in."""
        if self._believed:
            self._believed -= 1
            if not self._believed:
                self._share = _SHARE
        self.left = min(self.left + self._share, 2 * _MOST if self._believed else _MOST)

    def spend(self, refused: int) -> None:
        """So many were turned away."""
        self.left -= refused

    def believe(self, share: float) -> None:
        """*share* of all requests are strays."""
        self._share, self._believed, self.left = 2 * share, _BELIEVED, _MOST


class Trial(Struct):
    """A slower pace on trial, in place of *rate*; beside it how many had been let in and turned away until then."""

    rate: Rate | None
    since: float
    let_in: int
    refused: int

    def strays(self, let_in: int, refused: int) -> float | None:
        """The share that was turned away since, of *let_in* and *refused* in all; None: too many for strays."""
        refused -= self.refused
        share = refused / (let_in - self.let_in + refused)
        return share if share <= _MANY else None
