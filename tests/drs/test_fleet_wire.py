"""The calls that tell a fleet, held to the official SDK's models, and read whatever they answer."""

import importlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.drs.answer import Answer, RequestStage
from batcher.drs.fleet import ListedJob, fits_a_path
from batcher.drs.v3.batch_status import PageReq
from batcher.drs.v3.fleet_answers import (
    classify_batch_detail,
    classify_db_object,
    classify_job_page,
    classify_object_mappings,
)
from batcher.drs.v3.fleet_client import FleetClient
from batcher.drs.v3.fleet_requests import BatchDetailReq, ObjectMappingsReq, QueryJobsReq
from batcher.simulator import fleet as told
from batcher.simulator.jobs import Fleet, JobRule
from tests.drs.test_client import ENDPOINT, Numbered, Wire


def sdk(version: str, module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"huaweicloudsdkdrs.{version}.model.{module}"), name)


def answer(body: object, status: int = 200) -> Answer:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return Answer(
        stage=RequestStage.SENT,
        http_status=status,
        headers={"content-type": "application/json", "x-request-id": "r"},
        body=raw,
        sent_at=0.0,
        answered_at=0.0,
    )


@pytest.mark.parametrize(
    ("wire", "model"),
    [
        (
            QueryJobsReq(cur_page=1, per_page=100, db_use_type="sync", enterprise_project_id="e", tags={"a": "b"}),
            ("v3", "query_jobs_req", "QueryJobsReq"),
        ),
        (
            BatchDetailReq(jobs=["jb1"], page_req=PageReq(cur_page=1, per_page=1)),
            ("v3", "batch_query_job_req_page", "BatchQueryJobReqPage"),
        ),
        (
            ObjectMappingsReq(offset=0, limit=1000),
            ("v5", "query_user_selected_object_info_req", "QueryUserSelectedObjectInfoReq"),
        ),
    ],
)
def test_every_field_is_one_of_the_sdks(wire: Any, model: tuple[str, str, str]) -> None:
    assert orjson.loads(wire.to_wire()).keys() <= set(sdk(*model).attribute_map.values())


async def test_every_call_goes_where_the_sdk_sends_it() -> None:
    """Method, path and query of each, with an id that has to be encoded."""
    wire = Wire()
    client = FleetClient(wire, endpoint=ENDPOINT, project_id="p1", credential=Numbered(), x_language=None)
    await client.list_jobs("sync", page=1)
    await client.job_details(["jb 1"])
    await client.object_mappings("jb 1", offset=0)
    await client.db_object("jb 1")
    v3, v5 = (importlib.import_module(f"huaweicloudsdkdrs.{version}") for version in ("v3", "v5"))
    infos = (
        v3.DrsClient._show_job_list_http_info(v3.ShowJobListRequest(body={})),
        v3.DrsClient._batch_list_job_details_http_info(v3.BatchListJobDetailsRequest(body={})),
        v5.DrsClient._show_object_mapping_http_info(v5.ShowObjectMappingRequest(job_id="jb 1", body={})),
        v5.DrsClient._show_db_objects_list_http_info(v5.ShowDbObjectsListRequest(job_id="jb 1", type="modified")),
    )
    for sent, info in zip(wire.requests, infos, strict=True):
        path = info["resource_path"].replace("{project_id}", "p1").replace("{job_id}", "jb%201")
        query = "&".join(f"{name}={value}" for name, value in info["query_params"])
        assert (sent.method, sent.url) == (info["method"], f"{ENDPOINT}{path}" + (f"?{query}" if query else ""))


def test_the_engine_is_sent_empty_and_not_left_out() -> None:
    assert orjson.loads(QueryJobsReq(cur_page=1, per_page=1, db_use_type="sync").to_wire())["engine_type"] == ""


RULE = JobRule(
    pattern="jb1", name="one", source_instance="src", objects=(("db", "s", ("t1", "t2")), ("plain", None, ("t3",)))
)


