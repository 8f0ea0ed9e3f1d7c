"""Which link can be compared how, as the documentation tables it: by kind of job, direction and engines.

Sources: disaster recovery drs_02_0033 (2025-10-31), complete; synchronization drs_10_0012, as far as it is public;
migration drs_02_0007 (2024-07-11); sampling drs_03_0242. Where no table speaks of a link, that is said, not guessed.
"""

from enum import StrEnum

from msgspec import Struct

_DR_PREFIX = "cloudDataGuard-"
_BOTH = ("up", "down")


class Support(StrEnum):
    """What the documentation says of a comparison on a link."""

    YES = "documented"
    NO = "not supported"
    SILENT = "not documented"


class Link(Struct, frozen=True):
    """From which engine to which, by the names that `engine_type` uses."""

    source: str
    target: str

    @classmethod
    def of(cls, engine: str) -> "Link":
        """The link that an `engine_type` names: "mysql", "mysql-to-kafka", "cloudDataGuard-mysql-to-taurus"."""
        source, to, target = engine.removeprefix(_DR_PREFIX).lower().partition("-to-")
        return cls(source, target if to else "dds" if source == "mongodb" else source)


class LinkSupport(Struct, frozen=True, kw_only=True):
    """What can be compared on a link."""

    objects: Support = Support.SILENT
    lines: Support = Support.SILENT
    contents: Support = Support.SILENT


_ALL = LinkSupport(objects=Support.YES, lines=Support.YES, contents=Support.YES)
_NO_VALUES = LinkSupport(objects=Support.YES, lines=Support.YES, contents=Support.NO)
_SAMPLES_ONLY = LinkSupport(objects=Support.NO, lines=Support.NO, contents=Support.NO)
_SILENT = LinkSupport()

_TABLE: dict[tuple[str, str, str, str], LinkSupport] = {}


def _rows(kind: str, directions: tuple[str, ...], support: LinkSupport, *links: str) -> None:
    for link in links:
        source, _, target = link.partition(">")
        for direction in directions:
            _TABLE[kind, direction, source, target] = support


_rows("cloudDataGuard", _BOTH, _ALL, "mysql>mysql", "taurus>taurus")
_rows("cloudDataGuard", ("up",), _ALL, "mysql>taurus")
_rows("cloudDataGuard", _BOTH, _NO_VALUES, "ddm>ddm")
_rows("sync", ("up",), _ALL, "mysql>mysql", "mysql>gaussdbv5", "mysql>gaussdbv5ha", "mysql>taurus", "oracle>mysql")
_rows("sync", ("up",), _ALL, "postgresql>postgresql", "postgresql>gaussdbv5", "postgresql>gaussdbv5ha")
_rows("sync", ("up",), _NO_VALUES, "mysql>postgresql", "mysql>mariadb", "mysql>dws", "ddm>mysql", "ddm>ddm")
_rows("sync", ("up",), _NO_VALUES, "ddm>gaussdbv5", "ddm>gaussdbv5ha")
_rows(
    "sync",
    (*_BOTH, "non-dbs"),
    _SAMPLES_ONLY,
    *("gaussdbv5>gaussdbv5", "gaussdbv5>postgresql", "gaussdbv5ha>postgresql"),
)
_rows("migration", _BOTH, _ALL, "mysql>mysql")


def support_of(kind: str, direction: str, engine: str) -> LinkSupport:
    """What the documentation says of the link of a job; *direction* is its `job_direction`."""
    link = Link.of(engine)
    return _TABLE.get((kind, direction, link.source, link.target), _SILENT)


def has_schemas(engine: str) -> bool:
    """Whether the source's tables lie in schemas, for which the request has no place."""
    return Link.of(engine).source.startswith(("postgresql", "gaussdbv5", "sqlserver", "mssql", "oracle"))
