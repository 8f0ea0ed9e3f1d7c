"""Elements that differ from a sound one only in what can be judged by itself: these are sound, too.

A million entries say much the same: one scope, a handful of ways to compare. What they have in common is judged in full
with the first of them; of the others only what is their own is looked at: job, key, labels, objects. No rule is written
twice for it, and what is not beyond doubt is judged in full.
"""

from collections.abc import Hashable, Mapping

from batcher.manifest.beside import key_problem
from batcher.manifest.element import Usual
from batcher.manifest.entry import NO_LABELS, Entry
from batcher.manifest.rules import is_job_id

_MOST = 4096  # kept; an entry seldom comes back after that many others


class Alike:
    """Knows sound entries by what others may have in common with them. *labels* are those of the defaults."""

    def __init__(self, labels: Mapping[str, str] = NO_LABELS) -> None:
        self._labels = labels
        self._known: dict[Hashable, Entry] = {}

    def learn(self, usual: Usual, entry: Entry) -> None:
        """Remember that *entry*, which was made of *usual*, is sound."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[usual.common] = entry

    def entry_of(self, usual: Usual, index: int, line: int) -> Entry | None:
        """The entry that *usual* makes; None where that takes a closer look. Duplicates are not looked for."""
        like = self._known.get(usual.common)
        if like is None or not is_job_id(usual.job_id):
            return None
        key, labels = usual.key, usual.labels
        if key and key_problem(key):
            return None
        if labels is None:
            labels = like.labels
        elif "" in labels:
            return None
        elif self._labels:
            labels = {**self._labels, **labels}
        return Entry(
            index,
            line,
            like.terms,
            usual.job_id,
            key or None,
            labels,
            usual.infos or like.infos,
            usual.infos_with_token or like.infos_with_token,
        )
