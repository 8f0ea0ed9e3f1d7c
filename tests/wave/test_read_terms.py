"""What comes after a look-up in trouble: for a wave's own, and for those who only look."""

from typing import Any, cast

import pytest

from batcher.channel.read_terms import LooksForWave, Next, OnlyLooks
from batcher.drs.outcome import ErrorKind, Fate, Foreign, Trouble

NOBODY = cast("Any", None)


@pytest.mark.parametrize(
    ("fate", "kind", "foreign", "wave", "looks"),
    [
        (Fate.TURNED_AWAY, ErrorKind.THROTTLED, None, Next.AGAIN, Next.AGAIN),
        (Fate.NOT_LET_IN, ErrorKind.AUTH, None, Next.RENEW, Next.RENEW),
        (Fate.NOT_LET_IN, ErrorKind.PERMISSION, None, Next.RENEW, Next.ANSWER),
        (Fate.MAYBE, ErrorKind.SERVER, None, Next.ANSWER, Next.ANSWER),
        (Fate.MAYBE, ErrorKind.NETWORK, Foreign.BARRED, Next.ANSWER, Next.HALT),
    ],
)
def test_who_only_looks_lives_without_a_permission(
    fate: Fate, kind: ErrorKind, foreign: Foreign | None, wave: Next, looks: Next
) -> None:
    trouble = Trouble(fate=fate, kind=kind, foreign=foreign)
    assert LooksForWave(NOBODY, NOBODY, NOBODY).after(trouble) is wave
    assert OnlyLooks(NOBODY).after(trouble) is looks
