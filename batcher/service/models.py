"""What goes over the wire: the models that validate requests, and those that the OpenAPI document is made from."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from batcher.follow.verdict import Verdict
from batcher.life.result import Status, Timestamp

LONGEST_NAME = 200
MOST_AT_ONCE = 500


class State(StrEnum):
    """Where a wave stands."""

    HELD = "held"  # accepted; not let go yet: it waits for an approval, or to be started
    QUEUED = "queued"  # it is run as soon as there is room for it
    RUNNING = "running"
    PAUSED = "paused"  # by somebody, until `resume`
    STOPPING = "stopping"  # nothing new is sent, what is in flight is settled
    STOPPED = "stopped"  # it ended before its last entry was settled; `start` goes on with it
    ENDED = "ended"  # every entry has its result


class Wire(BaseModel):
    """Base of all that goes over the wire."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- what is asked --------------------------------------------------------------------------------------


class NewWave(Wire):
    """Parameters of a new wave, beside the settings of `batcher run`."""

    name: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_NAME, description="What people call it; by default its digest."
    )
    priority: int = Field(default=0, ge=-100, le=100, description="Waves with a higher one go first.")
    start: bool = Field(default=True, description="Run it as soon as may be; `false` holds it until `start`.")
    profile: str | None = Field(
        default=None, max_length=LONGEST_NAME, description="Profile of the service's own configuration to run it with."
    )


class ListWaves(Wire):
    """Which waves to list: the newest first."""

    state: State | None = Field(default=None, description="Only those in this state.")
    limit: int = Field(default=50, ge=1, le=MOST_AT_ONCE, description="At most so many.")
    after: str | None = Field(default=None, pattern="^[0-9]{1,18}$", description="`next` of the page before.")


class ReadLines(Wire):
    """From which line on to read."""

    after: int = Field(default=0, ge=0, le=1 << 40, description="Leave out so many lines from the beginning.")
    follow: bool = Field(default=False, description="Go on with each further line until the wave has ended.")


class ListEntries(Wire):
    """Which entries to list."""

    status: str | None = Field(
        default=None, max_length=200, description="Statuses, with commas between; `open` has no result yet."
    )
    verdict: str | None = Field(
        default=None, max_length=200, description="Verdicts, with commas between; `none` has no verdict yet."
    )
    q: str | None = Field(default=None, max_length=200, description="Part of the key or of the job's id.")
    error_code: str | None = Field(default=None, max_length=400, description="Error codes, with commas between.")
    error_kind: str | None = Field(default=None, max_length=200, description="Kinds of error, with commas between.")
    label: dict[str, str] = Field(default_factory=dict, description="Labels: `label.NAME=VALUE`.")
    sort: Literal[
        "index", "key", "job_id", "status", "verdict", "error_code", "attempts", "finished_at",
        "-index", "-key", "-job_id", "-status", "-verdict", "-error_code", "-attempts", "-finished_at",
    ] = Field(default="index", description="Order; with `-` in front the other way round.")  # fmt: skip
    limit: int = Field(default=100, ge=1, le=MOST_AT_ONCE, description="At most so many.")
    after: str | None = Field(default=None, max_length=2000, description="`next` of the page before.")


class ReadGate(Wire):
    """How much of the gate's ruling."""

    limit: int | None = Field(
        default=None,
        ge=1,
        le=MOST_AT_ONCE,
        description="At most so many of those in the way, and of what was accepted; `left_out` counts the others.",
    )


class ReadReport(Wire):
    """Which form the report has."""

    format: Literal["html", "json", "csv", "md"] = Field(default="html", description="How it is written.")


class ReadAudit(Wire):
    """Which part of the record of who did what."""

    after: int = Field(default=0, ge=0, le=1 << 40, description="Sequence number of the last line that is known.")
    before: int | None = Field(
        default=None,
        ge=0,
        le=1 << 40,
        description="Instead of `after`: the newest first, those before this sequence number; 0: from the newest on.",
    )
    wave: str | None = Field(default=None, max_length=40, description="Only what was done to this wave.")
    who: str | None = Field(default=None, max_length=200, description="Only what this one did.")
    limit: int = Field(default=100, ge=1, le=MOST_AT_ONCE, description="At most so many.")


