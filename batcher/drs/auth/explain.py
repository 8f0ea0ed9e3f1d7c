"""What a refused credential was refused for, and what to do about it. Pure: from what the answer says, no clock.

What happens next never depends on this: it goes by (status, code), in `failure_table`. Message texts are only read
here to choose between wordings, since the gateway has one code for a dozen causes.
"""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from batcher.drs.outcome import ErrorKind, Trouble
from batcher.durations import duration_text

TOLERATED_SKEW_S = 900.0  # the gateway takes signatures within 15 minutes of its own clock


class Cause(StrEnum):
    """Why the cloud does not let us in."""

    TOKEN_EXPIRED = "token expired"  # noqa: S105 - a name
    TOKEN_INVALID = "token invalid"  # noqa: S105 - a name
    TOKEN_MISSING = "token missing"  # noqa: S105 - a name
    KEY_UNKNOWN = "access key unknown"
    KEY_LOCKED = "access key locked"
    SIGNATURE_WRONG = "secret key wrong"
    KEY_EXPIRED = "temporary access key expired"
    CLOCK_WRONG = "clock wrong"
    PASSWORD_WRONG = "user name or password wrong"  # noqa: S105 - a name
    USER_LOCKED = "user locked"
    USER_UNFIT = "user may not log in by API"
    NO_PERMISSION = "no permission"
    WRONG_PROJECT = "wrong project"
    FORBIDDEN_HERE = "forbidden from here"
    REQUEST_UNFIT = "user, domain or project not known"
    REFUSED = "refused"


_MEANS: dict[Cause, tuple[str, str]] = {
    Cause.TOKEN_EXPIRED: (
        "the token has expired (tokens live 24 hours, and die early when a password or a permission changes)",
        "Fetch a new one and put it where the old one was; a token file is read again by itself. With a user name "
        "and password, or an access key, no token needs to be fetched by hand",
    ),
    Cause.TOKEN_INVALID: (
        "the token is not one that this region takes: cut off, mistyped, or fetched from another region's IAM",
        "Fetch one from the IAM of the endpoint's own region, for this project, and copy the whole X-Subject-Token",
    ),
    Cause.TOKEN_MISSING: (
        "the request arrived without a credential",
        "Something between here and the cloud takes headers away: look at the proxy",
    ),
    Cause.KEY_UNKNOWN: (
        "there is no such access key",
        "Look for the key's id in the console, under My Credentials > Access Keys: it was mistyped, deleted or "
        "disabled, or it is a temporary one whose security token is missing",
    ),
    Cause.KEY_LOCKED: (
        "the access key is locked for some minutes, because too many wrong signatures came in a row",
        "Stop whatever else uses a wrong secret key, wait five minutes, correct the key, then go on",
    ),
    Cause.SIGNATURE_WRONG: (
        "the signature is wrong: the secret key does not belong to the access key",
        "Take both again from the file that the console gave for this key. Do not try often: more than five "
        "wrong signatures in a row lock the key",
    ),
    Cause.KEY_EXPIRED: (
        "the temporary access key or its security token has expired",
        "Fetch a new set of the three values; files they are kept in are read again by themselves",
    ),
    Cause.CLOCK_WRONG: (
        "this machine's clock is wrong, and signatures hold only within 15 minutes",
        "Set the clock (timedatectl set-ntp true), then go on",
    ),
    Cause.PASSWORD_WRONG: (
        "IAM knows no such user with this password in this domain",
        "Check user name, password and domain (the account's name); a HUAWEI ID cannot log in this way, an IAM user "
        "can. Do not try often: repeated wrong passwords lock the user",
    ),
    Cause.USER_LOCKED: (
        "the user is locked, because of repeated wrong passwords",
        "Wait some 15 minutes, or have an administrator unlock the user; correct the password first",
    ),
    Cause.USER_UNFIT: (
        "the user may use the console only",
        "Have programmatic access switched on for this user, or use another one",
    ),
    Cause.NO_PERMISSION: (
        "the user may not do this in this project",
        "Have the user granted the DRS permissions of this project (DRS Administrator, or a policy with "
        "drs:migrationJobs:*); it may take some minutes to hold",
    ),
    Cause.WRONG_PROJECT: (
        "the credential is not for this project",
        "Compare the project id with My Credentials > Projects in the console; each region has a project of its own, "
        "and a token is for one project only",
    ),
    Cause.FORBIDDEN_HERE: (
        "the cloud does not serve this account or this address here",
        "Ask the account's administrator about access control by address, arrears and regions",
    ),
    Cause.REQUEST_UNFIT: (
        "IAM does not take the log-in as it is: the user, the domain or the project is not known there",
        "Check the user name, the domain (the account's name) and the project id, and that the IAM endpoint is that "
        "of the project's region",
    ),
    Cause.REFUSED: (
        "the credential was refused",
        "Check that it is meant for this endpoint and project: batcher auth shows which one is used",
    ),
}

