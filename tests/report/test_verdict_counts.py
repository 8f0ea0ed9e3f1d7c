"""Verdicts counted many lines at a time: what is counted and what is told of damage is as it is line by line."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from batcher.follow.verdict import Verdict, VerdictLine
from batcher.follow.verdicts_file import VerdictsError, verdict_lines
from batcher.life.result import Status
from batcher.report import verdict_counts
from batcher.report.verdict_counts import VerdictCounts
from tests.follow.make import difference, half, line

PATH = Path("r.verdicts.jsonl")
LINES = [
    line(
        half(*[difference()] * (number % 3)),
        index=number,
        status=list(Status)[number % 3],
        verdict=list(Verdict)[number % 5],
        labels={"team": "pay\r\u2028ö"},
    ).to_line()
    for number in range(60)
]

pytestmark = pytest.mark.usefixtures("elsewhere")


def by_hand(lines: list[VerdictLine]) -> dict[Verdict, int]:
    made = [one for one in lines if one.status in (Status.CREATED, Status.PARTIAL)]
    return {verdict: n for verdict, n in Counter(one.verdict for one in made).items() if n}


@pytest.mark.parametrize("block", [1, 700, 5000, 1 << 16])
def test_it_counts_what_the_lines_say(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict_counts, "_BLOCK", block)
    PATH.write_bytes(b"".join(LINES))
    assert VerdictCounts(PATH).counts() == by_hand(list(verdict_lines(PATH)))


@pytest.mark.parametrize("block", [700, 1 << 16])
def test_it_ends_before_what_is_not_final_and_goes_on_when_that_is_gone(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict_counts, "_BLOCK", block)
    passing = [one.replace(b'"final":true', b'"final":false') for one in LINES[20:40]]
    counts = VerdictCounts(PATH)
    for body, final in ((LINES[:20] + passing, 20), (LINES[:20] + passing, 20), ([*LINES[:50], LINES[50][:99]], 50)):
        PATH.write_bytes(b"".join(body))
        assert counts.counts() == by_hand(list(verdict_lines(PATH))[:final])
        assert counts.lines == final


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda raw: raw[:300] + b"\n",
    "run into the next": lambda raw: raw.rstrip(b"\n"),
    "in two": lambda raw: raw.replace(b',"status"', b',\n"status"'),
    "empty": lambda _: b"\n",
    "no verdict of ours": lambda raw: raw.replace(b'"verdict":"', b'"verdict":"x'),
    "no status of ours": lambda raw: raw.replace(b'"status":"', b'"status":"x'),
    "without its end": lambda raw: raw.replace(b'"final":true,', b""),
    "no truth": lambda raw: raw.replace(b'"final":true', b'"final":"perhaps"'),
    "no text": lambda raw: raw.replace(b"pay", b"p\xe1y"),
    "no JSON": lambda raw: raw.replace(b"{", b"[", 1),
    "zeros": lambda raw: bytes(len(raw) - 1) + b"\n",
    "another thing": lambda _: b'{"x":1}\n',
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("at", [0, 33])
@pytest.mark.parametrize("grown", [False, True])
def test_it_tells_of_damage_as_who_reads_each_line(damage: str, at: int, grown: bool) -> None:
    counts = VerdictCounts(PATH)
    if grown:
        PATH.write_bytes(b"".join(LINES[:at]))
        counts.counts()
    PATH.write_bytes(b"".join([*LINES[:at], DAMAGE[damage](LINES[at]), *LINES[at + 1 :]]))
    with pytest.raises(VerdictsError) as told:
        list(verdict_lines(PATH))
    with pytest.raises(VerdictsError) as also:
        counts.counts()
    assert also.value.message == told.value.message
