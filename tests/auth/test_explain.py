"""What a refusal means: by code, then by words that only choose the wording, then by the clocks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.drs.auth.explain import Cause, explain, explained
from batcher.drs.failure_table import ANY_CODE, ROWS
from batcher.drs.outcome import ErrorKind, Fate, Trouble

# Messages of the gateway under APIGW.0301, as seen in public.
SEEN = {
    "Incorrect IAM authentication information: verify aksk signature fail": Cause.SIGNATURE_WRONG,
    "Incorrect IAM authentication information: Get secretKey failed,ak:AK,err:ak not exist": Cause.KEY_UNKNOWN,
    "Incorrect IAM authentication information: AK access failed to reach the limit, forbidden": Cause.KEY_LOCKED,
    "Incorrect IAM authentication information: decrypt token fail": Cause.TOKEN_INVALID,
    "Incorrect IAM authentication information: token expires, expires_at:2026-01-01T00:00:00Z": Cause.TOKEN_EXPIRED,
    "Incorrect IAM authentication information: x-auth-token not found": Cause.TOKEN_MISSING,
    "Incorrect IAM authentication information: signature expired": Cause.CLOCK_WRONG,
    "Incorrect IAM authentication information: SecurityToken expired": Cause.KEY_EXPIRED,
}


@pytest.mark.parametrize(("message", "cause"), SEEN.items())
def test_the_gateway_s_one_code_for_everything_is_told_apart_by_its_words(message: str, cause: Cause) -> None:
    assert explain(error_code="APIGW.0301", error_msg=message).cause is cause
    assert explain(error_code="APIG.0301", error_msg=message.upper()).cause is cause


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("APIGW.0307", Cause.TOKEN_INVALID),
        ("APIGW.0302", Cause.NO_PERMISSION),
        ("APIG.0310", Cause.WRONG_PROJECT),
        ("DRS.M00261", Cause.WRONG_PROJECT),
        ("DRS.M00102", Cause.NO_PERMISSION),
        ("APIGW.0802", Cause.FORBIDDEN_HERE),
    ],
)
def test_a_code_that_says_it_needs_no_words(code: str, cause: Cause) -> None:
    assert explain(error_code=code, error_msg="signature token expired locked").cause is cause


def test_words_that_changed_cost_no_more_than_the_wording() -> None:
    assert explain(error_code="APIGW.0301", error_msg="令牌无效").cause is Cause.REFUSED
    assert explain(error_code=None, error_msg=None, kind=ErrorKind.PERMISSION).cause is Cause.NO_PERMISSION


@pytest.mark.parametrize(
    ("message", "skew_s", "cause"),
    [
        ("verify aksk signature fail", 3600.0, Cause.CLOCK_WRONG),
        ("verify aksk signature fail", 120.0, Cause.SIGNATURE_WRONG),
        ("signature expired", -1000.0, Cause.CLOCK_WRONG),
        ("signature expired", 3.0, Cause.KEY_EXPIRED),
        ("signature expired", None, Cause.CLOCK_WRONG),
        ("decrypt token fail", 3600.0, Cause.TOKEN_INVALID),
    ],
)
def test_the_clocks_decide_between_skew_and_a_key_at_its_end(message: str, skew_s: float | None, cause: Cause) -> None:
    assert explain(error_code="APIGW.0301", error_msg=message, skew_s=skew_s).cause is cause


def test_skew_is_told_in_numbers_and_with_its_side() -> None:
    behind = explain(error_code="APIGW.0301", error_msg="signature expired", skew_s=2460.0)
    assert "41m behind the cloud's" in behind.says
    assert "ahead of the cloud's" in explain(error_code=None, error_msg="signature", skew_s=-2460.0).says


@pytest.mark.parametrize("row", [row for row in ROWS if row.fate is Fate.NOT_LET_IN], ids=lambda row: str(row.code))
def test_every_refusal_of_the_table_has_a_way_out(row: object) -> None:
    code = None if getattr(row, "code", None) == ANY_CODE else row.code  # type: ignore[attr-defined]
    found = explain(error_code=code, error_msg=None, kind=row.kind)  # type: ignore[attr-defined]
    assert found.says
    assert found.do
    assert not str(found).endswith(".")
    if code is not None and not code.startswith("APIGW.03") and row.kind is ErrorKind.PERMISSION:  # type: ignore[attr-defined]
        assert found.cause in {Cause.NO_PERMISSION, Cause.WRONG_PROJECT, Cause.FORBIDDEN_HERE, Cause.USER_UNFIT}


@settings(deadline=None)
@given(code=st.none() | st.text(max_size=12), msg=st.none() | st.text(max_size=40), kind=st.sampled_from(ErrorKind))
def test_anything_is_explained(code: str | None, msg: str | None, kind: ErrorKind) -> None:
    for login in (False, True):
        assert explain(error_code=code, error_msg=msg, kind=kind, login=login).do


def test_a_trouble_keeps_its_code_and_the_cloud_s_words() -> None:
    trouble = Trouble(
        fate=Fate.NOT_LET_IN,
        kind=ErrorKind.AUTH,
        error_code="APIGW.0301",
        error_msg="decrypt token fail.",
    )
    told = explained(trouble)
    assert (told.error_code, told.fate, told.kind) == ("APIGW.0301", Fate.NOT_LET_IN, ErrorKind.AUTH)
    assert told.error_msg is not None
    assert "X-Subject-Token" in told.error_msg
    assert told.error_msg.endswith("The cloud's words: APIGW.0301: decrypt token fail")
