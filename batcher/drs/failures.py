"""What an answer says as a whole, whoever says it: every answer, classified by what the cloud may have done.

It goes by (status, code) from `failure_table`, and is the same for each call of each version of the API, and for IAM;
what the parts of an answer mean is told where its call is, in `batcher.drs.v3`. Nothing here raises, and nothing here
is an optimist: an answer that is not whole, sound and known leaves the matter in doubt.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.authorship import (
    PROXY_LOGIN,
    SAME_FROM_ANYBODY,
    denied_by_proxy,
    never_passed_on,
    says_the_cloud,
    speaker,
)
from batcher.drs.error_body import (
    ErrorBody,
    Json,
    error_of,
    excerpt,
    item_errors,
    limit_of,
    read_object,
    retry_after,
    server_time,
    text,
)
from batcher.drs.failure_table import NO_CODE, find
from batcher.drs.outcome import ErrorKind, Fate, Foreign, Trouble
from batcher.masking import mask_text


def classify_call(answer: Answer) -> Trouble | None:
    """The trouble of any call that answers with a JSON object; None where it succeeded."""
    return classify_whole(answer, read_object(answer.body), None)


def classify_item(answer: Answer, item: Json) -> Trouble:
    """The trouble that *item* of a batch-shaped answer states of its own job."""
    return of_part(by_table(answer, error_of(item, answer.http_status or 0) or ErrorBody(None, None)))


def went(answer: Answer, body: Json | None, *, sound: bool = False) -> dict[str, Any]:
    """The fields of an `Outcome` that say how the request went; *body* is what was read of the answer's. *sound*: it
    was classified, and there is no trouble with it, so that it is the cloud's."""
    date = server_time(answer)
    is_the_clouds = date is not None and (sound or says_the_cloud(answer, body))
    return {
        "stage": answer.stage,
        "sent_at": answer.sent_at,
        "answered_at": answer.answered_at,
        "http_status": answer.http_status,
        "request_id": answer.request_id,
        "server_time": date if is_the_clouds else None,
    }


def of_part(trouble: Trouble) -> Trouble:
    """*trouble* of one part of an answer: the call was let in, so a permission that is missing is about that part, and
    final."""
    return replace(trouble, fate=Fate.REFUSED) if trouble.fate is Fate.NOT_LET_IN else trouble


def contradiction(task_id: str, code: str | None, msg: str | None) -> Trouble:
    """A task id and trouble at once: looked up like any other doubt. The id stays in the message."""
    trouble = f"{code}: {msg}" if code and msg else code or msg
    return Trouble(
        fate=Fate.MAYBE,
        kind=ErrorKind.PROTOCOL,
        error_code=code,
        error_msg=mask_text(f"the answer names comparison {task_id} although it is no success ({trouble})"),
    )


def classify_whole(
    answer: Answer, body: Json | None, job_id: str | None, halves: Iterable[object] = ()
) -> Trouble | None:
    """Why the answer as a whole is no success; None: its parts speak for themselves.

    *body* is what was read of it, and *job_id* the job that was asked about: an answer about another is trouble. An
    error in one of *halves* speaks for itself where the answer as a whole says nothing.
    """
    status = answer.http_status
    if status is None:
        return _no_answer(answer)
    if not says_the_cloud(answer, body):
        return _foreign(answer, body)
    error = _stated(body, status, job_id)
    if error is not None and error.code is not None:
        return by_table(answer, error)
    if not 200 <= status < 300:
        says_nothing = find(status, NO_CODE) is None
        if says_nothing and any((inner := error_of(half, status)) and inner.code for half in halves):
            return None
        return by_table(answer, error or ErrorBody(None, None))
    assert body is not None  # noqa: S101 - the cloud's own answers are objects
    told = text(body.get("job_id"))
    if job_id is not None and told is not None and told != job_id:
        return unsound(f"the answer speaks of another job: {told[:100]}")
    return None


def _no_answer(answer: Answer) -> Trouble:
    sent = answer.stage is RequestStage.SENT
    foreign = _FOREIGN_KINDS.get(answer.error_kind or "")
    try:
        kind = ErrorKind.PROTOCOL if foreign else ErrorKind(answer.error_kind or "")
    except ValueError:
        kind = ErrorKind.NETWORK
    return Trouble(
        fate=Fate.MAYBE if sent else Fate.NOT_RECEIVED,
        kind=kind,
        error_msg=mask_text(answer.error or "no whole answer arrived"),
        retry_after_s=retry_after(answer),
        foreign=foreign,
    )


