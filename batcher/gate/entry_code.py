"""What the gate counts an entry by, in a byte: its status, its verdict, and whether these settle what it comes to.

A wave has a byte for each of its entries, so that a million of them are counted and found at once.
"""

import re
from collections.abc import Iterator
from typing import Any

from batcher.follow.verdict import Verdict, verdict_of_entry
from batcher.life.result import Status

_CREATED, _CONSISTENT = Status.CREATED, Verdict.CONSISTENT  # Python looks for a member anew at each mention
_STATUSES: tuple[Status | None, ...] = (None, *Status)  # 3 bits
_VERDICTS: tuple[Verdict | None, ...] = (None, *Verdict)  # 3 bits
_STATUS_CODES = {status: number for number, status in enumerate(_STATUSES)}
_VERDICT_CODES = {verdict: number << 3 for number, verdict in enumerate(_VERDICTS)}
_CREATED_CODE = _STATUS_CODES[_CREATED]
_VERDICT_BITS = 0b00111000

# The two bits above. An entry that was run several times is looked at whatever its runs are.
_ASK, _SOUND, _BLOCKS, _SEVERAL = (kind << 6 for kind in range(4))
_KIND_BITS = 0b11000000

_CONSISTENT_CODE = _VERDICT_CODES[_CONSISTENT] | _SOUND
MISSING = _BLOCKS
"""The code of an entry without a result."""
_SOUND_ONES = re.compile(b"[%s]" % re.escape(bytes(code for code in range(256) if code & _KIND_BITS == _SOUND)))
_OTHERS_RUN_ONCE = re.compile(
    b"[%s]" % re.escape(bytes(code for code in range(256) if code & _KIND_BITS in (_ASK, _BLOCKS)))
)


def code_of_verdict(line: Any) -> int:
    """What the verdict *line* makes of an entry that was created."""
    objects, data = line.object_level_compare_result, line.data_level_compare_result
    if not line.final:
        return _VERDICT_CODES[line.verdict] | _BLOCKS
    if data is None and objects is not None and objects.verdict is line.verdict is _CONSISTENT:
        return _CONSISTENT_CODE  # most are so
    halves = [half.verdict for half in (objects, data) if half is not None]
    # What an entry comes to is said by its comparisons: a line that says something else of itself was edited.
    if line.verdict is not verdict_of_entry(halves):
        return _VERDICT_CODES[line.verdict] | _ASK
    return _VERDICT_CODES[line.verdict] | (_SOUND if line.verdict is _CONSISTENT else _BLOCKS)


def code_of(status: Status, verdict: int) -> int:
    """The code of an entry with this *status* and what its verdict line makes of it; 0: it has none."""
    if status is not _CREATED:
        return _STATUS_CODES[status] | verdict & _VERDICT_BITS | _BLOCKS
    return _CREATED_CODE | (verdict or _BLOCKS)


def run_several_times(code: int) -> int:
    """The *code* of one of several runs of an entry."""
    return code | _SEVERAL


def is_run_once(code: int) -> bool:
    """Whether no other run of the entry is known."""
    return code & _KIND_BITS != _SEVERAL


def is_sound(code: int) -> bool:
    """Whether nothing of the entry is left to decide, whatever was accepted: created, consistent, and run once."""
    return code & _KIND_BITS == _SOUND


def is_in_the_way(code: int) -> bool:
    """Whether the entry stands in the way, with this status and verdict, unless something of it was accepted."""
    return code & _KIND_BITS == _BLOCKS


def status_of(code: int) -> Status | None:
    """The status in *code*; None: no result."""
    return _STATUSES[code & 0b111]


def verdict_of(code: int) -> Verdict | None:
    """The verdict in *code*; None: there is none."""
    return _VERDICTS[(code & _VERDICT_BITS) >> 3]


def sound_ones(codes: bytearray) -> Iterator[int]:
    """The places of those in *codes* that are sound, ascending."""
    return (found.start() for found in _SOUND_ONES.finditer(codes))


def others_run_once(codes: bytearray) -> Iterator[int]:
    """The places of those in *codes* that are not sound and were run once, ascending."""
    return (found.start() for found in _OTHERS_RUN_ONCE.finditer(codes))
