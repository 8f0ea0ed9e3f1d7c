"""Entries that would get in each other's way: one key twice, or two data-level comparisons of one job.

They are looked for in two ways. `DuplicateFilter` needs little memory and less time, and cannot tell a duplicate from
two entries that look alike to it. Where it stops, the manifest is read once more from its beginning, with
`DuplicateIndex`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import Protocol, TypeVar

from batcher.errors import BatcherError
from batcher.manifest.alike_entries import AlikeEntries
from batcher.manifest.compact_sets import FirstLines, HashSet
from batcher.manifest.entry import DEFAULT_KEY_LENGTH, Entry
from batcher.manifest.formats.element import NO_VALUE, Flaw

Judged = TypeVar("Judged")

_MEND = "submit them one after the other with --allow-duplicates"


class DuplicateFinder(Protocol):
    """Finds the entries that would get in the way of others before them."""

    def flaws(
        self, line: int, scope: tuple[str, str], job_id: str | None, key: str | None, *, own_key: bool
    ) -> Sequence[Flaw]:
        """What is wrong with the entry in *line*, and remember it.

        *job_id* is that of its data-level comparison, if it asks for one; *own_key* says that it named its key.
        """
        ...


def finding_duplicates(walk: Callable[[DuplicateFinder], Iterable[Judged]]) -> Iterator[Judged]:
    """What *walk* gives with a finder that is sure of every duplicate it tells; *walk* may be done twice."""
    done = 0
    try:
        for item in walk(DuplicateFilter()):
            yield item
            done += 1
    except PerhapsDuplicate:
        pass
    else:
        return
    yield from islice(walk(DuplicateIndex()), done, None)


class PerhapsDuplicate(BatcherError):
    """An entry looks like one before it."""


class DuplicateFilter:
    """Stops where there may be a duplicate, by raising `PerhapsDuplicate`.

    Two default keys are the same where scope and body are. Then so are the job, and what is asked of it: it is
    enough to look at jobs, as long as no entry names a key that looks like a default one.
    """

    def __init__(self) -> None:
        self._keys = HashSet()
        self._jobs = HashSet()
        self._default_keys = self._keys_like_them = False

    def flaws(
        self, line: int, scope: tuple[str, str], job_id: str | None, key: str | None, *, own_key: bool
    ) -> Sequence[Flaw]:
        """No flaw, ever: raises `PerhapsDuplicate` where the entry may have one."""
        if job_id is not None and self._jobs.may_be_known((scope, job_id, False)):
            raise PerhapsDuplicate
        if key is not None:
            self._see_key(key)
        return ()

    def look_at(self, entries: Sequence[Entry]) -> None:
        """Look at *entries*, and remember them. Raises `PerhapsDuplicate`."""
        things = [
            (entry.terms.scope, entry.job_id, entry.terms.compare_type is None)
            for entry in entries
            if entry.own_key is None or entry.terms.compare_type is not None
        ]
        if self._jobs.any_may_be_known(things):
            raise PerhapsDuplicate
        for entry in entries:
            if entry.own_key is not None:
                self._see_key(entry.own_key)
            elif not self._default_keys:
                self._default_keys = True
                self._compare_kinds()

    def look_at_alike(self, entries: AlikeEntries) -> None:
        """The same for entries that are alike."""
        scope, no_data_level = entries.terms.scope, entries.terms.compare_type is None
        job_ids = entries.job_ids if entries.own_keys is None or not no_data_level else ()
        if self._jobs.any_may_be_known([*zip(repeat(scope), job_ids, repeat(no_data_level))]):
            raise PerhapsDuplicate
        if entries.own_keys is None and not self._default_keys:
            self._default_keys = True
            self._compare_kinds()
        for key in entries.own_keys or ():
            self._see_key(key)

    def _see_key(self, key: str) -> None:
        if self._keys.may_be_known(key):
            raise PerhapsDuplicate
        if len(key) == DEFAULT_KEY_LENGTH and not self._keys_like_them:
            self._keys_like_them = True
            self._compare_kinds()

    def _compare_kinds(self) -> None:
        if self._default_keys and self._keys_like_them:
            raise PerhapsDuplicate


class DuplicateIndex:
    """Tells duplicates for certain, and in which line the first of them is."""

    def __init__(self) -> None:
        self._keys = FirstLines()
        self._jobs = FirstLines()

    def flaws(
        self, line: int, scope: tuple[str, str], job_id: str | None, key: str | None, *, own_key: bool
    ) -> Sequence[Flaw]:
        """What the entry in *line* has in common with an earlier one, and remember it."""
        same_job = self._jobs.first_line("\0".join((*scope, job_id)), line) if job_id is not None else None
        same_key = self._keys.first_line(key, line) if key is not None else None
        flaws: list[Flaw] = []
        if same_job is not None:
            problem = f"has a data-level comparison in {_there(same_job, line)} already"
            mend = f"Put both into one entry, or {_MEND}"
            what = f"{problem}, and the second would cancel the first or be dropped"
            flaws.append(Flaw("job_id", job_id, what, mend))
        if same_key is not None:
            problem = _there(same_key, line)
            if own_key:
                flaws.append(Flaw("key", key, f"is also the key of {problem}", "Give each entry a key of its own"))
            elif same_job is None:
                flaws.append(
                    Flaw(None, NO_VALUE, f"the entry is the same as {problem}", f"Drop one of them, or {_MEND}")
                )
        return flaws

    def flaws_of(self, entry: Entry) -> Sequence[Flaw]:
        """The same for an *entry* in which nothing else is wrong."""
        job_id = entry.job_id if entry.terms.compare_type is not None else None
        return self.flaws(entry.line, entry.terms.scope, job_id, entry.key, own_key=entry.own_key is not None)


def _there(first: int, line: int) -> str:
    return f"the entry in line {first}" if first != line else "an earlier entry in this line"
