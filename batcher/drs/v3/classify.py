"""What the answers of the API of version 3 mean, call by call: each becomes an outcome of the port.

Nothing here raises, and nothing here is an optimist: an answer that is not whole, sound and known leaves the matter in
doubt. What an answer says as a whole, whoever says it, is told by `batcher.drs.failures`.
"""

from collections.abc import Callable, Iterable
from functools import cache

from pydantic import ValidationError

from batcher.drs.answer import Answer
from batcher.drs.error_body import Json, error_of, milliseconds, read_object, server_time, text
from batcher.drs.failures import by_table, classify_whole, contradiction, of_part, unsound, went
from batcher.drs.outcome import (
    Comparison,
    ComparisonPage,
    CreateOutcome,
    Fate,
    Half,
    ListOutcome,
    Made,
    ResultsOutcome,
    StatusOutcome,
    Trouble,
)

RESULT_OF = {half: f"{half}_compare_create_result" for half in Half}
"""Where the answer to a create request (table 8 of drs_03_0136) tells the fate of each half."""

_PLAIN = frozenset(("job_id", *RESULT_OF.values()))
_PLAIN_PART = frozenset(("compare_task_id", "error_code", "error_msg"))


def classify_create(answer: Answer, *, asked: Iterable[Half], job_id: str) -> CreateOutcome:
    """The verdict on each of the *asked* halves of a create request for *job_id*."""
    body, wanted = read_object(answer.body), frozenset(asked)
    made = None if body is None else _nothing_but_made(answer, body, wanted, job_id)
    if made is None:
        return create_outcome(answer, body, wanted, job_id)
    return CreateOutcome(
        halves=made,
        whole=None,
        stage=answer.stage,
        sent_at=answer.sent_at,
        answered_at=answer.answered_at,
        http_status=answer.http_status,
        request_id=answer.request_id,
        server_time=server_time(answer),
    )


def _nothing_but_made(answer: Answer, body: Json, wanted: frozenset[Half], job_id: str) -> dict[Half, Made] | None:
    """The ids of an answer that tells those that were asked for and nothing else, as nearly all do; None: it is to be
    read with all that an answer may be. What comes of it is what `create_outcome` makes of it."""
    status = answer.http_status
    if status is None or not 200 <= status < 300 or not body.keys() <= _PLAIN or body.get("job_id", job_id) != job_id:
        return None
    made = {}
    for half, name in RESULT_OF.items():
        part = body.get(name)
        if half not in wanted:
            if part is not None:
                return None
            continue
        if not isinstance(part, dict) or not part.keys() <= _PLAIN_PART:
            return None
        task_id = part.get("compare_task_id")
        if not isinstance(task_id, str) or part.get("error_code") is not None or part.get("error_msg") is not None:
            return None
        if not (task_id := task_id.strip()):
            return None
        made[half] = Made(task_id)
    return made or None


def create_outcome(answer: Answer, body: Json | None, wanted: frozenset[Half], job_id: str) -> CreateOutcome:
    """As `classify_create`, of whatever answer, whose *body* has been read."""
    parts = {half: body.get(name) if body is not None else None for half, name in RESULT_OF.items()}
    whole = classify_whole(answer, body, job_id, halves=parts.values())
    return CreateOutcome(
        halves={half: _half(answer, half, parts[half], whole) for half in sorted(wanted)},
        whole=whole,
        **went(answer, body, sound=whole is None),
        unasked=tuple([found for half, part in parts.items() if half not in wanted and (found := _task_id(part))]),
    )


def classify_list(answer: Answer, *, job_id: str, most: int | None = None) -> ListOutcome:
    """One page of a job's comparisons. An answer that speaks of another job than *job_id* is trouble, and so is one
    that brings more than *most*, which were asked for."""
    body = read_object(answer.body)
    trouble = classify_whole(answer, body, job_id)
    page = None
    if trouble is None:
        assert body is not None and answer.http_status is not None  # noqa: S101, PT018 - else there is trouble
        found = _page(body.get("compare_task_list_results"), answer, most)
        page, trouble = (found, None) if isinstance(found, ComparisonPage) else (None, found)
    return ListOutcome(page=page, trouble=trouble, **went(answer, body, sound=trouble is None))


def classify_results(answer: Answer, *, job_id: str) -> ResultsOutcome:
    """What a query tells of the comparisons it names. A block that has failed on its own says so in its `error_code`,
    and the others stand; but where one was turned away by a limit, all of it is to be asked again."""
    return _plain_reader()(answer, job_id) or results_outcome(answer, job_id)


