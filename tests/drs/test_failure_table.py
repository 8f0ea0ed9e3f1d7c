"""The table itself: one row a pair, each with a source, and nothing in it that could cost a second comparison."""

from collections import Counter

from batcher.drs.failure_table import ANY_CODE, ROWS, find
from batcher.drs.outcome import ErrorKind, Fate


def test_no_pair_has_two_rows() -> None:
    pairs = Counter((row.http_status, row.code) for row in ROWS)
    assert [pair for pair, count in pairs.items() if count > 1] == []


def test_every_row_has_a_source_and_a_meaning() -> None:
    assert all(row.source and row.meaning for row in ROWS)


def test_what_may_be_behind_the_gateway_is_never_certain() -> None:
    """A 5xx, a 408 or a 422 says nothing of what the service did."""
    for row in ROWS:
        if row.http_status >= 500 or row.http_status in (408, 422):
            assert row.fate is Fate.MAYBE, row


def test_no_refused_credential_is_tried_on_and_on() -> None:
    """Five bad signatures lock a key: any 401 and 403 stops the scope, whatever its code."""
    for http_status in (401, 403):
        for row in (row for row in ROWS if row.http_status == http_status):
            assert row.fate is Fate.NOT_LET_IN, row
        for code in (None, "never.heard"):
            found = find(http_status, code)
            assert found is not None
            assert found.fate is Fate.NOT_LET_IN


def test_kinds_fit_their_fates() -> None:
    kinds = {
        Fate.TURNED_AWAY: {ErrorKind.THROTTLED},
        Fate.NOT_LET_IN: {ErrorKind.AUTH, ErrorKind.PERMISSION},
        Fate.REFUSED: {ErrorKind.VALIDATION, ErrorKind.NOT_FOUND, ErrorKind.STATE},
        Fate.NOT_YET: {ErrorKind.STATE},
        Fate.BUSY: {ErrorKind.STATE},
        Fate.MAYBE: {ErrorKind.SERVER, ErrorKind.TIMEOUT},
    }
    for row in ROWS:
        assert row.kind in kinds[row.fate], row


def test_a_row_of_its_own_beats_the_row_for_any_code() -> None:
    exact, any_code = find(403, "DRS.M00100"), find(403, "DRS.M99999")
    assert exact is not None
    assert any_code is not None
    assert (exact.kind, any_code.kind) == (ErrorKind.AUTH, ErrorKind.PERMISSION)
    assert any_code.code == ANY_CODE


def test_the_gateways_older_prefix_is_the_same() -> None:
    assert find(404, "APIG.0101") == find(404, "APIGW.0101") is not None