class Change(Wire):
    """What to change of a wave; what is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"minProperties": 1})

    rate: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="As `--rate` of `batcher run`.")
    read_rate: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="As `--read-rate`.")
    concurrency: int | None = Field(default=None, ge=1, le=1000, description="As `--concurrency`.")
    priority: int | None = Field(default=None, ge=-100, le=100, description="Waves with a higher one go first.")

    @model_validator(mode="after")
    def _changes_something(self) -> "Change":
        if all(getattr(self, name) is None for name in self.model_fields_set):
            raise ValueError("changes nothing; give rate, read_rate, concurrency or priority")
        return self


class Approval(Wire):
    """What is approved: exactly the manifest with this digest."""

    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="The wave's digest, as whoever approves saw it.")


class SettleRequest(Wire):
    """The operator's word on an unsettled entry."""

    ruling: str = Field(
        alias="as",
        min_length=1,
        max_length=500,
        description="`created=TASK_ID`, `object=…,data=…`, `failed` or `retry`, as `batcher settle --as` has it; "
        "`undo` takes the last one back.",
    )


class LogIn(Wire):
    """What opens a session."""

    token: str = Field(min_length=1, max_length=512, description="The token, as `batcher token new` showed it.")


# --- what is answered -----------------------------------------------------------------------------------


class ScopeOfWave(Wire):
    """One scope of a wave."""

    endpoint: str
    project_id: str | None = Field(description="Null until IAM has named it.")
    entries: int
    settled: int = Field(description="Entries with a result that stays.")
    in_flight: int = Field(description="Requests on their way.")
    rate: str | None = Field(description="The pace in force; null while the wave does not run.")
    paused_until_s: float | None = Field(description="Seconds until it sends again; null: it is not paused.")
    reason: str | None = Field(description="Why it is paused or was stopped, for people.")


class WaveModel(Wire):
    """A wave, and where it stands."""

    model_config = ConfigDict(title="Wave", extra="forbid", frozen=True)

    id: str
    name: str
    state: State
    entries: int
    counts: Mapping[Status, int] = Field(description="Entries by the status of their result; open ones have none.")
    verdicts: Mapping[Verdict, int] = Field(description="Entries by their verdict, where the wave is followed.")
    digest: str = Field(description="`sha256:…` of the manifest's bytes, as `batcher check` shows it.")
    priority: int
    submitted_by: str
    approved_by: str | None
    needs_approval: bool = Field(description="It waits until somebody else than its submitter approves it.")
    created_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    rate_per_s: float = Field(description="Create requests a second over the last few seconds.")
    eta_s: float | None = Field(description="Seconds until its end at the present pace; null: not known.")
    exit_code: int | None = Field(description="What `batcher run` would have ended with; null: it has not ended.")
    reason: str | None = Field(description="Why it is paused, stopped or waits, for people.")
    scopes: tuple[ScopeOfWave, ...]


class WavesPage(Wire):
    """A page of the waves."""

    waves: list[WaveModel]
    next: str | None = Field(description="`after` of the next page; null: this is the last.")


class EntryModel(Wire):
    """An entry as it stands."""

    model_config = ConfigDict(title="Entry", extra="forbid", frozen=True)

    index: int = Field(description="0-based place in the manifest.")
    key: str
    job_id: str | None
    project_id: str | None
    endpoint: str | None
    status: Status | None = Field(description="Null: it has no result yet.")
    verdict: Verdict | None = Field(description="Null: it has none yet.")
    attempts: int
    error_kind: str | None
    error_code: str | None
    error_msg: str | None
    finished_at: str | None
    labels: Mapping[str, str]


class EntriesPage(Wire):
    """A page of a wave's entries."""

    entries: list[EntryModel]
    next: str | None = Field(description="`after` of the next page; null: this is the last.")
    total: int = Field(description="How many entries there are of those that were asked for.")


class ScopeModel(Wire):
    """A scope over all waves."""

    model_config = ConfigDict(title="Scope", extra="forbid", frozen=True)

    endpoint: str
    project_id: str | None
    rate: str = Field(description="The pace in force.")
    limit: str = Field(description="The limit that the service's settings give it.")
    in_flight: int
    paused_until_s: float | None
    reason: str | None
    waves: list[str] = Field(description="Ids of the waves that run in it.")
    worker: str | None = Field(description="Id of the worker that has it; null: nobody has it.")


