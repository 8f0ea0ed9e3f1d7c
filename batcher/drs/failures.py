"""What an answer means: every answer, whatever is in it, classified by what the cloud may have done.

Classifying goes by (status, code) from `failure_table`. Nothing here raises, and nothing here is an optimist: an answer
that is not whole, sound and known leaves the matter in doubt.
"""

from collections.abc import Iterable

from msgspec.structs import replace
from pydantic import ValidationError

from batcher.drs.answer import Answer, Stage
from batcher.drs.authorship import PROXY_LOGIN, SAME_FROM_ANYBODY, never_passed_on, says_the_cloud, speaker
from batcher.drs.error_body import (
    Error,
    Json,
    error_of,
    excerpt,
    item_errors,
    limit_of,
    milliseconds,
    read_object,
    retry_after,
    server_time,
    text,
)
from batcher.drs.failure_table import NO_CODE, find
from batcher.drs.outcome import (
    Comparison,
    ComparisonPage,
    CreateOutcome,
    ErrorKind,
    Fate,
    Foreign,
    Half,
    ListOutcome,
    Made,
    ResultsOutcome,
    StatusOutcome,
    Trouble,
)
from batcher.masking import mask_text

__all__ = [
    "classify_batch_status",
    "classify_call",
    "classify_create",
    "classify_item",
    "classify_list",
    "classify_results",
    "server_time",
]

_RESULT = {half: f"{half}_compare_create_result" for half in Half}  # table 8 of drs_03_0136


def classify_create(answer: Answer, *, asked: Iterable[Half], job_id: str) -> CreateOutcome:
    """The verdict on each of the *asked* halves of a create request for *job_id*."""
    body = read_object(answer.body)
    parts = {half: body.get(name) if body is not None else None for half, name in _RESULT.items()}
    whole = _whole(answer, body, job_id, halves=parts.values())
    wanted = frozenset(asked)
    return CreateOutcome(
        halves={half: _half(answer, half, parts[half], whole) for half in sorted(wanted)},
        whole=whole,
        http_status=answer.http_status,
        request_id=answer.request_id,
        unasked=tuple([found for half, part in parts.items() if half not in wanted and (found := _task_id(part))]),
    )


def classify_list(answer: Answer, *, job_id: str | None = None, most: int | None = None) -> ListOutcome:
    """One page of a job's comparisons. With *job_id*, an answer that speaks of another job is trouble, and so is with
    *most* one that brings more than so many, which were asked for."""
    body = read_object(answer.body)
    trouble = _whole(answer, body, job_id)
    page = None
    if trouble is None:
        assert body is not None and answer.http_status is not None  # noqa: S101, PT018 - else there is trouble
        found = _page(body.get("compare_task_list_results"), answer, most)
        page, trouble = (found, None) if isinstance(found, ComparisonPage) else (None, found)
    return ListOutcome(page=page, trouble=trouble, http_status=answer.http_status, request_id=answer.request_id)


def classify_results(answer: Answer, *, job_id: str) -> ResultsOutcome:
    """What a query tells of the comparisons it names. A block that has failed on its own says so in its `error_code`,
    and the others stand; but where one was turned away by a limit, all of it is to be asked again."""
    from batcher.drs.query_compare_result import QueryCompareResultResponse  # for who follows only

    body = read_object(answer.body)
    trouble = _whole(answer, body, job_id)
    results = None
    if trouble is None:
        assert body is not None  # noqa: S101 - else there is trouble
        trouble = _throttled_block(answer, body)
    if trouble is None:
        try:
            results = QueryCompareResultResponse.model_validate(body)
        except ValidationError as error:
            trouble = _unsound(f"the answer is not as documented: {_first_error(error)}")
    return ResultsOutcome(
        results=results, trouble=trouble, http_status=answer.http_status, request_id=answer.request_id
    )


