"""Whether the cloud takes a scope's credential, found out by one harmless request."""

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from batcher.drs.auth.access_key import AccessKey
from batcher.drs.auth.explain import TOLERATED_SKEW_S, explain, refusal_text
from batcher.drs.auth.find import CredentialFinder, FoundCredential
from batcher.drs.auth.secret import FileSecret
from batcher.drs.cloud import Cloud, Credential, Refusal
from batcher.drs.outcome import ErrorKind, Fate, Outcome, Trouble
from batcher.durations import rough_duration

NO_JOB = "00000000-0000-0000-0000-0000000jb000"  # a job id that nobody has
_WORTH_SAYING_S = 60.0  # of skew; signatures bear 15 minutes


class Standing(StrEnum):
    """What the cloud says to a credential."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # it could not be asked, or its answer tells nothing


class CheckedCredential(Struct, frozen=True, kw_only=True):
    """One scope's credential, and what the cloud says to it. *credential* is kind and origin.

    *why* says what is wrong and what to do; *remarks* what is not wrong yet. *skew_s* is how many seconds the cloud's
    clock is ahead of ours.
    """

    endpoint: str
    project_id: str
    credential: str
    standing: Standing
    cause: str | None = None
    why: str | None = None
    error_code: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    skew_s: float | None = None
    remarks: tuple[str, ...] = ()


async def check_credential(
    finder: CredentialFinder,
    cloud: Cloud,
    credential: Credential,
    endpoint: str,
    project_id: str,
    job_id: str | None = None,
) -> CheckedCredential:
    """Ask *cloud*, which the *credential* lets in, for the status of one job, *job_id* or one that does not
    exist: nothing is created or changed by that.

    A refused credential is renewed once, as in a wave, and asked with again only if there is a newer one.
    """
    checked = CheckedCredential(
        endpoint=endpoint,
        project_id=project_id,
        credential=credential.describe(),
        standing=Standing.UNKNOWN,
        remarks=tuple(_exposed(finder.look(endpoint, project_id))),
    )
    if (refusal := await cloud.prepare()) is not None:
        return _not_at_hand(checked, refusal)
    outcome = await cloud.job_statuses([job_id or NO_JOB])
    if _refuses(outcome.trouble) and await cloud.renew():
        outcome = await cloud.job_statuses([job_id or NO_JOB])
    if (refusal := await cloud.prepare()) is not None:
        return replace(_not_at_hand(checked, refusal), request_id=outcome.request_id, skew_s=_skew(outcome))
    return _judged(checked, outcome, outcome.trouble)


def _refuses(trouble: Trouble | None) -> bool:
    return trouble is not None and trouble.fate is Fate.NOT_LET_IN and trouble.kind is ErrorKind.AUTH


def _not_at_hand(checked: CheckedCredential, refusal: Refusal) -> CheckedCredential:
    """There is no credential to ask with: none could be had, or it is known to be refused."""
    return replace(
        checked,
        standing=Standing.UNKNOWN if refusal.passing else Standing.REFUSED,
        cause=refusal.cause,
        why=refusal.error_msg,
        error_code=refusal.error_code,
        http_status=refusal.http_status,
    )


def _skew(outcome: Outcome) -> float | None:
    """Seconds by which the cloud's clock is ahead of ours; it counts whole seconds, and travel adds a little."""
    return None if outcome.server_time is None else outcome.server_time - outcome.answered_at


def _judged(checked: CheckedCredential, outcome: Outcome, trouble: Trouble | None) -> CheckedCredential:
    """What the cloud's answer says of the credential: whatever DRS itself says of the job, it was taken."""
    skew_s = _skew(outcome)
    told = replace(
        checked,
        http_status=outcome.http_status,
        request_id=outcome.request_id,
        skew_s=skew_s,
        remarks=(*checked.remarks, *_of_clock(skew_s)),
    )
    if trouble is not None and trouble.fate is Fate.NOT_LET_IN:
        code, msg = trouble.error_code, trouble.error_msg
        found = explain(error_code=code, error_msg=msg, kind=trouble.kind, skew_s=skew_s)
        why = refusal_text(found, code, msg)
        return replace(told, standing=Standing.REFUSED, cause=found.cause, why=why, error_code=code)
    if trouble is None or (trouble.error_code or "").startswith("DRS."):
        return replace(told, standing=Standing.TAKEN)
    said = ": ".join(filter(None, (trouble.error_code, trouble.error_msg)))
    way_out = "" if trouble.kind is ErrorKind.PROTOCOL else ". Look at the endpoint, the network and the proxy"
    why = f"The cloud could not be asked: {said}{way_out}"
    return replace(told, why=why, error_code=trouble.error_code)


def _of_clock(skew_s: float | None) -> Iterator[str]:
    if skew_s is not None and _WORTH_SAYING_S < abs(skew_s) <= TOLERATED_SKEW_S:
        side = "behind" if skew_s > 0 else "ahead of"
        yield f"this machine's clock is {rough_duration(abs(skew_s))} {side} the cloud's: set it"


def _exposed(found: FoundCredential) -> Iterator[str]:
    """The files of a credential that others on this machine can read."""
    parts = found.parts
    sources = parts.sources if isinstance(parts, AccessKey) else (parts.source,)
    for source in sources:
        if isinstance(source, FileSecret) and source.readable_by_others:
            yield f"others on this machine can read {source.path}: chmod 600 {source.path}"
