"""What goes wrong between a client and its service."""

from collections.abc import Sequence
from typing import Any

from batcher import exits
from batcher.errors import BatcherError, UserError


class ServiceRefused(UserError):
    """The service says no: *status* is HTTP's, *findings* are what is wrong with what was handed in.

    Its exit code is 2; 3 where the trouble is the service's own (a full disk, a defect).
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        findings: Sequence[dict[str, Any]] = (),
        count: int | None = None,
        sound: int | None = None,
    ) -> None:
        """*count* is how many findings there are, where these are only the first of them. *sound* is how many entries
        of a manifest have no finding; None: it was not read as one."""
        super().__init__(message, exit_code=exits.STOPPED if status >= 500 else exits.USAGE)
        self.status = status
        self.findings = findings
        self.count = len(findings) if count is None else max(count, len(findings))
        self.sound = sound


class ServiceLost(UserError):
    """The service does not answer, for longer than anybody waits. *sent*: whether it may have done what was asked."""

    exit_code = exits.STOPPED

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class NotReached(BatcherError):
    """An attempt that came to nothing for *why*, or whose answer says to come again, in *after_s* seconds.

    *sent*: whether anything of it may have got there, and been done.
    """

    def __init__(self, why: str, *, sent: bool, after_s: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent
        self.after_s = after_s


class StreamBroken(BatcherError):
    """A stream broke off; what came of it counts, and the rest is asked for again."""
