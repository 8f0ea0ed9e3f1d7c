"""Requests checked as strictly as the API reference's tables: a value that fits, or the refusal it gets."""

import re
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from batcher.drs.outcome import Half
from batcher.drs.v3.create_compare_task import CreateCompareTaskReq, CreateDataLevelCompareReq
from batcher.errors import BatcherError

MAX_PER_PAGE = 100
_QUERY_FIELDS = {"job_id": str, "current_page": int, "per_page": int}
_LIST_FIELDS = {
    *("cur_page", "per_page", "db_use_type", "engine_type", "enterprise_project_id", "name", "net_type"),
    *("service_name", "status", "tags", "instance_ids", "instance_ip"),
}
RESULT_IDS = ("object_level_compare_id", "line_compare_id", "content_compare_id")


class BadRequest(BatcherError):
    """A 400 with this code and text."""

    def __init__(self, error_code: str, error_msg: str) -> None:
        super().__init__(error_msg)
        self.error_code = error_code
        self.error_msg = error_msg


@dataclass(frozen=True, slots=True)
class QueryReq:
    """A sound query-compare-result request; *results* are the comparisons whose results are asked for, by field."""

    job_id: str
    current_page: int
    per_page: int
    results: dict[str, str]


@dataclass(frozen=True, slots=True)
class BatchReq:
    """A sound batch request; *per_page* 0 is all of them."""

    jobs: tuple[str, ...]
    cur_page: int
    per_page: int


def read_create(body: bytes) -> CreateCompareTaskReq:
    """A create request, whole and by the rules of tables 3 to 7. Raises `BadRequest`."""
    fields = _read_object(body)
    _drop_empty(fields, "object_level_compare_type")
    info = fields.get("data_level_compare_info")
    if isinstance(info, dict):
        _drop_empty(info, "start_time")
        _drop_empty(info, "compare_mode")
    try:
        request = CreateCompareTaskReq.model_validate(fields)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(map(str, detail["loc"]))
        if detail["type"] == "missing":
            raise BadRequest("DRS.M00201", f"Parameter {place} is mandatory.") from None
        raise BadRequest("DRS.M00202", f"Parameter {place}: {detail['msg']}.") from None
    if request.data_level_compare_info is not None:
        _check_data_level(request.data_level_compare_info)
        if request.object_level_compare_type and request.data_level_compare_info.compare_type == "contents":
            raise BadRequest("DRS.M00200", "Object-level and contents comparison cannot be created together.")
    return request


def _check_data_level(info: CreateDataLevelCompareReq) -> None:
    if info.start_time is not None and not re.fullmatch(r"[0-9]{13}", info.start_time):
        raise BadRequest("DRS.M00202", "Parameter start_time must be a timestamp in milliseconds.")
    lists = [info.compare_object_infos, info.compare_object_infos_with_token]
    given = sum(bool(objects) for objects in lists)
    if given > 1 or (given == 0 and info.compare_mode is None):
        raise BadRequest(
            "DRS.M00200", "Exactly one of compare_object_infos and compare_object_infos_with_token is mandatory."
        )


def _drop_empty(fields: dict[str, Any], name: str) -> None:
    """The tables say of these that empty is the same as absent."""
    if fields.get(name) == "":
        del fields[name]


def asked_halves(request: CreateCompareTaskReq) -> tuple[Half, ...]:
    """The halves that *request* asks for."""
    asked = []
    if request.object_level_compare_type is not None:
        asked.append(Half.OBJECT)
    if request.data_level_compare_info is not None:
        asked.append(Half.DATA)
    return tuple(asked)


def read_query(body: bytes) -> QueryReq:
    """A query-compare-result request. Raises `BadRequest`."""
    fields = _read_object(body)
    for name, kind in _QUERY_FIELDS.items():
        value = fields.get(name)
        if value is None or value == "":
            raise BadRequest("DRS.M00201", f"Parameter {name} is mandatory.")
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadRequest("DRS.M00202", f"Parameter {name} has the wrong type.")
    results = {}
    for name in RESULT_IDS:
        value = fields.get(name)
        if value is not None and not isinstance(value, str):
            raise BadRequest("DRS.M00202", f"Parameter {name} has the wrong type.")
        if value:
            results[name] = value
    _refuse_unknown(fields, {*_QUERY_FIELDS, *RESULT_IDS})
    page, per_page = fields["current_page"], fields["per_page"]
    if page < 1:
        raise BadRequest("DRS.M00210", "The page number is invalid.")
    if not 1 <= per_page <= MAX_PER_PAGE:
        raise BadRequest("DRS.M00211", "The page size exceeds the limit.")
    return QueryReq(fields["job_id"], page, per_page, results)