_FOREIGN_KINDS = {"foreign": Foreign.PAGE, "barred": Foreign.BARRED}


def _foreign(answer: Answer, body: Json | None) -> Trouble:
    """What somebody else said in the cloud's place: nothing of the entry, save in the few cases of `authorship`."""
    status = answer.http_status
    assert status is not None  # noqa: S101 - something was said
    said = _their_words(answer, body)
    row = find(status, NO_CODE) if status in SAME_FROM_ANYBODY else None
    fate, kind, foreign = Fate.MAYBE, ErrorKind.PROTOCOL, Foreign.PAGE
    if denied_by_proxy(answer):
        fate, foreign = Fate.NOT_RECEIVED, Foreign.BARRED
        msg = f"the proxy does not allow requests to this address ({said}): that is its own rule, not the cloud's"
    elif never_passed_on(answer):
        fate, kind = Fate.NOT_RECEIVED, ErrorKind.NETWORK
        msg = f"the proxy could not pass the request on ({said})"
    elif row is not None and row.fate is not Fate.MAYBE:
        return by_table(answer, ErrorBody(NO_CODE, f"{row.meaning} ({said})"))
    elif row is not None:
        kind, msg = row.kind, f"{row.meaning} ({said})"
    elif status == PROXY_LOGIN:
        foreign = Foreign.BARRED
        msg = f"a proxy wants a user name and password, or others than those it was given ({said})"
    elif 300 <= status < 400:
        msg = f"the answer is a redirect, which is not followed, and not the cloud's ({said})"
    else:
        msg = f"something on the way answers in the cloud's place ({said})"
    return Trouble(
        fate=fate,
        kind=kind,
        error_msg=mask_text(msg),
        retry_after_s=retry_after(answer),
        foreign=foreign,
    )


def _their_words(answer: Answer, body: Json | None) -> str:
    """Status, who says it, and the beginning of what is said."""
    stated = error_of(body, answer.http_status or 0) if body is not None else None
    said = stated.msg if stated is not None and stated.msg else excerpt(answer.body)
    by = speaker(answer.headers)
    return f"status {answer.http_status}" + (f" from {by}" if by else "") + (f": {said}" if said else "")


def _stated(body: Json | None, status: int, job_id: str | None) -> ErrorBody | None:
    """The error that the answer states at its top, or in the item of a batch-shaped answer that is about *job_id*."""
    if body is None:
        return None
    top = error_of(body, status)
    if top is not None and top.code is not None:
        return top
    if "results" not in body:
        return top
    about = (error for item_id, error in item_errors(body, status) if item_id in (None, job_id))
    return next(about, top)


def by_table(answer: Answer, error: ErrorBody) -> Trouble:
    """What *error*, which *answer* states, means by the table."""
    assert answer.http_status is not None  # noqa: S101 - an error was read from an answer
    row = find(answer.http_status, error.code)
    msg = error.msg
    if msg is None and row is not None:
        msg = f"{row.meaning} (status {answer.http_status})"
    elif msg is None:
        msg = f"status {answer.http_status} with error code {error.code or 'none'}, which is in no documentation"
    turned_away = row is not None and row.fate is Fate.TURNED_AWAY
    return Trouble(
        fate=Fate.MAYBE if row is None else row.fate,
        kind=_kind_of(answer.http_status) if row is None else row.kind,
        error_code=error.code,
        error_msg=mask_text(msg),
        retry_after_s=retry_after(answer),
        limit=limit_of(error.msg) if turned_away else None,
        listed=row is not None,
    )


def _kind_of(status: int) -> ErrorKind:
    return ErrorKind.SERVER if status >= 500 else ErrorKind.PROTOCOL


def unsound(msg: str, *, listed: bool = True) -> Trouble:
    """An answer that cannot be read as documented: it is in doubt what was done."""
    return Trouble(fate=Fate.MAYBE, kind=ErrorKind.PROTOCOL, error_msg=mask_text(msg), listed=listed)