_BY_CODE: dict[str, Cause] = {
    "APIGW.0302": Cause.NO_PERMISSION,
    "APIGW.0304": Cause.NO_PERMISSION,
    "APIGW.0306": Cause.NO_PERMISSION,
    "APIGW.0307": Cause.TOKEN_INVALID,
    "APIGW.0310": Cause.WRONG_PROJECT,
    "APIGW.0401": Cause.FORBIDDEN_HERE,
    "APIGW.0402": Cause.FORBIDDEN_HERE,
    "APIGW.0404": Cause.FORBIDDEN_HERE,
    "APIGW.0801": Cause.FORBIDDEN_HERE,
    "APIGW.0802": Cause.FORBIDDEN_HERE,
    "DRS.M00100": Cause.TOKEN_INVALID,
    "DRS.M00101": Cause.NO_PERMISSION,
    "DRS.M00102": Cause.NO_PERMISSION,
    "DRS.M00103": Cause.NO_PERMISSION,
    "DRS.M00105": Cause.FORBIDDEN_HERE,
    "DRS.M00261": Cause.WRONG_PROJECT,
    "IAM.0002": Cause.NO_PERMISSION,
    "IAM.0003": Cause.NO_PERMISSION,
    "IAM.0007": Cause.REQUEST_UNFIT,
    "IAM.0011": Cause.REQUEST_UNFIT,
    "IAM.0061": Cause.USER_LOCKED,
    "IAM.0062": Cause.PASSWORD_WRONG,
    "IAM.0066": Cause.TOKEN_EXPIRED,
    "IAM.0067": Cause.TOKEN_INVALID,
    "IAM.0081": Cause.USER_UNFIT,
    "IAM.1101": Cause.REQUEST_UNFIT,
    "IAM.1105": Cause.KEY_UNKNOWN,
    "IAM.1107": Cause.KEY_EXPIRED,
    "IAM.1108": Cause.KEY_EXPIRED,
    "IAM.1109": Cause.REQUEST_UNFIT,
}

# Words of the gateway's messages under APIGW.0301, the more telling ones first.
_HINTS: tuple[tuple[tuple[str, ...], Cause], ...] = (
    (("reach the limit", "locked"), Cause.KEY_LOCKED),
    (("security token", "securitytoken", "temporary"), Cause.KEY_EXPIRED),
    (("signature expired", "signature has expired", "date expired"), Cause.CLOCK_WRONG),
    (("ak not exist", "ak does not exist", "secretkey failed", "ak is not"), Cause.KEY_UNKNOWN),
    (("signature",), Cause.SIGNATURE_WRONG),
    (("token not found", "token is empty", "token header", "no token"), Cause.TOKEN_MISSING),
    (("expire",), Cause.TOKEN_EXPIRED),
    (("decrypt", "token"), Cause.TOKEN_INVALID),
)
_LOGIN_HINTS: tuple[tuple[tuple[str, ...], Cause], ...] = (
    (("locked",), Cause.USER_LOCKED),
    (("password", "user name", "username"), Cause.PASSWORD_WRONG),
)


class Explanation(Struct, frozen=True, kw_only=True):
    """Why, and the way out. *says* is a clause in lower case, *do* a sentence; neither ends in a full stop."""

    cause: Cause
    says: str
    do: str


def explain(
    *,
    error_code: str | None,
    error_msg: str | None,
    kind: ErrorKind = ErrorKind.AUTH,
    skew_s: float | None = None,
    login: bool = False,
) -> Explanation:
    """Why the cloud refused, by its code, then by words of its message, then by the *kind* of trouble.

    *skew_s* is how many seconds the cloud's clock is ahead of ours, where an answer's `Date` told. *login* is for
    IAM's answer to a user name and password.
    """
    code = (error_code or "").replace("APIG.", "APIGW.")
    cause = _BY_CODE.get(code) or _by_words(error_msg or "", kind, login) or _by_kind(kind, login)
    off = abs(skew_s or 0.0) > TOLERATED_SKEW_S
    if cause is Cause.CLOCK_WRONG and skew_s is not None and not off:
        cause = Cause.KEY_EXPIRED  # "expired" although the clocks agree: it is the key that has come to its end
    elif off and cause in (Cause.SIGNATURE_WRONG, Cause.REFUSED, Cause.KEY_EXPIRED):
        cause = Cause.CLOCK_WRONG
    says, do = _MEANS[cause]
    if cause is Cause.CLOCK_WRONG and skew_s is not None:
        side = "behind" if skew_s > 0 else "ahead of"
        off_by = duration_text(round(abs(skew_s) / 60) * 60)
        says = f"this machine's clock is {off_by} {side} the cloud's, and signatures hold only within 15 minutes"
    return Explanation(cause=cause, says=says, do=do)


def explained(trouble: Trouble) -> Trouble:
    """*trouble*, a refused credential, with a text that says what is wrong and what to do; the cloud's words stay."""
    found = explain(error_code=trouble.error_code, error_msg=trouble.error_msg, kind=trouble.kind)
    return replace(trouble, error_msg=refusal_text(found, trouble.error_code, trouble.error_msg))


def refusal_text(why: Explanation, error_code: str | None, error_msg: str | None) -> str:
    """One text for logs, results and the terminal; does not end in a full stop."""
    said = ": ".join(filter(None, (error_code, error_msg))).rstrip(" .")
    quoted = f". The cloud's words: {said}" if said else ""
    return f"{why.says[:1].upper()}{why.says[1:]}. {why.do}{quoted}"


def _by_words(msg: str, kind: ErrorKind, login: bool) -> Cause | None:
    if kind is not ErrorKind.AUTH:
        return None
    folded = msg.lower()
    hints = _LOGIN_HINTS if login else _HINTS
    return next((cause for words, cause in hints if any(word in folded for word in words)), None)


def _by_kind(kind: ErrorKind, login: bool) -> Cause:
    if kind is ErrorKind.PERMISSION:
        return Cause.NO_PERMISSION
    if login:
        return Cause.PASSWORD_WRONG if kind is ErrorKind.AUTH else Cause.REQUEST_UNFIT
    return Cause.REFUSED