def read_batch(body: bytes) -> BatchReq:
    """A batch-status or batch-detail request. Without `page_req` only five jobs are answered. Raises `BadRequest`."""
    fields = _read_object(body)
    jobs = fields.get("jobs")
    if not jobs:
        raise BadRequest("DRS.M00201", "Parameter jobs is mandatory.")
    if not isinstance(jobs, list) or not all(isinstance(job, str) and job for job in jobs):
        raise BadRequest("DRS.M00202", "Parameter jobs must be a list of job ids.")
    if len(set(jobs)) < len(jobs):
        raise BadRequest("DRS.M00301", "Parameter jobs holds duplicates.")
    page_req = fields.get("page_req") or {}
    if not isinstance(page_req, dict):
        raise BadRequest("DRS.M00202", "Parameter page_req has the wrong type.")
    page, per_page = page_req.get("cur_page", 1), page_req.get("per_page", 5)
    _refuse_unknown(fields, {"jobs", "page_req"})
    _refuse_unknown(page_req, {"cur_page", "per_page"})
    if type(page) is not int or page < 1:
        raise BadRequest("DRS.M00210", "The page number is invalid.")
    if type(per_page) is not int or not 0 <= per_page <= 100:
        raise BadRequest("DRS.M00211", "The page size exceeds the limit.")
    return BatchReq(tuple(jobs), page, per_page)


def read_fleet(call: str, body: bytes) -> dict[str, Any]:
    """A request for the list of jobs or for the objects of one; db-object has no body. Raises `BadRequest`."""
    if call == "db-object":
        return {}
    fields = _read_object(body)
    if call == "object-mappings":
        _refuse_unknown(fields, {"db_name", "schema_name", "table_name", "offset", "limit", "has_column_info"})
        fields = {"offset": 0, "limit": 10} | fields
        if type(fields["offset"]) is not int or fields["offset"] < 0:
            raise BadRequest("DRS.M00202", "Parameter offset is invalid.")
        if type(fields["limit"]) is not int or not 1 <= fields["limit"] <= 1000:
            raise BadRequest("DRS.M00211", "The page size exceeds the limit.")
        return fields
    _refuse_unknown(fields, _LIST_FIELDS)
    fields = {"cur_page": 1, "per_page": 10} | fields
    if fields.get("db_use_type") not in ("migration", "sync", "cloudDataGuard"):
        raise BadRequest("DRS.M00201", "Parameter db_use_type is mandatory.")
    if type(fields["cur_page"]) is not int or fields["cur_page"] < 0:
        raise BadRequest("DRS.M00210", "The page number is invalid.")
    if type(fields["per_page"]) is not int or not 0 <= fields["per_page"] <= 100:
        raise BadRequest("DRS.M00211", "The page size exceeds the limit.")
    if fields["cur_page"] == 0 or fields["per_page"] == 0:
        if fields["cur_page"] > 1:
            raise BadRequest("DRS.M00210", "Without a page size there is no further page.")
        fields |= {"cur_page": 1, "per_page": 0}  # all of them
    if fields.get("service_name"):
        raise BadRequest("DRS.M00202", "The simulator's jobs have no service_name to choose by.")
    names, instances = fields.get("name") or "", fields.get("instance_ids") or []
    if not isinstance(names, str) or len(names.split(",")) > 100:
        raise BadRequest("DRS.M00202", "Parameter name must be at most 100 names or ids.")
    if not isinstance(instances, list) or len(instances) > 10 or not all(isinstance(one, str) for one in instances):
        raise BadRequest("DRS.M00202", "Parameter instance_ids must be at most 10 ids.")
    if not isinstance(fields.get("tags") or {}, dict):
        raise BadRequest("DRS.M00202", "Parameter tags must be an object.")
    return fields


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("DRS.M00300", "The request body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise BadRequest("DRS.M00300", "The request body is not a JSON object.")
    return fields


def _refuse_unknown(fields: dict[str, Any], known: set[str]) -> None:
    if unknown := fields.keys() - known:
        raise BadRequest("DRS.M00202", f"Parameter {min(unknown)} is unknown.")
