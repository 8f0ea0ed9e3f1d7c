"""Why a wave ends before its last entry is settled."""

from enum import Enum

from msgspec import Struct


class StopKind(Enum):
    """What stops a wave; each has its exit code in the command line."""

    SIGINT = "interrupted"
    SIGTERM = "terminated"
    SIGHUP = "hung up"
    ASKED = "stopped on request"
    REFUSED = "credentials refused"
    MAX_FAILURES = "too many failures"
    DEADLINE = "deadline reached"
    JOURNAL = "journal not writable"
    RESULTS = "results not writable"
    READER = "whoever read the results went away"

    @property
    def is_signal(self) -> bool:
        """Whether it is a signal, of the member's name."""
        return self in (StopKind.SIGINT, StopKind.SIGTERM, StopKind.SIGHUP)


class Stop(Struct, frozen=True):
    """A reason to stop; *text* is a sentence for people."""

    kind: StopKind
    text: str