def test_what_the_simulator_tells_has_the_sdks_fields_and_reads_back() -> None:
    whole = told.listed(
        Fleet([RULE]), "p", {"cur_page": 1, "per_page": 10, "db_use_type": "migration", "engine_type": ""},
        lambda _: "INCRE_TRANSFER_STARTED", 1e9,
    )  # fmt: skip
    assert whole["jobs"][0].keys() <= set(sdk("v3", "job_info", "JobInfo").attribute_map.values())
    page = classify_job_page(answer(whole)).value
    assert page is not None
    assert page.jobs == (
        ListedJob(
            id="jb1", name="one", status="INCRE_TRANSFER_STARTED", kind="migration", engine="mysql", direction="up",
            task_type="FULL_INCR_TRANS",
        ),
    )  # fmt: skip
    detail = told.detail(RULE)
    assert detail.keys() <= set(sdk("v3", "query_job_resp", "QueryJobResp").attribute_map.values())
    mapped = told.mappings(RULE, 0, 10)
    assert mapped["object_mapping_list"][0].keys() <= set(
        sdk("v5", "db_object_info", "DbObjectInfo").attribute_map.values()
    )
    rows = classify_object_mappings(answer(mapped)).value
    assert rows is not None
    assert [(row.database, row.schema, row.table) for row in rows.objects] == [
        ("db", "s", "t1"),
        ("db", "s", "t2"),
        ("plain", None, "t3"),
    ]
    objects = told.db_object(RULE)
    whole_model = sdk("v5", "show_db_objects_list_response", "ShowDbObjectsListResponse")
    assert objects.keys() <= set(whole_model.attribute_map.values())
    database = objects["object_info"]["db"]
    schema = database["schemas"]["s"]
    assert database.keys() <= set(sdk("v5", "database_object", "DatabaseObject").attribute_map.values())
    assert schema.keys() <= set(sdk("v5", "schema_object", "SchemaObject").attribute_map.values())
    assert schema["tables"]["t1"].keys() <= set(sdk("v5", "table_object", "TableObject").attribute_map.values())
    listed = classify_db_object(answer(objects)).value
    assert listed is not None
    assert [(row.database, row.schema, row.table) for row in listed.objects] == [
        ("db", "s", "t1"),
        ("db", "s", "t2"),
        ("plain", None, "t3"),
    ]


def test_of_a_database_with_very_many_tables_db_object_tells_none() -> None:
    rule = JobRule(pattern="jb1", objects=(("db", None, tuple(map(str, range(told.MAX_TABLES_TOLD + 1)))),))
    page = classify_db_object(answer(told.db_object(rule))).value
    assert page is not None
    assert not page.complete
    assert [(row.database, row.table) for row in page.objects] == [("db", None)]


def test_each_job_of_a_batch_speaks_for_itself() -> None:
    body = {"count": 2, "results": [{"id": "a", "error_code": "DRS.M00289", "error_msg": "gone"}]}
    found = classify_batch_detail(answer(body, 400), asked=["a", "b"]).value
    assert found is not None
    assert [getattr(found[name], "error_code", "-") for name in "ab"] == ["DRS.M00289", None]


@pytest.mark.parametrize("job_id", ["", ".", "..", "a/b", "a\\b", "a\nb"])
def test_an_id_that_would_lead_elsewhere_stands_in_no_address(job_id: str) -> None:
    assert not fits_a_path(job_id)


KEYS = """jobs total_record id children results object_infos type name parent_id count object_mapping_list
source_db_name object_info schemas tables total_table_num"""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=4),
    max_leaves=12,
)


@given(json_values, st.sampled_from([200, 202, 400, 500]))
def test_whatever_comes_is_read_or_is_trouble(body: Any, status: int) -> None:
    for read in (classify_job_page, classify_object_mappings, classify_db_object):
        found = read(answer(body, status))
        assert (found.value is None) != (found.trouble is None)
    details = classify_batch_detail(answer(body, status), asked=["a"])
    assert (details.value is None) != (details.trouble is None)
