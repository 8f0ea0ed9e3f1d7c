"""The rules between the fields of a request body, and what a field left empty means (tables 3 to 7 of the reference).

They look at plain data of any shape: what single fields may hold is the request's models' to say.
"""

from typing import Any

from batcher.manifest.damage import ExpectedText, damage_of, says_nothing
from batcher.manifest.fields import DATA_LEVEL, MISSING_MENDS, OBJECT_LISTS
from batcher.manifest.formats.element import NO_VALUE, Flaw
from batcher.manifest.names import name_flaws
from batcher.manifest.start_time import BadStartTime, start_time_ms

_OPTIONAL = ("compare_mode", "start_time", *OBJECT_LISTS)
_LISTS_MEND = 'Give compare_object_infos, or compare_mode "quick_comparison" where the account may use it'


def apply_rules(body: dict[str, Any], *, now: float) -> list[Flaw]:
    """Tidy *body*, which is changed, and return what is wrong with it beyond its single fields.

    A field left empty is as if it were null; a start time becomes the digits that are sent. *now* is in seconds.
    """
    flaws: list[Flaw] = []
    objects = body.get("object_level_compare_type")
    if objects == "":
        objects = body["object_level_compare_type"] = None
    info = body.get(DATA_LEVEL)
    if type(info) is dict:
        body[DATA_LEVEL] = _apply_data_level(info, objects is not None, now, flaws)
    elif info is None and objects is None:
        problem = "the entry asks for no comparison"
        mend = f'Give object_level_compare_type "objects", or {DATA_LEVEL}, or both'
        flaws.append(Flaw(None, NO_VALUE, problem, mend))
    job_id = body.get("job_id")
    if type(job_id) is str and (damage := damage_of(job_id, ExpectedText.ID)):
        mend = f"{MISSING_MENDS['job_id']}, or take the entry out" if says_nothing(job_id) else damage.mend
        flaws.append(Flaw("job_id", job_id, damage.problem, mend))
    elif type(job_id) is str and not is_job_id(job_id):
        mend = "Copy the id from the job's page, without spaces around it"
        flaws.append(Flaw("job_id", job_id, "holds spaces or control characters", mend))
    return flaws


def is_job_id(text: str) -> bool:
    """Whether the signs of *text* can be those of a job's id."""
    return text.isprintable() and " " not in text


def _apply_data_level(info: dict[str, Any], objects: bool, now: float, flaws: list[Flaw]) -> dict[str, Any]:
    """The data-level part as it is sent; *info* itself is not changed."""
    mode, start_time = info.get("compare_mode"), info.get("start_time")
    plain, with_token = info.get("compare_object_infos"), info.get("compare_object_infos_with_token")
    if mode == "" or start_time == "" or plain == [] or with_token == []:
        empty = {name: None for name in _OPTIONAL if info.get(name) in ("", [])}
        return _apply_data_level({**info, **empty}, objects, now, flaws)
    if isinstance(start_time, str | int | float) and type(start_time) is not bool:
        try:
            info = {**info, "start_time": start_time_ms(start_time, now=now)}
        except BadStartTime as error:
            flaws.append(Flaw(f"{DATA_LEVEL}.start_time", start_time, error.problem, error.mend))
            info = {**info, "start_time": None}  # told
    flaws.extend(name_flaws(info))
    if objects and info.get("compare_type") == "contents":
        problem, mend = "cannot go with an object-level comparison", "Split it into two entries, or write lines"
        flaws.append(Flaw(f"{DATA_LEVEL}.compare_type", "contents", problem, mend))
    if mode is None:  # the quick mode takes all objects
        if plain is None and with_token is None:
            flaws.append(Flaw(f"{DATA_LEVEL}.{OBJECT_LISTS[0]}", NO_VALUE, "is missing", _LISTS_MEND))
        elif plain is not None and with_token is not None:
            problem = f"stands beside {OBJECT_LISTS[0]}"
            mend = "Keep one of them; the one with tokens is for Cassandra disaster recovery only"
            flaws.append(Flaw(f"{DATA_LEVEL}.{OBJECT_LISTS[1]}", NO_VALUE, problem, mend))
    return info
