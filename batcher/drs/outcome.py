"""What the cloud answers, as values: the verdict on each half of a create request, a page of a list, states of jobs.

The engine decides by these alone. An API's room makes them of its raw answers (`v3/classify.py`); no raw answer goes
any further. What holds for whoever makes them:

- An outcome never promises more than the answer proves: what is not whole, sound and known is `Fate.MAYBE`.
- `NOT_RECEIVED` is said only where no byte of the request can have reached the cloud.
- No task id of an answer is lost: where it comes with trouble it stands in the trouble's text.
- A list that is not whole and sound is trouble, since half a list proves nothing absent.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum

from msgspec import Struct

from batcher.drs.answer import RequestStage
from batcher.drs.results import ResultKind, ResultPage


class ErrorKind(StrEnum):
    """What kind of trouble an entry met, for scripts that branch on it."""

    VALIDATION = "validation"
    AUTH = "auth"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    STATE = "state"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    SERVER = "server"
    NETWORK = "network"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    STOPPED = "stopped"


class Fate(Enum):
    """What became of a request that failed: what the cloud may have done, and so what can help."""

    NOT_RECEIVED = "not received"  # nothing left us: again, after back-off
    TURNED_AWAY = "turned away"  # throttled: the scope waits; not a used-up attempt
    NOT_LET_IN = "not let in"  # credential refused: renew once, else the scope stops
    REFUSED = "refused"  # no repetition can change it
    NOT_YET = "not yet"  # the job is not in a state for it
    BUSY = "busy"  # another operation is running on the job: it passes by itself
    MAYBE = "may have happened"  # no whole, sound, known answer after the body left


class Foreign(StrEnum):
    """What somebody else than the cloud said, in its place (see `authorship`)."""

    PAGE = "page"  # an answer that tells nothing of the entry: the way to the cloud is out
    BARRED = "barred"  # it does not let us through, and asking again may lock an account: the scope stops


class Trouble(Struct, frozen=True, kw_only=True, rename={"fate": "sort"}):
    """Why something asked for was not (or perhaps not) done.

    *listed* is False where a whole answer carried a (status, code) pair that no source names: such an answer
    is classified `MAYBE`. *retry_after_s* is seconds from the answer (`Retry-After`, number or date).
    *limit* is the (count, period in seconds) that a throttled answer's text names, a hint and no contract.
    *foreign* is set where it was not the cloud that said so; None where it was, or nobody answered.

    Journals hold *fate* under its first name, `sort`.
    """

    fate: Fate
    kind: ErrorKind
    error_code: str | None = None
    error_msg: str | None = None
    retry_after_s: float | None = None
    limit: tuple[int, float] | None = None
    listed: bool = True
    foreign: Foreign | None = None


class Made(Struct, frozen=True):
    """A comparison exists, and this is its id."""

    compare_task_id: str


class Accepted(Struct, frozen=True):
    """The cloud took the request and names no comparison: there is one, or will be, and only a look-up can tell which.

    *reference* is what the cloud calls the request, where it says so. The API of version 3 never answers so.
    """

    reference: str | None = None


HalfOutcome = Made | Accepted | Trouble
"""What became of one half of a create request."""


class Half(StrEnum):
    """The two comparisons that one create request can ask for."""

    OBJECT = "object_level"
    DATA = "data_level"


_SENT = RequestStage.SENT  # Python looks for a member anew at each mention


class Outcome(Struct, frozen=True, kw_only=True):
    """How one request went, whatever it asked for. Times are Unix seconds.

    *sent_at* is when it left by our clock (or was tried, where it did not leave), *answered_at* when it ended.
    *http_status* is None where no whole answer came. *server_time* is the cloud's clock when it answered, None where
    the answer has no date or is not the cloud's own.
    """

    stage: RequestStage
    sent_at: float
    answered_at: float
    http_status: int | None = None
    request_id: str | None = None
    server_time: float | None = None

    @property
    def left(self) -> bool:
        """Whether the request left us, so that the cloud may have acted."""
        return self.stage is _SENT

    @property
    def answered(self) -> bool:
        """Whether a whole answer came, whoever said it."""
        return self.http_status is not None


class CreateOutcome(Outcome, frozen=True, kw_only=True):
    """The verdict on each half that was asked for. Where the call as a whole failed, *whole* holds that
    trouble and every half has it too, save one that the answer gives an id all the same: that one is in doubt.
    *whole* is None where the halves speak for themselves; then none of them is `NOT_LET_IN`.

    *unasked* are task ids in the answer for a half that was not asked for: kept, since no id is forgotten.
    """

    halves: Mapping[Half, HalfOutcome]
    whole: Trouble | None
    unasked: tuple[str, ...] = ()


class Comparison(Struct, frozen=True, kw_only=True):
    """One entry of a job's list of comparison tasks. Times are milliseconds since the epoch, by the cloud."""

    compare_task_id: str
    compare_type: str
    compare_task_status: str
    create_time: int | None
    end_time: int | None = None

    @property
    def finished(self) -> bool:
        """An unlisted status counts as unfinished."""
        return self.compare_task_status in FINISHED


FINISHED = frozenset({"SUCCESSFUL", "FAILED", "CANCELLED", "TIMEOUT_INTERRUPT"})


class ComparisonPage(Struct, frozen=True, kw_only=True):
    """One page of the list, as sound as could be told: *total* is the cloud's own count of all entries."""

    comparisons: tuple[Comparison, ...]
    total: int


class ListOutcome(Outcome, frozen=True, kw_only=True):
    """Exactly one of *page* and *trouble* is set. An answer that is not a whole, sound list is trouble:
    an error here is never evidence that no comparison exists."""

    page: ComparisonPage | None
    trouble: Trouble | None


class ResultsOutcome(Outcome, frozen=True, kw_only=True):
    """What a query for results told; where *trouble* is set, nothing else is.

    *results* has a page for each kind that the answer tells, which may carry an error of its own. *listed* is the page
    of the job's list of comparisons that came along, or why it could not be told; None: none came along.
    """

    trouble: Trouble | None
    results: Mapping[ResultKind, ResultPage] = {}
    listed: ComparisonPage | Trouble | None = None


class StatusOutcome(Outcome, frozen=True, kw_only=True):
    """The status of every job asked for, or why it could not be had; *trouble* where the call as a whole failed,
    which every job then has too."""

    jobs: Mapping[str, str | Trouble]
    trouble: Trouble | None