class ScopesModel(Wire):
    """All scopes in use."""

    model_config = ConfigDict(title="Scopes", extra="forbid", frozen=True)

    scopes: list[ScopeModel]


class HeldScopeModel(Wire):
    """A scope that a worker has."""

    model_config = ConfigDict(title="HeldScope", extra="forbid", frozen=True)

    endpoint: str
    project_id: str | None
    epoch: int | None = Field(description="Grows each time that the scope is taken; null: nobody else could take it.")
    lease_left_s: float | None = Field(description="Seconds until others may take it, unless the lease is renewed.")


class RefusedScopeModel(Wire):
    """A scope that a worker cannot take."""

    model_config = ConfigDict(title="RefusedScope", extra="forbid", frozen=True)

    endpoint: str
    project_id: str
    why: str = Field(description="What it lacks, for people.")


class WorkerModel(Wire):
    """A process that runs waves."""

    model_config = ConfigDict(title="Worker", extra="forbid", frozen=True)

    id: str
    host: str
    pid: int
    version: str | None = Field(description="Of batcher; null: it did not say.")
    started_at: Timestamp
    seen_at: Timestamp = Field(description="When it was last heard of.")
    lanes: int | None = Field(description="How many scopes it runs at once, at most; null: there is no bound.")
    waves: list[str] = Field(description="Ids of the waves that it runs.")
    scopes: list[HeldScopeModel] = Field(description="The scopes that it has.")
    refuses: list[RefusedScopeModel] = Field(description="The scopes that it cannot take.")


class WorkersModel(Wire):
    """The workers of the service."""

    model_config = ConfigDict(title="Workers", extra="forbid", frozen=True)

    workers: list[WorkerModel]


class AuditPage(Wire):
    """Part of the record of who did what."""

    lines: list[Any]
    next: int | None = Field(description="`after`, or `before`, of the next page; null: this is the last.")


class Session(Wire):
    """Who a browser is logged in as."""

    name: str
    role: str
    csrf: str | None = Field(description="For the header `X-Batcher-CSRF` of what changes something; null: not needed.")


class Health(Wire):
    """How the service is."""

    status: str
    version: str
    problems: list[str] = Field(description="Why it is not ready, for people.")


class StepModel(BaseModel):
    """One thing that was done for an entry, as `batcher explain --json` has it."""

    model_config = ConfigDict(title="Step")

    at: str
    what: str
    attempt: int | None
    http_status: int | None
    error_code: str | None
    request_id: str | None
    told: str
    decided: str


class Explained(BaseModel):
    """An entry with every attempt, as `batcher explain --json` has it."""

    index: int
    manifest: str | None = None
    result: dict[str, Any] | None = Field(description="Its result line; null: none yet.")
    key: str | None = None
    line: int | None = None
    job_id: str | None = None
    project_id: str | None = None
    endpoint: str | None = None
    request: dict[str, Any] | None = Field(default=None, description="The request's body, as it is sent.")
    steps: list[StepModel]


class FindingModel(BaseModel):
    """One thing wrong with a manifest, a setting, a parameter or a body."""

    model_config = ConfigDict(title="Finding")

    index: int | None = Field(description="0-based place of the entry; null: it is about the whole.")
    line: int | None = Field(description="1-based line of the manifest.")
    column: int | None = Field(description="1-based column, where it is known.")
    field: str | None = Field(description="Dotted path in the API's names, a CSV header, or a parameter.")
    value: str | None = Field(description="The offending value as text, shortened.")
    problem: str
    mend: str


class ProblemModel(BaseModel):
    """What went wrong: RFC 9457 problem details."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str = Field(description="For people: what is wrong, and the way out.")
    findings: list[FindingModel] | None = Field(default=None, description="With 422: everything that is wrong.")
    count: int | None = Field(default=None, description="With 422: how many findings there are.")
    sound: int | None = Field(default=None, description="With 422 on a manifest: how many entries have no finding.")