def classify_batch_status(answer: Answer, *, asked: Iterable[str]) -> StatusOutcome:
    """The status of each *asked* job; an id that the answer leaves out is trouble of that id."""
    body = read_object(answer.body)
    wanted = tuple(asked)
    # drs_api_0150: a code in an item is about that job alone, also where the status of the answer is 400
    jobs = _job_statuses(answer, body) if body is not None and answer.http_status in (200, 400) else {}
    trouble = None if any(job_id in jobs for job_id in wanted) else _whole(answer, body, None)
    for verdict in jobs.values():
        if isinstance(verdict, Trouble) and verdict.fate is Fate.TURNED_AWAY:
            trouble, jobs = verdict, {}  # asked again as a whole
            break
    missing = trouble or _unsound("the answer leaves this job out")
    return StatusOutcome(
        jobs={job_id: jobs.get(job_id, missing) for job_id in wanted},
        trouble=trouble,
        http_status=answer.http_status,
        request_id=answer.request_id,
    )


def classify_call(answer: Answer) -> Trouble | None:
    """The trouble of any call that answers with a JSON object; None where it succeeded."""
    return _whole(answer, read_object(answer.body), None)


def classify_item(answer: Answer, item: Json) -> Trouble:
    """The trouble that *item* of a batch-shaped answer states of its own job."""
    return _of_part(_by_table(answer, error_of(item, answer.http_status or 0) or Error(None, None)))


# --- the answer as a whole ------------------------------------------------------------------------------------


def _whole(answer: Answer, body: Json | None, job_id: str | None, halves: Iterable[object] = ()) -> Trouble | None:
    """Why the answer as a whole is no success; None: its parts speak for themselves."""
    status = answer.http_status
    if status is None:
        return _no_answer(answer)
    if not says_the_cloud(answer, body):
        return _foreign(answer, body)
    error = _stated(body, status, job_id)
    if error is not None and error.code is not None:
        return _by_table(answer, error)
    if not 200 <= status < 300:
        says_nothing = find(status, NO_CODE) is None
        if says_nothing and any((inner := error_of(half, status)) and inner.code for half in halves):
            return None
        return _by_table(answer, error or Error(None, None))
    assert body is not None  # noqa: S101 - the cloud's own answers are objects
    told = text(body.get("job_id"))
    if job_id is not None and told is not None and told != job_id:
        return _unsound(f"the answer speaks of another job: {told[:100]}")
    return None


def _no_answer(answer: Answer) -> Trouble:
    sent = answer.stage is Stage.SENT
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
    if never_passed_on(answer):
        fate, kind = Fate.NOT_RECEIVED, ErrorKind.NETWORK
        msg = f"the proxy could not pass the request on ({said})"
    elif row is not None and row.fate is not Fate.MAYBE:
        return _by_table(answer, Error(NO_CODE, f"{row.meaning} ({said})"))
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


def _stated(body: Json | None, status: int, job_id: str | None) -> Error | None:
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


def _by_table(answer: Answer, error: Error) -> Trouble:
    """*error* by the table."""
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


def _unsound(msg: str, *, listed: bool = True) -> Trouble:
    return Trouble(fate=Fate.MAYBE, kind=ErrorKind.PROTOCOL, error_msg=mask_text(msg), listed=listed)


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


# --- its parts ------------------------------------------------------------------------------------------------


def _half(answer: Answer, half: Half, part: object, whole: Trouble | None) -> Made | Trouble:
    status, task_id = answer.http_status, _task_id(part)
    error = None if status is None else error_of(part, status)
    if whole is not None:
        return whole if task_id is None else _contradiction(task_id, whole.error_code, whole.error_msg)
    assert status is not None  # noqa: S101 - without a status the whole is trouble
    if error is not None and error.code is not None:
        return _of_part(_by_table(answer, error)) if task_id is None else _contradiction(task_id, error.code, error.msg)
    if task_id is None:
        what = f"{half.replace('_', '-')} comparison"
        return _unsound(
            f"the answer (status {status}) has neither an id nor an error code for the {what}", listed=False
        )
    return Made(task_id) if 200 <= status < 300 else _contradiction(task_id, None, f"status {status}")


