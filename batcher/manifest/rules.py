"""The rules between the fields of a request body, over plain data of any shape (tables 3 to 7 of the reference)."""

from typing import Any

from batcher.manifest.element import NO_VALUE, Fault
from batcher.manifest.fields import DATA_LEVEL, OBJECT_LISTS

_LISTS_MEND = 'Give compare_object_infos, or compare_mode "quick_comparison" where the account may use it'


def add_rule_faults(body: dict[str, Any], faults: list[Fault]) -> None:
    """Add to *faults* what is wrong with *body* beyond its single fields. Null counts as absent."""
    info = body.get(DATA_LEVEL)
    if info is None and body.get("object_level_compare_type") is None:
        problem = "the entry asks for no comparison"
        mend = f'Give object_level_compare_type "objects", or {DATA_LEVEL}, or both'
        faults.append(Fault(None, NO_VALUE, problem, mend))
    job_id = body.get("job_id")
    if type(job_id) is str and (" " in job_id or not job_id.isprintable()):
        mend = "Copy the id from the job's page, without spaces around it"
        faults.append(Fault("job_id", job_id, "holds spaces or control characters", mend))
    if type(info) is dict:
        _add_data_level(info, body.get("object_level_compare_type") is not None, faults)


def _add_data_level(info: dict[str, Any], object_level: bool, faults: list[Fault]) -> None:
    if object_level and info.get("compare_type") == "contents":
        problem, mend = "cannot go with an object-level comparison", "Split it into two entries, or write lines"
        faults.append(Fault(f"{DATA_LEVEL}.compare_type", "contents", problem, mend))
    if info.get("compare_mode") is not None:
        return  # the quick mode takes all objects
    plain, with_token = (info.get(name) is not None for name in OBJECT_LISTS)
    if not plain and not with_token:
        faults.append(Fault(f"{DATA_LEVEL}.{OBJECT_LISTS[0]}", NO_VALUE, "is missing", _LISTS_MEND))
    elif plain and with_token:
        problem = f"stands beside {OBJECT_LISTS[0]}"
        mend = "Keep one of them; the one with tokens is for Cassandra disaster recovery only"
        faults.append(Fault(f"{DATA_LEVEL}.{OBJECT_LISTS[1]}", NO_VALUE, problem, mend))
