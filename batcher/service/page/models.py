"""What goes over the wire for the page beside what the contract names: a check, requests, causes, and the pace."""

from typing import Any

from pydantic import ConfigDict, Field

from batcher.life.result import Status, Timestamp
from batcher.service.models import LONGEST_NAME, MOST_AT_ONCE, Wire


class CheckManifest(Wire):
    """Parameters of a check, beside the settings of `batcher run`."""

    profile: str | None = Field(
        default=None,
        max_length=LONGEST_NAME,
        description="Profile of the service's own configuration to check it with.",
    )
    after: int = Field(default=0, ge=0, le=1 << 30, description="Show no requests of so many entries at the beginning.")
    limit: int = Field(default=20, ge=0, le=MOST_AT_ONCE, description="Show at most so many requests.")


class ReadRequests(Wire):
    """Which requests of a wave to show."""

    after: int = Field(default=0, ge=0, le=1 << 30, description="Leave out so many entries at the beginning.")
    limit: int = Field(default=20, ge=1, le=MOST_AT_ONCE, description="At most so many.")


class RequestModel(Wire):
    """The create request of an entry, exactly as it is sent, without the credential."""

    model_config = ConfigDict(title="Request", extra="forbid", frozen=True)

    index: int = Field(description="0-based place in the manifest.")
    line: int = Field(description="1-based line of the manifest.")
    key: str
    endpoint: str
    project_id: str | None = Field(description="Null until IAM has named it.")
    body: dict[str, Any] = Field(description="The request's body.")


class RequestsPage(Wire):
    """A page of a wave's requests."""

    requests: list[RequestModel]
    next: int | None = Field(description="`after` of the next page; null: this is the last.")


class CheckedScope(Wire):
    """How many entries a manifest has in a scope."""

    endpoint: str
    project_id: str | None = Field(description="Null until IAM has named it.")
    entries: int


class CheckedModel(Wire):
    """What a sound manifest would do."""

    model_config = ConfigDict(title="Checked", extra="forbid", frozen=True)

    digest: str = Field(description="`sha256:…` of the manifest's bytes: give it as `digest` when handing it in.")
    entries: int
    scopes: list[CheckedScope]
    rate: str = Field(description="The pace that it would be sent at, in each scope.")
    requests: list[RequestModel]
    next: int | None = Field(description="`after` of the next requests; null: these are the last.")


class CauseModel(Wire):
    """Entries with the same trouble."""

    model_config = ConfigDict(title="Cause", extra="forbid", frozen=True)

    status: Status
    error_kind: str | None
    error_code: str | None
    error_msg: str | None = Field(description="What was said of the first of them.")
    count: int
    example: int = Field(description="Index of the first of them.")
    key: str = Field(description="Its key.")
    job_id: str | None = Field(description="Its job.")


class CausesModel(Wire):
    """All trouble of a wave by its cause, the most frequent first."""

    model_config = ConfigDict(title="Causes", extra="forbid", frozen=True)

    causes: list[CauseModel]


class BarModel(Wire):
    """Create requests that left in one stretch of time."""

    model_config = ConfigDict(title="Bar", extra="forbid", frozen=True)

    at: Timestamp = Field(description="When the stretch begins.")
    first: int = Field(description="First requests of entries.")
    retry: int = Field(description="Further ones.")
    throttled: int = Field(description="Those that the cloud turned away.")


class PaceModel(Wire):
    """The pace of a wave over time."""

    model_config = ConfigDict(title="Pace", extra="forbid", frozen=True)

    width_s: int | None = Field(description="Seconds of each bar; null: nothing was sent yet.")
    bars: list[BarModel]
