"""The operator's word: taken where it fits what is known, and only there; what follows from it is told, not done."""

from collections.abc import Sequence

import pytest

from batcher.drs.outcome import Fate, HalfOutcome, Made
from batcher.life.entry import PlannedEntry
from batcher.life.events import Answered, Event, Intended, Reopened, Ruled
from batcher.life.result import Status
from batcher.life.ruling import NotSettled, Ruling, RulingEffect, rule
from batcher.life.state import history
from tests.wave.made import DATA, NOON, OBJECT, entry, trouble

BOTH = frozenset({OBJECT, DATA})
INTENT = Intended(at=NOON, asked=BOTH, known=frozenset({"before"}))
DOUBT = trouble(Fate.MAYBE)


def answered(**halves: HalfOutcome) -> Answered:
    told = {"object": OBJECT, "data": DATA}
    return Answered(
        at=NOON, sent_at=NOON, halves={told[name]: verdict for name, verdict in halves.items()}, http_status=200,
        request_id="r",
    )  # fmt: skip


ONE_OPEN = (INTENT, answered(object=Made("o"), data=DOUBT))
BOTH_OPEN = (INTENT, answered(object=DOUBT, data=DOUBT))


def ruled(
    text: str,
    events: Sequence[Event] = ONE_OPEN,
    status: Status | None = Status.UNSETTLED,
    others: Sequence[tuple[PlannedEntry, Sequence[Event]]] = (),
) -> RulingEffect:
    return rule(entry(), history(BOTH, events), status, Ruling.parse(text), others, NOON + 60)


@pytest.mark.parametrize(
    ("text", "events", "status", "final"),
    [
        ("created=d", ONE_OPEN, Status.CREATED, True),
        ("data=d", ONE_OPEN, Status.CREATED, True),
        ("failed", ONE_OPEN, Status.PARTIAL, True),
        ("object=o,data=d", BOTH_OPEN, Status.CREATED, True),
        ("object=o,data=failed", BOTH_OPEN, Status.PARTIAL, True),
        ("failed", BOTH_OPEN, Status.FAILED, True),
        ("retry", BOTH_OPEN, Status.NOT_SUBMITTED, False),
    ],
)
def test_what_a_ruling_makes_of_an_entry(text: str, events: Sequence[Event], status: Status, final: bool) -> None:
    effect = ruled(text, events)
    assert (effect.stands.status, effect.is_final) == (status, final)
    assert [type(event) for event in effect.events] == [Reopened, Ruled]
    assert not effect.state.in_doubt
    assert effect.state == history(BOTH, [*events, *effect.events])


def test_an_entry_that_has_no_result_yet_is_not_taken_up_again() -> None:
    """Its run died while it was in doubt."""
    assert [type(event) for event in ruled("failed", status=None).events] == [Ruled]


@pytest.mark.parametrize(
    ("text", "events", "status", "said"),
    [
        ("created=d", BOTH_OPEN, Status.UNSETTLED, "one id is not enough"),
        ("object=x,data=d", ONE_OPEN, Status.UNSETTLED, "in doubt of entry key-0 is data"),
        ("object=x,data=x", BOTH_OPEN, Status.UNSETTLED, "never share an id"),
        ("created=o", ONE_OPEN, Status.UNSETTLED, "made at its other level"),
        ("created=theirs", ONE_OPEN, Status.UNSETTLED, "belongs to entry key-7"),
        ("created=before", ONE_OPEN, Status.UNSETTLED, "was there before"),
        ("failed", ONE_OPEN, Status.CREATED, "is created, not unsettled"),
        ("failed", (), None, "not in doubt"),
    ],
)
def test_a_ruling_that_does_not_fit_is_refused(
    text: str, events: Sequence[Event], status: Status | None, said: str
) -> None:
    theirs = (entry(7), (INTENT, answered(object=Made("theirs"), data=Made("also"))))
    with pytest.raises(NotSettled, match=said):
        ruled(text, events, status, [theirs])
