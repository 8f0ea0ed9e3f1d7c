"""The limits of a scope that are those of the waves in it: where nobody has said what the scope allows, its waves do.

Two waves that were submitted with 5/s each are 5/s together: each says what its cloud allows, and it is one cloud. Of
waves that differ the greatest counts, since the others keep their own below it.
"""

from collections.abc import Iterable

from batcher.channel.governor import Limit
from batcher.rates import Rate


def greatest(limits: Iterable[Limit]) -> Limit:
    """The limit that hinders none of *limits*: none, where one of them is none; else to find it, where one is."""
    rates: list[Rate] = []
    to_find = False
    for limit in limits:
        if limit is None:
            return None
        if isinstance(limit, Rate):
            rates.append(limit)
        else:
            to_find = True
    if to_find or not rates:
        return "auto"
    return max(rates, key=lambda rate: rate.per_s)


def lower(one: Limit, other: Limit) -> Limit:
    """The limit that keeps both: a rate below another, what is to be found where the other is none."""
    if one is None or other is None:
        return other if one is None else one
    if isinstance(one, Rate) and isinstance(other, Rate):
        return min(one, other, key=lambda rate: rate.per_s)
    return one if isinstance(one, Rate) else other
