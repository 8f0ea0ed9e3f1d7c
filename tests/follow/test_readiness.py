"""Every job status has a readiness, and only one status is ready."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.drs.v3.batch_status import READY
from batcher.holding.readiness import Readiness, readiness_of_status, state_of_trouble
from batcher.simulator.jobs import STATUSES


@given(st.sampled_from(sorted(STATUSES)) | st.text(max_size=30))
def test_only_one_status_is_ready(status: str) -> None:
    readiness, why = readiness_of_status(status)
    assert (readiness is Readiness.READY) == (status == READY)
    assert bool(why) == (status != READY)


@pytest.mark.parametrize(
    ("status", "readiness"),
    [
        ("FULL_TRANSFER_STARTED", Readiness.NOT_YET),
        ("WAITING_FOR_START", Readiness.NOT_YET),
        ("A_STATUS_OF_TOMORROW", Readiness.NOT_YET),
        ("PAUSING", Readiness.WRONG_STATE),
        ("FULL_TRANSFER_FAILED", Readiness.WRONG_STATE),
        ("RELEASE_RESOURCE_COMPLETE", Readiness.WRONG_STATE),
        ("CHILD_TRANSFER_STARTED", Readiness.PARENT),
        ("RELEASE_CHILD_TRANSFER_COMPLETE", Readiness.PARENT),
    ],
)
def test_what_becomes_of_it_decides(status: str, readiness: Readiness) -> None:
    assert readiness_of_status(status)[0] is readiness


def test_no_documented_status_is_left_to_chance() -> None:
    assert not [status for status in STATUSES if "not known to batcher" in readiness_of_status(status)[1]]


@pytest.mark.parametrize(
    ("kind", "readiness"),
    [
        (ErrorKind.NOT_FOUND, Readiness.UNKNOWN),
        (ErrorKind.PERMISSION, Readiness.NO_PERMISSION),
        (ErrorKind.AUTH, Readiness.NO_PERMISSION),
        (ErrorKind.PROTOCOL, Readiness.UNKNOWN),
    ],
)
def test_an_error_says_why_nothing_is_known(kind: ErrorKind, readiness: Readiness) -> None:
    state = state_of_trouble("job-1", Trouble(fate=Fate.REFUSED, kind=kind, error_msg="because"))
    assert (state.readiness, state.why) == (readiness, "because")
