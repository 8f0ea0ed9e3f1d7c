"""CSV rows without oddities, taken apart; what cannot be vouched for gets a closer look."""

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter

from batcher.drs.v3.request_body import ObjectInfo
from batcher.manifest.damage import KNOWN_NOTHINGS
from batcher.manifest.entry import NO_LABELS
from batcher.manifest.envelope import is_whole
from batcher.manifest.fields import LABEL_PREFIX, OBJECT_LISTS
from batcher.manifest.formats.element import RegularElement
from batcher.manifest.formats.regular_json import objects_in
from batcher.manifest.short_form import BadCell, databases, tables_in

RegularOf = Callable[[list[str]], RegularElement | None]
_MOST = 4096  # lists of tables that are kept
_LONG = 4096  # characters of a list that is not kept


def regular_under(header: Sequence[str], *, surely_whole: bool) -> RegularOf:
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
    short_form = _ShortForm()

    def regular_of(row: list[str]) -> RegularElement | None:
        if len(row) != width:
            if len(row) > width or len(row) == 1:
                return None
            row = [*row, *[""] * (width - len(row))]  # empty cells at the end may be left out
        if not (job_id := row[job].strip()):
            return None
        if not (surely_whole or is_whole("".join(row))):
            return None
        own_key = None if key is None else row[key].strip() or None
        own_labels = {name: cell for place, name in labels if (cell := row[place])} if labels else NO_LABELS
        infos = None
        if objects is not None and (cell := row[objects].strip()):
            infos = objects_in(cell) if cell[0] in "[{" else short_form.objects_in(cell)
            if infos is None:
                return None
        return RegularElement((common(row), infos is None), job_id, own_key, own_labels, infos)

    return regular_of


def _is_label(name: str) -> bool:
    return name.startswith(LABEL_PREFIX)


def _nothing(row: list[str]) -> Hashable:
    return None


class _ShortForm:
    """Reads object lists in their short form; the same tables in many databases are read once."""

    def __init__(self) -> None:
        self._tables: dict[str, list[str] | None] = {}

    def objects_in(self, cell: str) -> list[ObjectInfo] | None:
        """The objects of *cell*; None where it takes a closer look."""
        infos = self._plain(cell)
        if infos is None:
            try:
                return [ObjectInfo(name, tables) for name, tables in databases(cell)]
            except BadCell:
                return None
        return infos

    def _plain(self, cell: str) -> list[ObjectInfo] | None:
        infos = []
        for part in cell.split(";"):
            name, colon, text = part.partition(":")
            name = name.strip()
            if not (name.isalnum() or name.replace("_", "").isalnum()) or name in KNOWN_NOTHINGS:
                return None
            if not colon:
                infos.append(ObjectInfo(name))
                continue
            tables = self._tables[text] if text in self._tables else self._read(text)
            if tables is None:
                return None
            infos.append(ObjectInfo(name, tables))
        return infos if len(infos) == 1 or len({info.db_name for info in infos}) == len(infos) else None

    def _read(self, text: str) -> list[str] | None:
        tables = tables_in(text)
        if len(text) <= _LONG:
            if len(self._tables) >= _MOST:
                self._tables.clear()
            self._tables[text] = tables
        return tables
