"""Which waves have something left to do in a scope of a database that machines share."""

from msgspec import Struct

from batcher.journal.postgres.link import DatabaseLink

_ENDED = ("stopped", "deadline", "max_failures")  # by which a wave does nothing more until it is run again


class WaveWork(Struct, frozen=True, kw_only=True):
    """A wave that has something left to do in a scope: entries without a result, or results without a verdict where
    somebody wants to know those.

    *number* is the database's own for it; *version* is that of its orders there, and *forbids* what they keep from
    being sent, one of `batcher.journal.errors.WHY_REFUSED`. *follows* tells that there is a verdict to be found.
    """

    id: str
    number: int
    version: int
    forbids: str | None
    follows: bool = False

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is done for the wave until somebody runs it again."""
        return self.forbids in _ENDED and not self.follows


def waves_in(link: DatabaseLink, endpoint: str, project_id: str) -> list[WaveWork]:
    """The planned waves that have something left to do in that scope, those of the highest priority first.

    Raises `JournalFailed`.
    """
    rows = link.rows(
        "SELECT w.id, w.number, coalesce(o.version, 0) + s.orders, forbidden(w.number, s.id), "
        "p.decided < p.settled AND followed(w.number) "
        "FROM scopes s JOIN wave_scopes p ON p.scope = s.id JOIN waves w ON w.number = p.wave "
        "LEFT JOIN wave_orders o ON o.wave = w.number "
        "WHERE s.endpoint = %s AND s.project_id = %s AND w.planned "
        "AND (p.settled < p.entries OR (p.decided < p.settled AND followed(w.number))) "
        "ORDER BY coalesce(o.priority, 0) DESC, w.number",
        (endpoint, project_id),
    )
    return [WaveWork(**dict(zip(WaveWork.__struct_fields__, row, strict=True))) for row in rows]
