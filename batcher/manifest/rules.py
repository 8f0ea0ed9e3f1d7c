"""The rules between the fields of a request body, over plain data of any shape (tables 3 to 7 of the reference)."""

from collections.abc import Iterator
from typing import Any

from batcher.manifest.element import NO_VALUE, Fault
from batcher.manifest.fields import DATA_LEVEL, OBJECT_LISTS

_LISTS_MEND = 'Give compare_object_infos, or compare_mode "quick_comparison" where the account may use it'


def rule_faults(body: dict[str, Any]) -> Iterator[Fault]:
    """What is wrong with *body* beyond its single fields. Empty fields are taken to be absent already."""
    info = body.get(DATA_LEVEL)
    if info is None and "object_level_compare_type" not in body:
        yield Fault(
            None,
            NO_VALUE,
            "the entry asks for no comparison",
            f'Give object_level_compare_type "objects", or {DATA_LEVEL}, or both',
        )
    job_id = body.get("job_id")
    if type(job_id) is str and (job_id.isspace() or not job_id.isprintable() or " " in job_id):
        mend = "Copy the id from the job's page, without spaces around it"
        yield Fault("job_id", job_id, "holds spaces or control characters", mend)
    if type(info) is dict:
        yield from _data_level(info, object_level="object_level_compare_type" in body)


def _data_level(info: dict[str, Any], *, object_level: bool) -> Iterator[Fault]:
    if object_level and info.get("compare_type") == "contents":
        yield Fault(
            f"{DATA_LEVEL}.compare_type",
            "contents",
            "cannot go with an object-level comparison",
            "Split it into two entries, or write lines",
        )
    given = [name for name in OBJECT_LISTS if name in info]
    if "compare_mode" not in info:
        if not given:
            yield Fault(f"{DATA_LEVEL}.compare_object_infos", NO_VALUE, "is missing", _LISTS_MEND)
        elif len(given) == 2:
            yield Fault(
                f"{DATA_LEVEL}.{given[1]}",
                NO_VALUE,
                f"stands beside {given[0]}",
                "Keep one of them; the one with tokens is for Cassandra disaster recovery only",
            )
    for name in given:
        yield from _objects(f"{DATA_LEVEL}.{name}", info[name])


def _objects(field: str, infos: Any) -> Iterator[Fault]:
    if type(infos) is not list:
        return
    for number, info in enumerate(infos):
        if type(info) is not dict:
            continue
        tables = info.get("table_name")
        if type(tables) is not list:
            continue
        place = f"{field}[{number}].table_name"
        if not tables:
            mend = "Name the tables, or leave table_name out for the whole database"
            yield Fault(place, NO_VALUE, "is an empty list", mend)
        for position, table in enumerate(tables):
            if table == "":
                yield Fault(f"{place}[{position}]", "", "is empty", "Give the name of the table")
