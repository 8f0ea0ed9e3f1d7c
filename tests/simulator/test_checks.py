"""Requests are checked as strictly as the reference's tables, and whatever comes in is answered."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.simulator.checks import BadRequest, read_batch, read_create, read_query
from batcher.simulator.config import CloudConfig
from batcher.simulator.model import SimulatedCloud
from tests.simulator import bodies


def changed(body: bytes, **fields: Any) -> bytes:
    return orjson.dumps({**orjson.loads(body), **fields})


def without(body: bytes, name: str) -> bytes:
    fields = orjson.loads(body)
    del fields[name]
    return orjson.dumps(fields)


def with_info(**fields: Any) -> bytes:
    body = orjson.loads(bodies.create())
    body["data_level_compare_info"].update(fields)
    body["data_level_compare_info"] = {
        name: value for name, value in body["data_level_compare_info"].items() if value != "absent"
    }
    return orjson.dumps(body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "DRS.M00300"),
        (b"[]", "DRS.M00300"),
        (without(bodies.create(), "job_id"), "DRS.M00201"),
        (changed(bodies.create(), job_id=7), "DRS.M00202"),
        (changed(bodies.create(), object_level_compare_type="tables"), "DRS.M00202"),
        (changed(bodies.create(), nonsense=1), "DRS.M00202"),
        (with_info(conflict_policy="absent"), "DRS.M00201"),
        (with_info(conflict_policy="replace"), "DRS.M00202"),
        (with_info(compare_type="absent"), "DRS.M00201"),
        (with_info(compare_object_infos="absent"), "DRS.M00200"),
        (with_info(compare_object_infos=[]), "DRS.M00200"),
        (with_info(compare_object_infos_with_token=[{"db_name": "ks"}]), "DRS.M00200"),
        (with_info(compare_object_infos=[{"table_name": ["t"]}]), "DRS.M00201"),
        (with_info(start_time="1767225600"), "DRS.M00202"),
        (with_info(start_time="2026-01-01T00:00:00Z"), "DRS.M00202"),
        (with_info(start_time="\u0661" * 13), "DRS.M00202"),
        (bodies.create(object_level=True, compare_type="contents"), "DRS.M00200"),
    ],
)
def test_create_requests_that_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_create(body)
    assert caught.value.error_code == code


@pytest.mark.parametrize(
    "body",
    [
        bodies.create(object_level=True),
        changed(bodies.create(), object_level_compare_type=""),
        with_info(start_time="", compare_mode=""),
        with_info(start_time="1767225600000"),
        with_info(compare_mode="quick_comparison", compare_object_infos="absent"),
        with_info(compare_object_infos="absent", compare_object_infos_with_token=[{"db_name": "ks"}]),
    ],
)
def test_create_requests_that_are_taken(body: bytes) -> None:
    assert read_create(body).job_id == "jb1"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (without(bodies.query(), "current_page"), "DRS.M00201"),
        (without(bodies.query(), "per_page"), "DRS.M00201"),
        (changed(bodies.query(), current_page="1"), "DRS.M00202"),
        (changed(bodies.query(), per_page=True), "DRS.M00202"),
        (bodies.query(page=0), "DRS.M00210"),
        (bodies.query(per_page=0), "DRS.M00211"),
        (bodies.query(per_page=101), "DRS.M00211"),
        (changed(bodies.query(), page=1), "DRS.M00202"),
    ],
)
def test_query_requests_that_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_query(body)
    assert caught.value.error_code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "DRS.M00201"),
        (bodies.batch(), "DRS.M00201"),
        (bodies.batch("a", "a"), "DRS.M00301"),
        (orjson.dumps({"jobs": "a"}), "DRS.M00202"),
        (orjson.dumps({"jobs": [1]}), "DRS.M00202"),
        (bodies.batch("a", page_req={"cur_page": 0}), "DRS.M00210"),
        (bodies.batch("a", page_req={"per_page": 101}), "DRS.M00211"),
        (bodies.batch("a", page_req={"page": 1}), "DRS.M00202"),
    ],
)
def test_batch_requests_that_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_batch(body)
    assert caught.value.error_code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["job_id", "object_level_compare_type", "data_level_compare_info", "current_page", "per_page", "jobs", "page_req"]
)


@given(body=st.binary(max_size=60) | st.dictionaries(NAMES, JSON).map(lambda fields: json.dumps(fields).encode()))
def test_whatever_is_sent_is_answered_in_json(body: bytes) -> None:
    of = SimulatedCloud(CloudConfig(), random.Random(1))
    for call in (of.create, of.query, of.batch_status, of.batch_detail):
        reply = call(1000.0, "p", body)
        assert reply.status in (200, 400)
        assert isinstance(orjson.loads(reply.body), dict)
