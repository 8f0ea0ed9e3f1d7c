"""CSV rows without oddities, taken apart; what cannot be vouched for gets a closer look."""

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter

from batcher.drs.request_body import ObjectInfo
from batcher.manifest.beside import is_whole
from batcher.manifest.element import Usual
from batcher.manifest.entry import NO_LABELS
from batcher.manifest.fields import LABEL_PREFIX, OBJECT_LISTS
from batcher.manifest.short_form import BadCell, databases
from batcher.manifest.usual_json import objects_in

UsualOf = Callable[[list[str]], Usual | None]


def usual_under(header: Sequence[str], *, surely_whole: bool) -> UsualOf:
    """How the rows under *header*, with which nothing is wrong, are taken apart; None comes out for odd ones.

    *surely_whole* says that the file's encoding has no half of a surrogate pair.
    """
    place_of = {name: place for place, name in enumerate(header)}
    width, job = len(header), place_of["job_id"]
    key, objects = place_of.get("key"), place_of.get(OBJECT_LISTS[0])
    labels = [(place, name.removeprefix(LABEL_PREFIX)) for name, place in place_of.items() if _is_label(name)]
    own = {job, key, objects, *(place for place, _ in labels)}
    shared = [place for place in range(width) if place not in own]
    common: Callable[[list[str]], Hashable] = itemgetter(*shared) if shared else _nothing

    def usual_of(row: list[str]) -> Usual | None:
        if len(row) != width or not (job_id := row[job].strip()):
            return None
        if not (surely_whole or is_whole("".join(row))):
            return None
        own_key = None if key is None else row[key].strip() or None
        own_labels = {name: cell for place, name in labels if (cell := row[place])} if labels else NO_LABELS
        infos = None
        if objects is not None and (cell := row[objects].strip()):
            infos = _objects_in(cell)
            if infos is None:
                return None
        return Usual((common(row), infos is None), job_id, own_key, own_labels, infos)

    return usual_of


def _is_label(name: str) -> bool:
    return name.startswith(LABEL_PREFIX)


def _nothing(row: list[str]) -> Hashable:
    return None


def _objects_in(cell: str) -> list[ObjectInfo] | None:
    if cell[0] in "[{":
        return objects_in(cell)
    try:
        return [ObjectInfo(name, tables) for name, tables in databases(cell)]
    except BadCell:
        return None
