"""A planned entry: the body that is sent again is the one that was planned, less what is not asked for."""

import pytest
from msgspec.structs import replace

from batcher.drs.outcome import Half
from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from tests.wave.made import DATA, OBJECT, entry


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("policy", ["cancel", "keep"])
@pytest.mark.parametrize("halves", [{OBJECT}, {DATA}, {OBJECT, DATA}])
def test_a_body_of_some_halves_is_what_the_model_would_send(halves: set[Half], policy: str, keep: bool) -> None:
    """To the byte, nulls and signs of all languages included."""
    planned = entry(policy=policy)
    request = CreateCompareTaskReq.model_validate_json(planned.body.replace(b"db0", "läden 店".encode()))
    planned = replace(planned, body=request.to_wire())
    data = request.data_level_compare_info
    assert data is not None
    expected = request.model_copy(
        update={
            "object_level_compare_type": "objects" if OBJECT in halves else None,
            "data_level_compare_info": data.model_copy(update={"conflict_policy": "keep" if keep else policy})
            if DATA in halves
            else None,
        }
    )
    assert planned.request_body(frozenset(halves), keep=keep) == expected.to_wire()
