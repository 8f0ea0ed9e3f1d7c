"""Files of ours that are no manifest, told by their first element."""

from collections.abc import Iterable, Iterator
from typing import Any

from batcher.manifest.errors import ManifestError
from batcher.manifest.formats.element import Batch

_ASKS = {"object_level_compare_type", "data_level_compare_info"}
_RESULT = {"index", "status", "attempts", "recovered"}
_VERDICT = {"verdict", "final", "index"}
_FLEET = {"exists", "status", "becomes", "children", "parent_id", "ends", "runs", "existing"}
_DIFFERENCE = {"database", "table", "reason", "expires"}


def refuse_other_files(name: str, items: Iterable[Any]) -> Iterator[Any]:
    """*items* as they are. Raises `ManifestError` where the first element is of another file of ours."""
    looked = False
    for item in items:
        if not looked and isinstance(item, Batch) and item.lines:
            looked = True
            if item.regular[0] is None and (other := _other(item.element(0).data)):
                raise ManifestError(name, *other, line=item.lines[0])
        yield item


def _other(data: Any) -> tuple[str, str] | None:
    names = set(data) if type(data) is dict else set()
    if names & _ASKS:
        return None
    if names >= _RESULT:
        mend = "Write the manifest of those to do again: batcher select RESULTS.jsonl --status failed -o NEXT.jsonl"
        return "this is a file of results, not a manifest", mend
    if names >= _VERDICT:
        return (
            "this is a file of verdicts, not a manifest",
            "Name the manifest, or select from it: batcher select --recheck",
        )
    if "job_id" in names and names & _FLEET:
        mend = "It is for batcher simulate --jobs; name the manifest"
        return "this is the fleet of a simulation, not a manifest", mend
    if names and names <= {"job_id", *_DIFFERENCE} and "expires" in names:
        return "this is a file of accepted differences, not a manifest", "It is for batcher gate --allow-inconsistent"
    return None
