"""The names of databases and tables in an object list that is written as JSON."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from batcher.drs.v3.request_body import ObjectInfo, ObjectInfoWithToken
from batcher.manifest.damage import KNOWN_NOTHINGS, ruined_name
from batcher.manifest.fields import DATA_LEVEL, OBJECT_LISTS
from batcher.manifest.formats.element import Flaw

_NOTHINGS = frozenset(KNOWN_NOTHINGS)


def name_flaws(info: Mapping[str, Any]) -> Iterator[Flaw]:
    """What is ruined in the object lists of a data-level half, which is plain data of any shape."""
    for field in OBJECT_LISTS:
        for path, name in _names_in(info.get(field), f"{DATA_LEVEL}.{field}"):
            if damage := ruined_name(name):
                yield Flaw(path, name, damage.problem, damage.mend)


def _names_in(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The names in *value*, each with its path: all texts but the tokens."""
    if type(value) is str:
        yield path, value
    elif type(value) is list:
        for place, one in enumerate(value):
            yield from _names_in(one, f"{path}[{place}]")
    elif type(value) is dict:
        for field in ("db_name", "table_name", "table_name_with_token"):
            yield from _names_in(value.get(field), f"{path}.{field}")


def any_ruined(infos: Iterable[ObjectInfo] | None, with_token: Iterable[ObjectInfoWithToken] | None) -> bool:
    """Whether a name in these lists is ruined."""
    names = [name for info in infos or () for name in (info.db_name, *(info.table_name or ()))]
    for info in with_token or ():
        names += (info.db_name, *(table.table_name for table in info.table_name_with_token or ()))
    return any(map(ruined_name, names))


def names_nothing(infos: Iterable[ObjectInfo]) -> bool:
    """Whether a name in *infos* is a word for nothing, as programs write it; it may be meant."""
    for info in infos:
        tables = info.table_name
        if info.db_name in _NOTHINGS or (tables is not None and not _NOTHINGS.isdisjoint(tables)):
            return True
    return False
