"""Whose word an answer is: the cloud's own, or that of something on the way to it. Decided here, and nowhere else.

The cloud is three things that answer: DRS, the API gateway before it, and IAM. Whatever they say of a request is a JSON
object that tells an error code, a result, or (with a 2xx) which request it belongs to. Everything else is said by
somebody else: a proxy, a balancer, an ingress without its route, a firewall, a login page, a captive portal. Such an
answer tells nothing of the entry, whatever its status: 404 is then "I do not know this address", said by who knows
none, and 200 is a page. It is an outage of the way; what had left may have happened.

Why these signs, and no others:

- A status proves nothing: 200, 302, 401, 403, 404 and 405 are what middlemen say.
- A JSON object proves nothing: ingresses say `{"message": "no Route matched"}`, frameworks `{"detail": "Not Found"}`.
  An error of the cloud has a code with a dot in it (`DRS.M00201`, `APIGW.0301`), or IAM's form, in which the code
  repeats the status and the title stands beside it: `{"error": {"code": 404, "message": …}}` is what many others say.
  A result under a name that others use as well, say `results`, counts in a success alone.
- `X-Request-Id` proves nothing by itself: many frameworks send it, with any page.

A few statuses mean the same whoever says them, so that they are classified by `failure_table` all the same: too many
requests, a request that is too large, and a fault of a server, which leaves everything open anyway.
"""

import re
from collections.abc import Mapping

from batcher.drs.answer import Answer
from batcher.drs.error_body import Json, error_of, item_errors, read_object
from batcher.masking import mask_start

SAME_FROM_ANYBODY = frozenset({408, 413, 414, 429, 500, 502, 503, 504})
"""Statuses whose row without a code counts whoever says them."""

PROXY_LOGIN = 407
"""A proxy wants a user name and password, or others: asked again and again, it may lock an account."""

_CODE = re.compile(r"[A-Za-z][\w-]*(\.[\w-]+)+", re.ASCII)
_RESULTS = frozenset(
    {
        "job_id",
        "object_level_compare_create_result",
        "data_level_compare_create_result",
        "compare_task_list_results",
        "object_level_compare_results",
        "line_compare_results",
        "content_compare_results",
        "object_mapping_list",
        "object_info",
    }
)
_RESULTS_OF_MANY = frozenset({"results", "total_record", "token", "projects"})  # names that others use as well
_TOLD_BY = {"x-squid-error": "X-Squid-Error", "via": "Via", "x-cache": "X-Cache", "x-varnish": "X-Varnish"}
_LONGEST = 80  # characters of a foreign header that are repeated

# What squid says when it could not, or would not, pass the request on to anybody. Its other errors can also arise after
# that: ERR_READ_ERROR and ERR_ZERO_SIZE_OBJECT mean that the request had gone.
_DENIED = "ERR_ACCESS_DENIED"
_NOT_PASSED_ON = frozenset({"ERR_CONNECT_FAIL", "ERR_CANNOT_FORWARD", _DENIED})


def is_the_clouds(answer: Answer) -> bool:
    """Whether the cloud itself says this; a request without an answer is nobody's word."""
    return answer.http_status is not None and says_the_cloud(answer, read_object(answer.body))


def says_the_cloud(answer: Answer, body: Json | None) -> bool:
    """As `is_the_clouds`, of an answer whose *body* has been read."""
    status = answer.http_status
    if status is None or body is None or 300 <= status < 400:
        return False
    if not _RESULTS.isdisjoint(body):
        return True
    error = error_of(body, status)
    if error is not None and error.code is not None:
        return _CODE.fullmatch(error.code) is not None
    if 200 <= status < 300:
        return answer.request_id is not None or not _RESULTS_OF_MANY.isdisjoint(body)
    if any(_CODE.fullmatch(inner.code or "") for _, inner in item_errors(body, status)):
        return True
    wrapped = body.get("error")
    return isinstance(wrapped, dict) and str(wrapped.get("code")) == str(status) and "title" in wrapped  # IAM's


def never_passed_on(answer: Answer) -> bool:
    """Whether whoever answers says that it passed the request on to nobody, in words that leave no doubt."""
    told = answer.headers.get("x-squid-error", "").split()
    return (
        bool(told)
        and told[0] in _NOT_PASSED_ON
        and answer.headers.get("server", "").lower().partition("/")[0] == "squid"
    )


def denied_by_proxy(answer: Answer) -> bool:
    """Whether a proxy says that its own rules forbid the request; as with every answer that was not passed on, squid
    alone says so beyond doubt."""
    return never_passed_on(answer) and answer.headers["x-squid-error"].split()[0] == _DENIED


def speaker(headers: Mapping[str, str]) -> str | None:
    """Who says it, by what its (lower-cased) *headers* tell: `nginx/1.22.1`, or `squid/5.7, Via: 1.1 gate`."""
    server = headers.get("server")
    parts = [_brief(server)] if server else []
    parts += [f"{title}: {_brief(headers[name])}" for name, title in _TOLD_BY.items() if headers.get(name)]
    return ", ".join(parts) or None


def _brief(text: str) -> str:
    return "".join(sign for sign in mask_start(text, _LONGEST) if sign.isprintable())
