"""A verdict that was just reached, and its line: what a `VerdictLine` says, in its order, at a fifth of the cost."""

from collections.abc import Mapping
from typing import Any

import msgspec

from batcher.follow.verdict import Counts, Difference, Verdict
from batcher.life.result import Status


class ConcludedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What one comparison came to: a `HalfVerdict`, with its times as they are written."""

    compare_task_id: str | None
    compare_type: str | None
    compare_task_status: str | None
    verdict: Verdict
    counts: Counts | None
    differences: tuple[Difference, ...]
    complete: bool
    reason: str | None
    started_at: str | None
    ended_at: str | None


class NewVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a `VerdictLine` holds of an entry, with its times as they are written."""

    key: str
    index: int
    job_id: str | None
    project_id: str | None
    endpoint: str | None
    status: Status
    verdict: Verdict
    final: bool
    object_level_compare_result: ConcludedComparison | None
    data_level_compare_result: ConcludedComparison | None
    reason: str | None
    decided_at: str
    labels: Mapping[str, str]

    def to_line(self) -> bytes:
        """The line as written, newline included."""
        return _encode(self) + b"\n"


def fields_of(value: Any) -> dict[str, Any]:
    """What the encoders of msgspec make of the models in a verdict: their fields, which are plain values."""
    if isinstance(value, (Counts, Difference)):
        return value.__dict__
    raise TypeError(f"a verdict has no {type(value).__name__}")


def model_of(kind: type, told: Any) -> Counts | Difference:
    """The inverse, for decoders."""
    if kind is Counts or kind is Difference:
        return kind(**told)
    raise TypeError(f"a verdict has no {kind.__name__}")


_encode = msgspec.json.Encoder(enc_hook=fields_of).encode
