"""JSON entries without oddities, told at the speed of a typed decoder; what it cannot vouch for gets a closer look.

The decoder takes known fields of the right types only. What it does not see is a field that stands twice, so the
colons are counted, as `strict_json` does: every field has one, and written again each stands once.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from batcher.drs.v3.request_body import BodyPart, Name, ObjectInfo, ObjectInfoWithToken, to_json, to_json_lines
from batcher.manifest.damage import has_signs
from batcher.manifest.formats.element import ManyObjects, RegularElement
from batcher.manifest.names import any_ruined

_Text = str | UnsetType | None
_SOME = msgspec.Meta(min_length=1)


class WrittenObjectInfo(BodyPart):
    """An `ObjectInfo` as it is written: a null is told from a field that is not there, as colons are counted."""

    db_name: Name
    table_name: Annotated[list[Name], _SOME] | UnsetType | None = UNSET


class _DataLevel(BodyPart):
    """The data-level half of an entry, where nothing needs to be there: it may come from the defaults."""

    conflict_policy: _Text = UNSET
    compare_type: _Text = UNSET
    compare_mode: _Text = UNSET
    start_time: int | _Text = UNSET
    compare_object_infos: Annotated[list[WrittenObjectInfo], _SOME] | UnsetType | None = UNSET
    compare_object_infos_with_token: Annotated[list[ObjectInfoWithToken], _SOME] | UnsetType | None = UNSET


class JsonRow(BodyPart):
    """An entry as JSON has it."""

    job_id: Name
    object_level_compare_type: _Text = UNSET
    data_level_compare_info: _DataLevel | UnsetType | None = UNSET
    key: _Text = UNSET
    project_id: _Text = UNSET
    region: _Text = UNSET
    endpoint: _Text = UNSET
    x_language: _Text = UNSET
    labels: dict[str, str | None] | UnsetType | None = UNSET


decode_row = msgspec.json.Decoder(JsonRow).decode
_decode_objects = msgspec.json.Decoder(Annotated[list[ObjectInfo], _SOME]).decode


def regular_of(texts: Sequence[str]) -> list[RegularElement | None]:
    """What each of *texts* says, one after the other; None where it is no entry without oddities."""
    try:
        rows = [decode_row(text) for text in texts]
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return [_careful(text) for text in texts]
    joined = "".join(texts)
    if has_signs(joined):
        return [_sound(text, row) for text, row in zip(texts, rows, strict=True)]
    if _each_once(joined, rows):
        return [_apart(row) for row in rows]
    return [_apart(row) if _each_once(text, row) else None for text, row in zip(texts, rows, strict=True)]


def objects_in(text: str) -> list[ObjectInfo] | None:
    """The object list that *text* is; None where it is none, or has oddities."""
    try:
        infos: list[ObjectInfo] = _decode_objects(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    if not _each_once(text, infos) or (has_signs(text) and any_ruined(infos, None)):
        return None
    return infos


def many_objects_in(texts: Sequence[str]) -> ManyObjects | None:
    """The object lists that *texts* are; None where one of them is none, or has oddities."""
    try:
        lists = [*map(_decode_objects, texts)]
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    joined, written = "\n".join(texts) + "\n", to_json_lines(lists).decode()
    if has_signs(joined) and ("\\u003" in joined or any(any_ruined(infos, None) for infos in lists)):
        return None
    if joined == written:  # as they are sent
        return ManyObjects(lists, texts)
    return ManyObjects(lists, written.split("\n")[:-1]) if joined.count(":") == written.count(":") else None


def _careful(text: str) -> RegularElement | None:
    try:
        row = decode_row(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    return _sound(text, row)


def _sound(text: str, row: JsonRow) -> RegularElement | None:
    if not _each_once(text, row):
        return None
    regular = _apart(row)
    return None if has_signs(text) and any_ruined(regular.infos, regular.infos_with_token) else regular


def _each_once(text: str, rows: JsonRow | list[JsonRow] | list[ObjectInfo]) -> bool:
    """Whether no field of *rows*, which *text* was read to, stands twice, and no colon is written as \\u003a."""
    if "\\" in text and "\\u003" in text:
        return False
    return text.count(":") == to_json(rows).count(b":")


def _apart(row: JsonRow) -> RegularElement:
    labels, info = row.labels or None, row.data_level_compare_info
    labelled = ... if labels else row.labels is None
    alike = (row.object_level_compare_type, row.project_id, row.region, row.endpoint, row.x_language, labelled)
    if info is UNSET or info is None:
        return RegularElement((*alike, info), row.job_id, row.key or None, labels)
    plain, with_token = info.compare_object_infos, info.compare_object_infos_with_token
    return RegularElement(
        (
            *alike,
            info.conflict_policy,
            info.compare_type,
            info.compare_mode,
            info.start_time,
            ... if plain else plain,
            ... if with_token else with_token,
        ),
        row.job_id,
        row.key or None,
        labels,
        [ObjectInfo(one.db_name, one.table_name or None) for one in plain] if plain else None,
        with_token or None,
    )
