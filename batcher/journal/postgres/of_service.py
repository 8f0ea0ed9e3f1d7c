"""Waves that services have: what keeps others from beginning one past its service."""

from msgspec import Struct

from batcher.journal.postgres.link import DatabaseLink


class WaveAtService(Struct, frozen=True, kw_only=True):
    """A wave that was handed in at a service, which knows it by *id*. *is_begun*: a service has opened it before."""

    id: str
    state: str
    is_approved: bool
    is_begun: bool

    @property
    def why_not_begun(self) -> str | None:
        """Why it is not to be begun past its service, with the way there; None: it was begun."""
        if not self.is_approved:
            return (
                "waits for the approval of somebody else than its submitter: "
                f"`batcher control --service URL {self.id} approve` (POST /v1/waves/{self.id}/approve)"
            )
        if self.is_begun:
            return None
        if self.state == "queued":
            return f"is about to be opened there: `batcher control --service URL {self.id} status` shows it"
        verb = "resume" if self.state == "paused" else "start"
        route = f"POST /v1/waves/{self.id}/{verb}"
        return f"is {self.state} there: `batcher control --service URL {self.id} {verb}` ({route}) lets it go"


def service_wave(link: DatabaseLink, wave: str) -> WaveAtService | None:
    """The wave with that id where a service has it; None: it is no service's. Raises `JournalFailed`."""
    row = link.row(
        "SELECT state, NOT (row ->> 'needs_approval')::boolean OR row ->> 'approved_by' IS NOT NULL, "
        "(row ->> 'is_begun')::boolean "
        "FROM (SELECT state, convert_from(row, 'UTF8')::jsonb AS row FROM service_waves WHERE id = %s) s",
        (wave,),
    )
    return None if row is None else WaveAtService(id=wave, state=row[0], is_approved=row[1], is_begun=row[2])
