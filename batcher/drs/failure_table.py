"""The one table by which failures are classified: (HTTP status, error code) to what the cloud may have done.

A pair that is not here is in doubt. Message texts are never looked at: their language follows `X-Language`.
Sources: official pages by their id (support.huaweicloud.com; OTC: docs.otc.t-systems.com), "observed" for public
code, "inferred" where a page leaves it open and the row is what is safe.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from batcher.drs.outcome import ErrorKind, Fate

NO_CODE = None
"""Row key for an answer that carries no error code at all: HTML, an empty body, a bare status."""

ANY_CODE = "*"
"""Row key for every code that has no row of its own under that status."""


class FailureRow(Struct, frozen=True, kw_only=True):
    """What an answer with *http_status* and *code* means."""

    http_status: int
    code: str | None
    fate: Fate
    kind: ErrorKind
    meaning: str
    source: str


def find(http_status: int, code: str | None) -> FailureRow | None:
    """The row of this pair; None: unlisted. The gateway's older prefix `APIG.` is the same as `APIGW.`."""
    if code is not None and code.startswith("APIG."):
        code = "APIGW." + code.removeprefix("APIG.")
    return _BY_PAIR.get((http_status, code)) or _BY_PAIR.get((http_status, ANY_CODE))


_ERRORS = "drs_05_0004 (DRS error codes)"
_GATEWAY = "devg-apisign, api-sign-errorcode (API Gateway error codes)"
_IAM = "iam_30_0001 and the IAM error codes"
_SEEN = "observed in public code; in no official table"


def _rows(
    fate: Fate, kind: ErrorKind, source: str, statuses: Iterable[int], meanings: dict[str | None, str]
) -> Iterator[FailureRow]:
    for code, meaning in meanings.items():
        for http_status in statuses:
            yield FailureRow(
                http_status=http_status,
                code=code,
                fate=fate,
                kind=kind,
                meaning=meaning,
                source=source,
            )


def _drs(fate: Fate, kind: ErrorKind, statuses: Iterable[int], meanings: dict[str | None, str]) -> Iterator[FailureRow]:
    """Rows of DRS codes. Each counts under 200 as well: tables 8 and 9 of drs_03_0136 put the code of a call, or of
    one of its halves, that failed into an answer with that status."""
    return _rows(fate, kind, _ERRORS, dict.fromkeys((*statuses, 200)), meanings)


def _gateway(fate: Fate, kind: ErrorKind, statuses: Iterable[int], meanings: dict[str, str]) -> Iterator[FailureRow]:
    return _rows(fate, kind, _GATEWAY, statuses, {f"APIGW.{number}": text for number, text in meanings.items()})


