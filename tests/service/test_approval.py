"""Four eyes: somebody else, who may, and exactly the manifest that is held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.service.approval import refusal, unfit
from batcher.service.roles import Role, Who

DIGEST = "sha256:" + "a" * 64


def who(name: str, role: Role = Role.APPROVE) -> Who:
    return Who(name=name, role=role, address="192.0.2.1")


@pytest.mark.parametrize(
    ("by", "state", "approved_by", "given_digest", "status", "title"),
    [
        (who("ben"), "held", None, DIGEST, None, None),
        (who("ben", Role.ADMIN), "held", None, DIGEST, None, None),
        (who("ben", Role.SUBMIT), "held", None, DIGEST, 403, "Not an approver"),
        (who("anna"), "held", None, DIGEST, 403, "Own wave"),
        (who("anna", Role.ADMIN), "held", None, DIGEST, 403, "Own wave"),
        (who("anna"), "running", "ben", "sha256:no", 403, "Own wave"),
        (who("ben"), "held", None, None, 422, "No digest"),
        (who("ben"), "held", None, 7, 422, "No digest"),
        (who("ben"), "held", None, "a" * 64, 422, "No digest"),
        (who("ben"), "held", None, "sha256:" + "b" * 64, 409, "Another digest"),
        (who("ben"), "held", None, DIGEST[:-1], 409, "Another digest"),
        (who("ben"), "held", "carl", DIGEST, 409, "Already approved"),
        *((who("ben"), s, None, DIGEST, 409, "Not held") for s in ("queued", "running", "paused", "stopped", "ended")),
    ],
)
def test_who_may_let_which_wave_go(
    by: Who, state: str, approved_by: str | None, given_digest: object, status: int | None, title: str | None
) -> None:
    refused = refusal(
        state=state, digest=DIGEST, submitted_by="anna", approved_by=approved_by, who=by, given=given_digest
    )
    assert (refused and (refused.status, refused.title)) == (status and (status, title))


@given(
    st.sampled_from(["held", "queued", "running", "ended"]),
    st.sampled_from(["anna", "ben", "carl"]),
    st.sampled_from(list(Role)),
    st.one_of(st.none(), st.just(DIGEST), st.text(max_size=80)),
    st.sampled_from([None, "ben"]),
)
def test_never_by_one_pair_of_eyes(
    state: str, name: str, role: Role, digest: str | None, approved_by: str | None
) -> None:
    """Whatever is sent: what is approved was held, is another's, and is what was looked at."""
    refused = refusal(
        state=state, digest=DIGEST, submitted_by="anna", approved_by=approved_by, who=who(name, role), given=digest
    )
    if refused is None:
        assert state == "held"
        assert name != "anna"
        assert role >= Role.APPROVE
        assert digest == DIGEST
        assert approved_by is None


def test_a_service_without_names_can_have_no_second_pair_of_eyes() -> None:
    assert unfit(approval=True, tokens=False)
    assert not unfit(approval=True, tokens=True)
    assert not unfit(approval=False, tokens=False)
