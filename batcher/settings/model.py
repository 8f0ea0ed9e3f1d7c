"""The settings of a run: one field each, under the name that flag, environment and config file share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from batcher.drs.endpoints import region_of_endpoint
from batcher.life.policy import LookFirst, Reconcile
from batcher.rates import Pace, Rate
from batcher.settings.values import (
    CaBundle,
    DeadlineSetting,
    Digest,
    MaxFailuresSetting,
    NotifyUrl,
    OnEnd,
    PaceSetting,
    ProjectId,
    Proxy,
    RunningPer,
    Seconds,
    TimeZone,
)


class RunSettings(BaseModel):
    """Every setting of `batcher run`; durations are seconds. `load` puts one together from all sources.

    What may hold a secret has `repr=False`: it is quoted nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    endpoint: str | None = Field(
        default=None, description="The cloud's DRS endpoint, as a URL; by default the region's."
    )
    region: str | None = Field(
        default=None, description="The cloud's region; gives the endpoint, or, beside one, says whose project is meant."
    )
    project_id: ProjectId | None = Field(default=None, description="Project of entries that name none.")
    rate: PaceSetting = Field(
        default=Rate(5, 1.0),
        description="Create requests allowed in each scope: `5/s`, `600/min`, `1000/h`, `10/5s`; `off` means no "
        "limit of ours, `auto` means to find the cloud's.",
    )
    read_rate: PaceSetting | None = Field(
        default=None, description="Look-ups allowed in each scope; by default the same as `rate`."
    )
    concurrency: int = Field(
        default=16, ge=1, le=1000, description="Requests in flight at once in each scope, 1 to 1000."
    )
    deadline: DeadlineSetting = Field(
        default=None,
        description="Nothing new is sent after it; the rest can be resumed: `30m` from the start, `06:00` in "
        "`timezone`, or a time with its zone.",
    )
    attempts: int = Field(
        default=5, ge=1, le=100, description="Create requests for one entry at most; throttled ones not counted."
    )
    timeout: Seconds = Field(default=60.0, gt=0, description="Time for one attempt, connecting included.")
    connect_timeout: Seconds = Field(default=10.0, gt=0, description="Time for connecting, within `timeout`.")
    entry_deadline: Seconds = Field(
        default=900.0,
        gt=0,
        description="No attempt of an entry begins later than this after its first one. Time in which it only waited "
        "for its scope, which was paused or slow, does not count.",
    )
    landing_time: Seconds = Field(
        default=150.0,
        gt=0,
        description="How long a request without an answer may still take effect in the cloud; only after that "
        "is an entry that is not in the cloud's list sent again.",
    )
    give_up_after: Seconds | None = Field(
        default=3600.0,
        gt=0,
        description="Stop a scope whose cloud has given no sound answer for so long, or has turned every request away; "
        "until then it waits. One whose cloud has not answered once in this run stops within a minute or so, whatever "
        "this says.",
    )
    max_failures: MaxFailuresSetting = Field(
        default=None, description="Stop the wave at so many failed entries: `20`, or `5%` of the manifest."
    )
    language: Literal["en-us", "zh-cn"] | None = Field(
        default=None, description="Language of the cloud's messages; by default the cloud's choice."
    )
    allow_duplicates: bool = Field(
        default=False, description="Submit entries that name the same job, one after the other."
    )
    skip_invalid: bool = Field(default=False, description="Report invalid entries as `invalid` and submit the others.")
    digest: Digest | None = Field(
        default=None, description="Run only the manifest with this digest, as `batcher check` showed it."
    )
    reconcile: Reconcile = Field(
        default=Reconcile.WINDOW,
        description="How an entry in doubt is looked up: `window`, `snapshot` (lists the job's comparisons "
        "before the first attempt as well), `off` (every doubt is unsettled).",
    )
    retry_failed: bool = Field(default=False, description="Take up failed entries of the wave again.")
    restart: bool = Field(
        default=False, description="Begin a new wave and keep the old files aside. Submits everything again."
    )
    look_first: LookFirst = Field(
        default=LookFirst.AUTO,
        description="When a wave is resumed, look entries up before they are sent, as another run may have sent them: "
        "`auto` (the first few; all, where these or a copied folder give reason to), `always` (the newest journal is "
        "lost), `never` (no other run went on with the wave).",
    )
    wait_ready: Seconds = Field(
        default=0.0, ge=0, description="Hold an entry for so long while its job is not ready yet."
    )
    wait: bool = Field(
        default=False, description="Follow what was created to its verdicts; the exit code is then the gate's."
    )
    watch_timeout: Seconds | None = Field(
        default=None, gt=0, description="Stop following after so long; by default when the last comparison ends."
    )
    poll: Seconds = Field(
        default=5.0,
        gt=0,
        description="Shortest time between two looks at one job; long comparisons are looked at "
        "less often, up to 24 times this.",
    )
    allow_inconsistent: Path | None = Field(
        default=None, description="File with accepted differences (CSV or JSON), which the gate lets pass."
    )
    max_running: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Hold entries back while so many comparisons of the wave are running; implies `wait`.",
    )
    max_running_per: RunningPer = Field(
        default=(),
        description="Likewise for entries that share a label's value: `label.source=2`, several with commas between.",
    )
    notify: NotifyUrl | None = Field(
        default=None, repr=False, description="Post a signed JSON summary to this URL at the end."
    )
    on_end: OnEnd | None = Field(
        default=None,
        min_length=1,
        repr=False,
        description="Shell command to run at the end, with the JSON summary on its standard input.",
    )
    grace: Seconds = Field(default=30.0, ge=0, description="Time for what is in flight to be settled after a signal.")
    ca_bundle: CaBundle | None = Field(default=None, description="PEM file with the certificate authorities to trust.")
    proxy: Proxy | None = Field(default=None, repr=False, description="HTTP proxy to go through.")
    insecure_http: bool = Field(default=False, description="Allow endpoints without TLS elsewhere than on loopback.")
    timezone: TimeZone = Field(
        default="local",
        description="Zone of the times that people read and write: `local`, `utc`, or one like `Europe/Berlin`. "
        "Result lines and all other files stay UTC.",
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="How log lines look: for people, or a JSON object each."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important log lines to show."
    )
    quiet: bool = Field(default=False, description="No progress and no summary; warnings and errors only.")

    @property
    def pace(self) -> Pace:
        """The setting `rate` with its type: a limit, `auto` or `off`."""
        return cast("Pace", self.rate)

    @property
    def read_pace(self) -> Pace:
        """`read_rate`, which by default is `rate`."""
        return cast("Pace", self.rate if self.read_rate is None else self.read_rate)

    @property
    def follows(self) -> bool:
        """Whether the run follows what it creates: only who does knows how many comparisons are running."""
        return self.wait or self.max_running is not None or bool(self.max_running_per)

    @model_validator(mode="after")
    def _fits_together(self) -> "RunSettings":
        if misfits := tuple(_misfits(self)):
            text = "; ".join(f"{' and '.join(names)}: {problem}" for names, problem in misfits)
            raise PydanticCustomError("misfit", "{text}", {"text": text, "misfits": misfits})
        return self


def _misfits(settings: RunSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Settings that are each sound but do not go together."""
    if settings.endpoint is not None and settings.region is not None:
        of_endpoint = region_of_endpoint(settings.endpoint.strip().rstrip("/"))
        if of_endpoint is not None and of_endpoint != settings.region.strip().lower():
            yield ("endpoint", "region"), f"the endpoint is that of {of_endpoint}: drop the one you do not mean"
    if settings.connect_timeout > settings.timeout and "connect_timeout" in settings.model_fields_set:
        yield (
            ("connect_timeout", "timeout"),
            "connecting is part of an attempt: make connect_timeout at most timeout",
        )
    if settings.entry_deadline <= settings.landing_time:
        yield (
            ("entry_deadline", "landing_time"),
            "an entry without an answer could never be sent again: make entry_deadline longer than landing_time",
        )
    if settings.look_first is LookFirst.ALWAYS and settings.reconcile is Reconcile.OFF:
        yield ("look_first", "reconcile"), "to look an entry up it has to be allowed to ask: use one of the two"
    if settings.retry_failed and settings.restart:
        yield ("retry_failed", "restart"), "a new wave has no failed entries yet: use one of the two"
