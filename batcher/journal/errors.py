"""What a journal may answer instead of what was asked; `batcher/errors.py` draws where each belongs.

Keepers raise nothing else: no error of a database, and no OSError of its files, gets past them.
"""

from batcher import exits
from batcher.errors import BatcherError, UserError


class JournalFailed(BatcherError):
    """The journal cannot be written or read; the text says which and where, *reason* what its database or disk said."""

    def __init__(self, text: str, *, reason: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason or text


class JournalAway(JournalFailed):
    """The database that machines share does not answer for now: what was asked for may be asked again later."""


class JournalDamaged(JournalFailed):
    """What the journal holds is not what was written to it; the text names the command that says what is left."""


class LaneLost(BatcherError):
    """The scope is somebody else's by now: its lease ran out and was taken over, so nothing of this was recorded.

    What the cloud answered is kept beside the record all the same. It is no failure of the journal: other scopes go on.
    """


class IntentRefused(BatcherError):
    """An order keeps this from being sent: nothing of it was recorded. *why* is one of `WHY_REFUSED`."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


WHY_REFUSED = ("stopped", "deadline", "max_failures", "paused", "scope paused")
"""What orders of a database that machines share may keep from being sent; the first three end the wave."""


class NotAJournal(BatcherError):
    """The file is not a journal that this version can read; the text says what it is and the way out."""


class WaveRefused(UserError):
    """The wave cannot begin or go on as asked; nothing was sent. The text says why and the way out."""


class JournalUnusable(UserError):
    """The journal is there, and cannot be read; the text says which, why, and the way out."""


def unusable(error: "JournalFailed | NotAJournal") -> JournalUnusable:
    """*error*, for whoever typed a command: what is away now may be there later, and then the same command will do."""
    if isinstance(error, JournalAway):
        return JournalUnusable(f"{error}. Run the same command again once it answers.", exit_code=exits.STOPPED)
    return JournalUnusable(f"{error}.")


class JournalAbsent(UserError):
    """There is no journal, neither where it was named nor beside the results; the text says where it was looked for."""
