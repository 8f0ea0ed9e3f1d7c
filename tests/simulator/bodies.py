"""Request bodies for tests of the simulator, as a client would send them."""

from typing import Any

import orjson

TABLES = [{"db_name": "shop", "table_name": ["orders", "items"]}]


def create(
    job_id: str = "jb1",
    *,
    object_level: bool = False,
    data_level: bool = True,
    policy: str = "keep",
    compare_type: str = "lines",
    start_time: str | None = None,
    objects: list[dict[str, Any]] | None = None,
) -> bytes:
    body: dict[str, Any] = {"job_id": job_id}
    if object_level:
        body["object_level_compare_type"] = "objects"
    if data_level:
        body["data_level_compare_info"] = {
            "conflict_policy": policy,
            "compare_type": compare_type,
            "compare_mode": None,
            "start_time": start_time,
            "compare_object_infos": TABLES if objects is None else objects,
        }
    return orjson.dumps(body)


def query(job_id: str = "jb1", *, page: int = 1, per_page: int = 10, **ids: str) -> bytes:
    return orjson.dumps({"job_id": job_id, "current_page": page, "per_page": per_page, **ids})


def batch(*jobs: str, page_req: dict[str, int] | None = None) -> bytes:
    return orjson.dumps({"jobs": jobs, **({} if page_req is None else {"page_req": page_req})})
