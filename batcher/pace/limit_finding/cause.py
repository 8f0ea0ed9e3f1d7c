"""Why a scope was turned away, once there is room again: a pure function of what is known then."""

from enum import Enum, auto

from msgspec import Struct

from batcher.pace.limit_finding.evidence import CERTAIN, LIKELY

_FEW_GAPS = 7  # room again after so many: the pace was only just above the limit
# Refusals in a row that strays may bring, one less where they are not certain; a full window brings more. At a quick
# pace an answer alone takes many gaps, so two strays in a row are not taken for a pace that was far too fast.
_BY_CHANCE = 3


class ClosureCause(Enum):
    """Why requests were turned away."""

    NAMED = auto()  # the answer named a limit below the pace, which is kept from now on
    PUSHED_TOGETHER = auto()  # the way to the cloud carried requests closer together than they left
    STRAYS = auto()  # what is turned away has nothing to do with the pace
    LIKELY_STRAYS = auto()  # the same, but nobody can be sure yet: a faster pace will tell
    STRAY = auto()  # this one may be a stray: nobody can tell yet
    STEP = auto()  # the last step up was one too many
    TOO_SOON_TO_TELL = auto()  # what left before the last cut may have brought it
    A_LITTLE_TOO_FAST = auto()
    FAR_TOO_FAST = auto()


class Circumstances(Struct, frozen=True, kw_only=True):
    """What is known when there is room again. *odds* as `evidence.Weighed` has them."""

    named: bool  # the answer named a limit below the pace
    searching: bool
    gaps: float  # between requests, for which there was no room
    short: bool  # as `Closure.was_short` has it
    in_turn: int  # so many were turned away, one after the other
    pushed_together: bool  # counting from answers is worth a try
    odds: float
    on_trial: bool  # the pace was cut before, and the slower one is not proven
    in_credit: bool  # so few were turned away that they may pass for strays
    stepped_up: bool  # and that step is not proven
    just_cut: bool  # the pace, within the period before: what left at the faster one still counts


def cause_of(known: Circumstances) -> ClosureCause:
    """Why the scope was turned away."""
    by_chance = _BY_CHANCE if known.odds > CERTAIN else _BY_CHANCE - 1
    few = not known.searching and (known.gaps <= _FEW_GAPS or (known.short and known.in_turn <= by_chance))
    if known.named:
        return ClosureCause.NAMED
    if few and known.pushed_together:
        return ClosureCause.PUSHED_TOGETHER
    if not known.searching and known.odds > CERTAIN and known.in_turn <= _BY_CHANCE:
        return ClosureCause.STRAYS
    if known.in_credit and not known.searching and known.odds > -CERTAIN:
        return ClosureCause.STRAY
    if known.stepped_up:
        return ClosureCause.STEP
    if known.on_trial and known.odds > LIKELY and known.in_turn <= _BY_CHANCE:
        return ClosureCause.LIKELY_STRAYS
    if not few:
        return ClosureCause.FAR_TOO_FAST
    return ClosureCause.TOO_SOON_TO_TELL if known.just_cut and known.odds > -CERTAIN else ClosureCause.A_LITTLE_TOO_FAST
