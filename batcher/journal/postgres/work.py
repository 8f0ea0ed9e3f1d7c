"""Which waves have something left to do in a scope of a database that machines share."""

from msgspec import Struct

from batcher.journal.postgres.link import DatabaseLink
from batcher.journal.postgres.verdicts import note_settled

_ENDED = ("stopped", "deadline", "max_failures")  # by which a wave does nothing more until it is run again


class WaveWork(Struct, frozen=True, kw_only=True):
    """A wave that has something left to do in a scope: entries without a result, or results without a verdict where
    somebody wants to know those.

    *number* is the database's own for it; *version* is that of its orders there, and *forbids* what they keep from
    being sent, one of `batcher.journal.errors.WHY_REFUSED`. *wanted* tells that verdicts are at this moment, and
    *undecided* is how many of the results there have none.
    """

    id: str
    number: int
    version: int
    forbids: str | None
    wanted: bool = False
    undecided: int = 0

    @property
    def follows(self) -> bool:
        """Whether there is a verdict to be found."""
        return self.wanted and self.undecided > 0

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is done for the wave until somebody runs it again."""
        return self.forbids in _ENDED and not self.follows


def waves_in(link: DatabaseLink, endpoint: str, project_id: str) -> list[WaveWork]:
    """The planned waves that have something left to do in that scope, those of the highest priority first.

    Of one that is settled by now counts for how long it is followed. Raises `JournalFailed`.
    """
    rows = link.rows(
        "SELECT w.id, w.number, coalesce(o.version, 0) + s.orders, forbidden(w.number, s.id), "
        "followed(w.number), p.settled - p.decided, o.watch_timeout_s IS NOT NULL AND o.follow_until IS NULL "
        "FROM scopes s JOIN wave_scopes p ON p.scope = s.id JOIN waves w ON w.number = p.wave "
        "LEFT JOIN wave_orders o ON o.wave = w.number "
        "WHERE s.endpoint = %s AND s.project_id = %s AND w.planned "
        "AND (p.settled < p.entries OR (p.decided < p.settled AND o.follow AND followed(w.number))) "
        "ORDER BY coalesce(o.priority, 0) DESC, w.number",
        (endpoint, project_id),
    )
    for _, number, *_, is_counting in rows:
        if is_counting:
            note_settled(link, number)
    return [WaveWork(**dict(zip(WaveWork.__struct_fields__, row, strict=False))) for row in rows]