def _of_part(trouble: Trouble) -> Trouble:
    """The call itself was let in, so what refuses one part of it for want of permission is about that, and final."""
    return replace(trouble, fate=Fate.REFUSED) if trouble.fate is Fate.NOT_LET_IN else trouble


def _contradiction(task_id: str, code: str | None, msg: str | None) -> Trouble:
    """A task id and trouble at once: looked up like any other doubt. The id stays in the message."""
    trouble = f"{code}: {msg}" if code and msg else code or msg
    return Trouble(
        fate=Fate.MAYBE,
        kind=ErrorKind.PROTOCOL,
        error_code=code,
        error_msg=mask_text(f"the answer names comparison {task_id} although it is no success ({trouble})"),
    )


def _task_id(part: object) -> str | None:
    return text(part.get("compare_task_id")) if isinstance(part, dict) else None


def _page(block: object, answer: Answer, most: int | None) -> ComparisonPage | Trouble:
    if not isinstance(block, dict):
        return _unsound("the answer has no list of comparisons")
    assert answer.http_status is not None  # noqa: S101 - the whole was sound
    error = error_of(block, answer.http_status)
    if error is not None and error.code is not None:
        return _by_table(answer, error)
    items, count = block.get("compare_task_list"), text(block.get("compare_task_list_count"))
    total = int(count) if count is not None and count.isascii() and count.isdigit() and len(count) < 10 else None
    if items is None and total == 0:
        items = []
    if not isinstance(items, list) or total is None or total < len(items):
        return _unsound("the list of comparisons and its count do not agree")
    if most is not None and len(items) > most:
        return _unsound(f"a page of the list holds {len(items)} comparisons where at most {most} were asked for")
    comparisons = [_comparison(item) for item in items]
    sound = tuple(comparison for comparison in comparisons if comparison is not None)
    if len(sound) < len(comparisons):
        return _unsound("the list holds a comparison without an id or a type")
    return ComparisonPage(comparisons=sound, total=total)


def _throttled_block(answer: Answer, body: Json) -> Trouble | None:
    assert answer.http_status is not None  # noqa: S101 - the whole was sound
    errors = (error_of(block, answer.http_status) for block in body.values())
    troubles = (_by_table(answer, error) for error in errors if error is not None and error.code is not None)
    return next((trouble for trouble in troubles if trouble.fate is Fate.TURNED_AWAY), None)


def _comparison(item: object) -> Comparison | None:
    """One entry of the list. Without id or type it could be anybody's, and None says so."""
    if not isinstance(item, dict):
        return None
    task_id, compare_type = text(item.get("compare_task_id")), text(item.get("compare_type"))
    if task_id is None or compare_type is None:
        return None
    return Comparison(
        compare_task_id=task_id,
        compare_type=compare_type.lower(),
        compare_task_status=(text(item.get("compare_task_status")) or "").upper(),
        create_time=milliseconds(item.get("create_time")),
        end_time=milliseconds(item.get("end_time")),
    )


def _job_statuses(answer: Answer, body: Json) -> dict[str, str | Trouble]:
    """By job id: its status, or the trouble that its own item states."""
    assert answer.http_status is not None  # noqa: S101 - the caller looks
    results = body.get("results")
    jobs: dict[str, str | Trouble] = {}
    for item in results if isinstance(results, list) else ():
        job_id = text(item.get("id")) if isinstance(item, dict) else None
        if job_id is None:
            continue
        error, status = error_of(item, answer.http_status), text(item.get("status"))
        if error is not None and error.code is not None:
            jobs[job_id] = _of_part(_by_table(answer, error))
        elif status is not None:
            jobs[job_id] = status.upper()
        else:
            jobs[job_id] = _unsound("the answer gives this job neither a status nor an error code")
    return jobs
