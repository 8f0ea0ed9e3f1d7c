"""Entries that would get in each other's way: one key twice, or two data-level comparisons of one job."""

from collections.abc import Sequence
from typing import Any

from batcher.manifest.element import NO_VALUE, Fault
from batcher.manifest.seen import Seen

_MEND = "submit them one after the other with --allow-duplicates"


class Duplicates:
    """Remembers the keys and the jobs of the entries so far."""

    def __init__(self) -> None:
        self._keys = Seen()
        self._jobs = Seen()

    def faults(
        self, line: int, scope: tuple[str, str], job_id: Any, key: str | None, *, own_key: bool
    ) -> Sequence[Fault]:
        """What is wrong with the entry in *line*, and remember it.

        *job_id* is that of its data-level comparison, if it asks for one; *own_key* says that it named its key.
        """
        same_job = self._jobs.first_line((scope, job_id), line) if type(job_id) is str else None
        same_key = self._keys.first_line(key, line) if key is not None else None
        if same_job is None and same_key is None:
            return ()
        faults: list[Fault] = []
        if (first := same_job) is not None:
            problem = f"has a data-level comparison in {_there(first)} already, and the second would cancel the first"
            mend = f"Put both into one entry, or {_MEND}"
            faults.append(Fault("job_id", job_id, f"{problem} or be dropped", mend))
        if (first := same_key) is not None:
            if own_key:
                problem = f"is also the key of {_there(first)}"
                faults.append(Fault("key", key, problem, "Give each entry a key of its own"))
            elif not faults:
                problem = f"the entry is the same as {_there(first)}"
                faults.append(Fault(None, NO_VALUE, problem, f"Drop one of them, or {_MEND}"))
        return faults


def _there(line: int) -> str:
    return f"the entry in line {line}" if line else "an earlier entry"