@cache
def _plain_reader() -> Callable[[Answer, str], ResultsOutcome | None]:
    from batcher.drs.v3.results import plain_outcome  # for who follows only; to import it anew each time would be dear

    return plain_outcome


def results_outcome(answer: Answer, job_id: str) -> ResultsOutcome:
    """As `classify_results`, of whatever answer."""
    from batcher.drs.v3.results import listed, read_results, result_pages  # for who follows only

    body = read_object(answer.body)
    trouble = classify_whole(answer, body, job_id)
    if trouble is None:
        assert body is not None  # noqa: S101 - else there is trouble
        trouble = _throttled_block(answer, body)
    if trouble is None:
        assert body is not None  # noqa: S101 - else there is trouble
        try:
            told = read_results(body, answer.body)
        except ValidationError as error:
            trouble = unsound(f"the answer is not as documented: {_first_error(error)}")
    if trouble is not None:
        return ResultsOutcome(trouble=trouble, **went(answer, body))
    pages, page = result_pages(told), listed(told)
    return ResultsOutcome(trouble=None, results=pages, listed=page, **went(answer, body, sound=True))


def classify_batch_status(answer: Answer, *, asked: Iterable[str]) -> StatusOutcome:
    """The status of each *asked* job; an id that the answer leaves out is trouble of that id."""
    body = read_object(answer.body)
    wanted = tuple(asked)
    # drs_api_0150: a code in an item is about that job alone, also where the status of the answer is 400
    jobs = _job_statuses(answer, body) if body is not None and answer.http_status in (200, 400) else {}
    trouble = None if any(job_id in jobs for job_id in wanted) else classify_whole(answer, body, None)
    for verdict in jobs.values():
        if isinstance(verdict, Trouble) and verdict.fate is Fate.TURNED_AWAY:
            trouble, jobs = verdict, {}  # asked again as a whole
            break
    missing = trouble or unsound("the answer leaves this job out")
    return StatusOutcome(
        jobs={job_id: jobs.get(job_id, missing) for job_id in wanted},
        trouble=trouble,
        **went(answer, body),
    )


def _half(answer: Answer, half: Half, part: object, whole: Trouble | None) -> Made | Trouble:
    status, task_id = answer.http_status, _task_id(part)
    error = None if status is None else error_of(part, status)
    if whole is not None:
        return whole if task_id is None else contradiction(task_id, whole.error_code, whole.error_msg)
    assert status is not None  # noqa: S101 - without a status the whole is trouble
    if error is not None and error.code is not None:
        return of_part(by_table(answer, error)) if task_id is None else contradiction(task_id, error.code, error.msg)
    if task_id is None:
        what = f"{half.replace('_', '-')} comparison"
        return unsound(f"the answer (status {status}) has neither an id nor an error code for the {what}", listed=False)
    return Made(task_id) if 200 <= status < 300 else contradiction(task_id, None, f"status {status}")


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _task_id(part: object) -> str | None:
    return text(part.get("compare_task_id")) if isinstance(part, dict) else None


def _page(block: object, answer: Answer, most: int | None) -> ComparisonPage | Trouble:
    if not isinstance(block, dict):
        return unsound("the answer has no list of comparisons")
    assert answer.http_status is not None  # noqa: S101 - the whole was sound
    error = error_of(block, answer.http_status)
    if error is not None and error.code is not None:
        return by_table(answer, error)
    items, count = block.get("compare_task_list"), text(block.get("compare_task_list_count"))
    total = int(count) if count is not None and count.isascii() and count.isdigit() and len(count) < 10 else None
    if items is None and total == 0:
        items = []
    if not isinstance(items, list) or total is None or total < len(items):
        return unsound("the list of comparisons and its count do not agree")
    if most is not None and len(items) > most:
        return unsound(f"a page of the list holds {len(items)} comparisons where at most {most} were asked for")
    comparisons = [_comparison(item) for item in items]
    sound = tuple(comparison for comparison in comparisons if comparison is not None)
    if len(sound) < len(comparisons):
        return unsound("the list holds a comparison without an id or a type")
    return ComparisonPage(comparisons=sound, total=total)


def _throttled_block(answer: Answer, body: Json) -> Trouble | None:
    assert answer.http_status is not None  # noqa: S101 - the whole was sound
    errors = (error_of(block, answer.http_status) for block in body.values())
    troubles = (by_table(answer, error) for error in errors if error is not None and error.code is not None)
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
            jobs[job_id] = of_part(by_table(answer, error))
        elif status is not None:
            jobs[job_id] = status.upper()
        else:
            jobs[job_id] = unsound("the answer gives this job neither a status nor an error code")
    return jobs
