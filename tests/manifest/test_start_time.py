"""`start_time`: read in one way only, or refused."""

import pytest

from batcher.manifest.start_time import BadStartTime, start_time_ms
from tests.manifest.reading import NOW


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1800003600000", "1800003600000"),
        ("2027-01-15T09:00:00Z", "1800003600000"),
        ("2027-01-15t09:00:00z", "1800003600000"),
        ("2027-01-15 09:00:00+00:00", "1800003600000"),
        ("2027-01-15T17:00:00+08:00", "1800003600000"),
        ("2027-01-15T09:00:00.1239Z", "1800003600123"),
        ("2027-01-15T08:00:00Z", "1800000000000"),
        ("1800003600000.0", "1800003600000"),
        ("1800003600000.000000", "1800003600000"),
        ("1800003600000,00", "1800003600000"),
        (1800003600000, "1800003600000"),
        (1800003600000.0, "1800003600000"),
        ("2027-01-15 09:00:00+00", "1800003600000"),
        ("2027-01-15 09:00:00.000+0000", "1800003600000"),
        ("2027-01-15 17:00:00+0800", "1800003600000"),
        ("2027-01-15T14:30:00+05:30", "1800003600000"),
        ("2027-01-15 09:00:00 UTC", "1800003600000"),
        ("2027-01-15 17:00:00 +0800", "1800003600000"),
    ],
)
def test_what_is_taken(text: str | float, ms: str) -> None:
    """13 digits, or RFC 3339 with its zone; to the millisecond, and now is not past yet."""
    assert start_time_ms(text, now=NOW) == ms


@pytest.mark.parametrize(
    ("text", "problem", "mend"),
    [
        ("1800003600", "has ten digits: seconds, where milliseconds are needed", "Write 1800003600000"),
        ("18000036000", "has 11 digits, and milliseconds since 1970 have 13", "Write 13 digits"),
        ("0180000360000", "has 13 digits", "Write 13 digits"),
        ("1799999999999", "is past (2027-01-15 07:59:59 UTC)", "Leave it empty"),
        ("2027-01-15T07:59:59Z", "is past (2027-01-15 07:59:59 UTC)", "Leave it empty"),
        ("2027-01-15T09:00:00", "has no zone", "Write 2027-01-15T09:00:00Z for UTC"),
        ("2027-02-30T09:00:00Z", "is no time of any calendar day", "Write 13 digits"),
        ("2027-01-15T24:00:00+99:00", "is no time of any calendar day", "Write 13 digits"),
        ("0001-01-01T00:00:00+14:00", "is out of range", "Write 13 digits"),
        ("1.80000E+12", "is a number with an exponent, which may have lost digits", "Write all 13 digits: format the"),
        ("1,80000E+12", "is a number with an exponent, which may have lost digits", "Write all 13 digits: format the"),
        ("1.89e+12", "is a number with an exponent, which may have lost digits", "Write all 13 digits: format(x, sci"),
        (
            "1889999999999.9999999",
            "has a fraction of a millisecond",
            "Round it to whole milliseconds: CAST(… AS BIGINT)",
        ),
        (1800003600000.5, "has a fraction of a millisecond", "Round it"),
        (1.8e300, "has 301 digits", "Write 13 digits"),
        (float("inf"), "is no time that can be read in one way only", "Write 13 digits"),
        ("NULL", "is a word for nothing: databases and DBeaver write it", "Leave it empty to start at once"),
        ("1800003600.0", "has ten digits: seconds, where milliseconds are needed", "Write 1800003600000"),
        ("15.01.2027 09:00", "is no time that can be read in one way only", "Write 13 digits"),
        ("tomorrow", "is no time that can be read in one way only", "Write 13 digits"),
        ("١٨٠٠٠٠٣٦٠٠٠٠٠", "is no time that can be read in one way only", "Write 13 digits"),
        ("-180000360000", "is no time that can be read in one way only", "Write 13 digits"),
    ],
)
def test_what_is_refused(text: str | float, problem: str, mend: str) -> None:
    """Each with the way out."""
    with pytest.raises(BadStartTime) as caught:
        start_time_ms(text, now=NOW)
    assert caught.value.problem.startswith(problem)
    assert caught.value.mend.startswith(mend)
