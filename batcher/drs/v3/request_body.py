"""The body of a create request as plain records, which are made and written by the million.

`create_compare_task` is the model of the API: what a field may hold, its documentation, its schema. These records
are the same fields in the same order. What was judged sound is put into them to be written; the bytes are those of
the model's own `to_wire`, to which tests hold them.
"""

from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(min_length=1)]


class BodyPart(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of the records: what is absent is left out, and nothing unknown comes in."""


class ObjectInfo(BodyPart):
    """One database of a data-level comparison (table 5)."""

    db_name: Name
    table_name: Annotated[list[Name], msgspec.Meta(min_length=1)] | None = None


class TableInfoWithToken(BodyPart):
    """One table with its token range (table 7)."""

    table_name: Name
    min_token: str | None = None
    max_token: str | None = None


class ObjectInfoWithToken(BodyPart):
    """One database of a data-level comparison by tokens (table 6)."""

    db_name: Name
    table_name_with_token: list[TableInfoWithToken] | None = None


class DataLevelBody(BodyPart):
    """The data-level half (table 4). Mode and start time have no default: they are written as null if need be."""

    conflict_policy: str
    compare_type: str
    compare_mode: str | None
    start_time: str | None
    compare_object_infos: list[ObjectInfo] | None = None
    compare_object_infos_with_token: list[ObjectInfoWithToken] | None = None


class RequestBody(BodyPart):
    """The body of a create request (table 3)."""

    job_id: str
    object_level_compare_type: str | None = None
    data_level_compare_info: DataLevelBody | None = None


_encoder = msgspec.json.Encoder()
to_json, to_json_lines = _encoder.encode, _encoder.encode_lines
