"""Why a verdict is not `consistent`, in words for people."""

from collections.abc import Sequence

from batcher.follow.new_verdict import ConcludedComparison
from batcher.follow.verdict import Counts, Difference, HalfVerdict, Verdict
from batcher.life.result import Status
from batcher.text import counted, printable

_NAMED = 3  # differences that a reason names
_CONSISTENT = Verdict.CONSISTENT  # Python looks for a member anew at each mention


def of_half(
    verdict: Verdict,
    status: str | None,
    counts: Counts | None,
    differences: Sequence[Difference],
    unit: str,
    *,
    complete: bool,
) -> str | None:
    """The reason for the *verdict* on one comparison; None where it is consistent. *unit* is what was counted."""
    if verdict is _CONSISTENT:
        return None
    match verdict:
        case Verdict.TIMEOUT:
            said = "the cloud broke it off at its time limit: compare fewer tables at once, or when less is going on"
        case Verdict.CANCELLED:
            said = (
                "cancelled by someone else: in the console, or by a newer comparison of the job under "
                "conflict_policy cancel"
            )
        case Verdict.FAILED if status == "FAILED":
            said = "the comparison failed"
        case _:
            said = _parts(counts, unit)
    if differences and verdict in (Verdict.INCONSISTENT, Verdict.FAILED, Verdict.UNKNOWN):
        said += f": {named(differences)}"
    if status not in ("SUCCESSFUL", "FAILED") and verdict is Verdict.INCONSISTENT:
        said += f"; it ended as {status} and may not have seen all"
    return said if complete or counts is None else f"{said}; not all of its results could be read"


def label_of(half: HalfVerdict | ConcludedComparison) -> str:
    """What was compared, in a word."""
    match half.compare_type:
        case "lines":
            return "rows"
        case "contents":
            return "values"
        case None:
            return "data"
        case _:
            return "objects"


def _parts(counts: Counts | None, unit: str) -> str:
    if counts is None:
        return "the cloud told no results"
    if not counts.compared:
        return f"it compared no {unit}s"
    whole = counted(counts.compared, unit)
    said = [
        f"{count:,} of {whole} {what}"
        for count, what in (
            (counts.inconsistent, "differ" if counts.inconsistent > 1 else "differs"),
            (counts.failed_to_compare, "failed to compare"),
            (counts.cannot_be_compared, "could not be compared"),
        )
        if count
    ]
    return ", ".join(said) or f"{whole} compared"


def named(differences: Sequence[Difference], limit: int = _NAMED) -> str:
    """The first of *differences* by name, and how many more there are."""
    shown = ", ".join(name_of(difference) for difference in differences[:limit])
    more = len(differences) - limit
    return f"{shown} and {more:,} more" if more > 0 else shown


def name_of(difference: Difference) -> str:
    """One difference in a few words: "shop.orders (1,000 rows at the source, 998 at the target)"."""
    name = printable(".".join(filter(None, [difference.place, difference.name])), 120)
    if difference.table is None:
        name = f"{difference.object_type} {name}".rstrip()
    if difference.source_value and not difference.target_value:
        return f"{name} (missing at the target)"
    if difference.target_value and not difference.source_value:
        return f"{name} (missing at the source)"
    if difference.result not in ("INCONSISTENT", ""):
        why = printable(difference.message or difference.result, 80)
        return f"{name} ({why})"
    return f"{name} ({_sides(difference)})" if difference.source_count is not None else name


def _sides(difference: Difference) -> str:
    if difference.source_count == difference.target_count and difference.diff_count:
        return f"{counted(difference.diff_count, 'row')} of {difference.source_count:,} differ"
    target = "?" if difference.target_count is None else f"{difference.target_count:,}"
    return f"{difference.source_count:,} at the source, {target} at the target"


def not_created(error_code: str | None, error_msg: str | None) -> str:
    """The reason of a verdict on a half of an entry that the cloud refused."""
    return f"it was not created: {printable(error_msg or error_code or 'refused', 300)}"


def nothing_created(status: Status, error_msg: str | None) -> str:
    """The reason of a verdict on an entry without any comparison."""
    said = printable(error_msg, 300) if error_msg else "see its result"
    return f"nothing was created ({status.value.replace('_', ' ')}): {said}"


def not_ended(status: str | None, stopped: str | None) -> str:
    """The reason of a verdict on a comparison that had not ended when the watch did."""
    return f"{'not looked at yet' if status is None else f'still {status}'} when the watch ended: {stopped}"


GONE = (
    "the job's list has it no more: someone deleted it or its job, or it is older than the 60 days for which the "
    "cloud keeps results"
)


def job_gone(error_msg: str | None) -> str:
    """The reason of a verdict on the comparisons of a job that is not there."""
    return f"its job is gone: {printable(error_msg or 'the cloud knows no such job', 300)}"


def unreadable(error_msg: str | None) -> str:
    """The reason of a verdict on a comparison whose results the cloud would not tell."""
    return f"its results could not be read: {printable(error_msg or 'the cloud told none', 300)}"
