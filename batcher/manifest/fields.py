"""The names an entry may have, and what to say where one is missing. The request's own come from its models."""

from batcher.drs.v3.create_compare_task import (
    CompareObjectInfo,
    CompareObjectInfoWithToken,
    CompareTableInfoWithToken,
    CreateCompareTaskReq,
    CreateDataLevelCompareReq,
)

DATA_LEVEL = "data_level_compare_info"
BODY_FIELDS = tuple(CreateCompareTaskReq.model_fields)
DATA_FIELDS = tuple(CreateDataLevelCompareReq.model_fields)
OBJECT_LISTS = ("compare_object_infos", "compare_object_infos_with_token")
# What may stand beside the request body in an entry; none of it is sent.
BESIDE_TEXTS = ("key", "project_id", "region", "endpoint", "x_language")
BESIDE_FIELDS = (*BESIDE_TEXTS, "labels")
ENTRY_FIELDS = (*BODY_FIELDS, *BESIDE_FIELDS)

LABEL_PREFIX = "label."
CSV_FIELDS = ("job_id", "object_level_compare_type", *DATA_FIELDS, *BESIDE_TEXTS)

LANGUAGES = ("en-us", "zh-cn")

# The names known at a place, by the last field name on the way there.
KNOWN_AT = {
    "": ENTRY_FIELDS,
    DATA_LEVEL: DATA_FIELDS,
    "compare_object_infos": tuple(CompareObjectInfo.model_fields),
    "compare_object_infos_with_token": tuple(CompareObjectInfoWithToken.model_fields),
    "table_name_with_token": tuple(CompareTableInfoWithToken.model_fields),
}

_RANGE = '{"table_name": "t", "min_token": "1", "max_token": "9"}'
EXAMPLES = {
    "compare_object_infos": '[{"db_name": "db", "table_name": ["t1", "t2"]}]',
    "compare_object_infos_with_token": f'[{{"db_name": "db", "table_name_with_token": [{_RANGE}]}}]',
    "table_name": '["t1", "t2"]',
    "table_name_with_token": f"[{_RANGE}]",
}
"""What lists look like in JSON; `table_name` as it stands beside `db_name`."""

MISSING_MENDS = {
    "job_id": "Give the id of the DRS job; of its subtask, where the job has several",
    "conflict_policy": "Write keep (the job's unfinished comparison stays, and none is created) or cancel (it ends)",
    "compare_type": "Write lines (compares row counts) or contents (compares values)",
    "db_name": "Give the name of the source database",
    "table_name": "Give the name of the table",
}