ROWS: tuple[FailureRow, ...] = (
    # --- DRS itself ---
    *_drs(
        Fate.REFUSED,
        ErrorKind.VALIDATION,
        (400,),
        {
            "DRS.M00007": "invalid parameter",
            "DRS.M00200": "parameter wrong",
            "DRS.M00201": "parameter empty",
            "DRS.M00202": "parameter value invalid",
            "DRS.M00210": "page number wrong",
            "DRS.M00211": "page size over the limit",
            "DRS.M00299": "only one job id allowed",
            "DRS.M00300": "invalid request",
            "DRS.M00301": "duplicates in the request",
            "DRS.M00302": "bad schema",
            "DRS.M00303": "parameter not cached",
            "DRS.M00305": "parameter wrong",
            "DRS.M00306": "start equals end",
            "DRS.M00307": "only subtasks may be used: name the job's subtask",
            "DRS.M00308": "only parent tasks may be used",
            "DRS.M00269": "a tag key stands twice",
            "DRS.M00270": "a tag key is too long",
            "DRS.M00271": "too many tags",
            "DRS.M00273": "a parameter holds something that is not allowed",
        },
    ),
    *_drs(
        Fate.REFUSED,
        ErrorKind.NOT_FOUND,
        (400,),
        {"DRS.M05003": "job information not found", "DRS.M05004": "job deleted or released"},
    ),
    *_rows(Fate.REFUSED, ErrorKind.NOT_FOUND, _SEEN, (200, 400), {"DRS.M00289": "no such job"}),
    *_rows(Fate.REFUSED, ErrorKind.NOT_FOUND, _SEEN, (200, 400, 404), {"DRS.10000010": "no such job"}),
    *_drs(Fate.REFUSED, ErrorKind.STATE, (400,), {"DRS.KE0002": "database user or password wrong"}),
    *_drs(
        Fate.REFUSED,
        ErrorKind.STATE,
        (400,),
        {
            "DRS.M00401": "not supported for this link",
            "DRS.M00402": "there is a subtask already",
            "DRS.M10018": "the version of the job cannot pause or resume comparisons",
        },
    ),
    *_drs(
        Fate.MAYBE,
        ErrorKind.SERVER,
        (422,),
        {"DRS.M05006": "the instance is not valid: its endpoint may be gone"},
    ),
    *_drs(Fate.NOT_YET, ErrorKind.STATE, (400,), {"DRS.M00304": "not allowed in the job's present status"}),
    *_drs(
        Fate.BUSY,
        ErrorKind.STATE,
        (202,),
        {"DRS.M01504": "another operation is running, or the job is abnormal"},
    ),
    *_rows(
        Fate.BUSY,
        ErrorKind.STATE,
        "inferred: as its sibling DRS.10000024",
        (400,),
        {"DRS.M01504": "another operation is running, or the job is abnormal"},
    ),
    *_rows(
        Fate.BUSY,
        ErrorKind.STATE,
        "drs_03_0255 (example of a sibling call)",
        (200, 400),
        {"DRS.10000024": "another operation is running, or the job is abnormal"},
    ),
    *_drs(Fate.TURNED_AWAY, ErrorKind.THROTTLED, (400,), {"DRS.M01503": "too frequent"}),
    *_drs(Fate.NOT_LET_IN, ErrorKind.AUTH, (403,), {"DRS.M00100": "invalid token"}),
    *_drs(Fate.NOT_LET_IN, ErrorKind.PERMISSION, (401,), {"DRS.M00103": "no right to operate"}),
    *_drs(
        Fate.NOT_LET_IN,
        ErrorKind.PERMISSION,
        (403,),
        {"DRS.M00102": "permission insufficient", "DRS.M00261": "project id invalid"},
    ),
    *_drs(Fate.NOT_LET_IN, ErrorKind.PERMISSION, (404,), {"DRS.M00101": "role empty"}),
    *_drs(Fate.NOT_LET_IN, ErrorKind.PERMISSION, (400,), {"DRS.M00105": "user restricted"}),
    *_drs(
        Fate.MAYBE,
        ErrorKind.SERVER,
        (422,),
        {"DRS.M00002": "empty result", "DRS.M01501": "service error", "DRS.M06011": "fault on the instance's side"},
    ),
    *_drs(Fate.MAYBE, ErrorKind.SERVER, (422, 500), {"DRS.M00004": "service abnormal"}),  # 500 in the OTC edition
    *_drs(Fate.MAYBE, ErrorKind.SERVER, (200,), {"DRS.M05066": "instance creation failed"}),
    # --- the gateway in front of it ---
    *_gateway(
        Fate.REFUSED,
        ErrorKind.NOT_FOUND,
        (404,),
        {"0101": "API not found: is the endpoint that of DRS?", "0103": "backend not found"},
    ),
    *_gateway(
        Fate.REFUSED,
        ErrorKind.VALIDATION,
        (400,),
        {
            "0104": "request matches no route",
            "0105": "request matches no backend",
            "0106": "request matches no backend",
            "0602": "bad request",
        },
    ),
    *_gateway(Fate.REFUSED, ErrorKind.VALIDATION, (400, 413, 414, 494), {"0201": "request malformed or too large"}),
    *_gateway(Fate.MAYBE, ErrorKind.SERVER, (500, 502, 504), {"0201": "backend unavailable or timed out"}),
    *_rows(Fate.MAYBE, ErrorKind.SERVER, _SEEN, (500, 502, 504), {"APIGW.0203": "backend timed out"}),
    *_rows(
        Fate.MAYBE,
        ErrorKind.SERVER,
        "apig_03_0048 (the gateway product's own table)",
        (500,),
        {
            "APIGW.0103": "backend not found",
            "APIGW.0104": "request matches no route",
            "APIGW.0105": "request matches no backend",
        },
    ),
    *_gateway(
        Fate.NOT_LET_IN,
        ErrorKind.AUTH,
        (401,),
        {
            "0301": "token or signature wrong, expired, or the clock is off",
            "0303": "app authentication failed",
            "0305": "third-party authentication failed",
            "0307": "token must be renewed, or is of another region",
            "0311": "third-party authentication failed",
        },
    ),
    *_gateway(
        Fate.NOT_LET_IN,
        ErrorKind.PERMISSION,
        (403,),
        {
            "0302": "user not allowed",
            "0304": "app not allowed",
            "0306": "access denied",
            "0310": "project unavailable",
            "0401": "address forbidden",
            "0402": "account forbidden",
            "0404": "access forbidden",
            "0801": "region restricted",
            "0802": "IAM service restricted",
        },
    ),
    *_gateway(
        Fate.NOT_LET_IN,
        ErrorKind.PERMISSION,
        (405,),
        {"0501": "the app's quota is used up", "0502": "the app is frozen"},
    ),
    *_gateway(Fate.TURNED_AWAY, ErrorKind.THROTTLED, (429,), {"0308": "throttled"}),
    *_gateway(
        Fate.MAYBE,
        ErrorKind.SERVER,
        (500,),
        {
            number: "fault in the gateway"
            for number in ("0601", "0605", "0606", "0607", "0608", "0609", "0611", "0612", "0705")
        },
    ),
    *_gateway(Fate.MAYBE, ErrorKind.SERVER, (502,), {"0610": "no backend"}),
    *_gateway(Fate.MAYBE, ErrorKind.SERVER, (503,), {"0613": "IAM unavailable"}),
    # --- IAM ---
    *_rows(
        Fate.REFUSED,
        ErrorKind.VALIDATION,
        _IAM,
        (400,),
        {
            "IAM.0007": "parameter wrong",
            "IAM.0011": "request malformed",
            "IAM.1101": "parameter wrong",
            "IAM.1109": "parameter wrong",
        },
    ),
    *_rows(Fate.MAYBE, ErrorKind.SERVER, _IAM, (500,), {"IAM.0006": "IAM's own error"}),
    *_rows(
        Fate.NOT_LET_IN,
        ErrorKind.PERMISSION,
        _IAM,
        (403,),
        {"IAM.0002": "not allowed", "IAM.0003": "not allowed", "IAM.0081": "a user for the console only"},
    ),
    # --- by status alone ---
    *_rows(
        Fate.NOT_LET_IN,
        ErrorKind.AUTH,
        "RFC 9110 section 15.5.2; five refused signatures in a row lock a key, so no code makes a repeat safe",
        (401,),
        {ANY_CODE: "credential refused", NO_CODE: "credential refused"},
    ),
    *_rows(
        Fate.NOT_LET_IN,
        ErrorKind.PERMISSION,
        "RFC 9110 section 15.5.4",
        (403,),
        {ANY_CODE: "not allowed", NO_CODE: "not allowed"},
    ),
    *_rows(
        Fate.TURNED_AWAY,
        ErrorKind.THROTTLED,
        "RFC 6585 section 4",
        (429,),
        {ANY_CODE: "throttled", NO_CODE: "throttled"},
    ),
    *_rows(
        Fate.REFUSED,
        ErrorKind.NOT_FOUND,
        "RFC 9110 sections 15.5.5 and 15.5.6: nothing serves this address",
        (404, 405),
        {NO_CODE: "nothing serves this address: is the endpoint that of DRS?"},
    ),
    *_rows(
        Fate.REFUSED,
        ErrorKind.VALIDATION,
        "RFC 9110 sections 15.5.14 and 15.5.15",
        (413, 414),
        {NO_CODE: "request too large"},
    ),
    *_rows(
        Fate.MAYBE,
        ErrorKind.SERVER,
        "RFC 9110 section 15.6: says nothing of what was done",
        (500, 502, 503, 504),
        {NO_CODE: "fault on the server's side"},
    ),
    *_rows(
        Fate.MAYBE,
        ErrorKind.TIMEOUT,
        "RFC 9110 section 15.5.9",
        (408,),
        {NO_CODE: "the server gave up waiting"},
    ),
)

_BY_PAIR = {(row.http_status, row.code): row for row in ROWS}
