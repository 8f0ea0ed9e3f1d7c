"""Elements that differ from a sound one only in what can be judged by itself: these are sound, too.

A million entries say much the same: one scope, a handful of ways to compare. What they have in common is judged in full
with the first of them; of the others only what is their own is looked at: job, key, labels, objects. No rule is written
twice for it, and what is not beyond doubt is judged in full.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import cast

from batcher.manifest.alike_entries import AlikeEntries
from batcher.manifest.damage import ExpectedText, damage_of, surely_plain, surely_sound
from batcher.manifest.entry import NO_LABELS, Entry
from batcher.manifest.envelope import LONGEST_KEY, is_key
from batcher.manifest.formats.element import AlikeBatch, AlikeTexts, RegularElement
from batcher.manifest.rules import is_job_id

_MOST = 4096  # kept; an entry seldom comes back after that many others
_LONG = 64  # characters of a label's value; a longer one is looked at each time, as it would fill the memory


class EntryTemplates:
    """Knows sound entries by what others may have in common with them. *labels* are those of the defaults."""

    def __init__(self, labels: Mapping[str, str] = NO_LABELS) -> None:
        self._labels = labels
        self._known: dict[Hashable, Entry] = {}
        self._sound: set[str] = set()  # values of labels

    def learn(self, regular: RegularElement, entry: Entry) -> None:
        """Remember that *entry*, which was made of *regular*, is sound."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[regular.common] = entry

    def entry_of(self, regular: RegularElement, index: int, line: int, *, plain: bool) -> Entry | None:
        """The entry that *regular* makes; None where that takes a closer look. Duplicates are not looked for.

        *plain* says that job and key are surely ids without damage.
        """
        like = self._known.get(regular.common)
        if like is None:
            return None
        key, labels = regular.key, regular.labels
        if plain:
            if key and len(key) > LONGEST_KEY:
                return None
        elif not is_job_id(regular.job_id) or damage_of(regular.job_id, ExpectedText.ID) or (key and not is_key(key)):
            return None
        texts = like.labels if labels is None else self._labels_of(labels)
        if texts is None:
            return None
        return Entry(
            index,
            line,
            like.terms,
            regular.job_id,
            key or None,
            texts,
            regular.infos or like.infos,
            regular.infos_with_token or like.infos_with_token,
        )

    def entries_of(self, batch: AlikeBatch) -> AlikeEntries | None:
        """The entries that the elements of *batch* make; None where one takes a closer look. Duplicates are not looked
        for."""
        texts = batch.texts
        like, keys = self._known.get(texts.like.common), texts.keys
        if like is None or not surely_plain(texts.job_ids) or not (keys is None or _are_keys(keys)):
            return None
        labels = self._many_labels(texts, like)
        if labels is None:
            return None
        with_token = texts.like.infos_with_token or like.infos_with_token
        return AlikeEntries(
            batch.index, batch.lines, like.terms, texts.job_ids, keys, labels, texts.objects, like.infos, with_token
        )

    def _many_labels(self, texts: AlikeTexts, like: Entry) -> Sequence[Mapping[str, str]] | None:
        """The labels of each of many elements; None where one takes a closer look."""
        own = texts.like.labels
        if texts.labels is None or own is None:
            all_alike = like.labels if own is None else self._labels_of(own)
            return None if all_alike is None else [all_alike] * len(texts.job_ids)
        made = {values: self._labels_of(dict(zip(own, values, strict=True))) for values in set(texts.labels)}
        labels = [made[values] for values in texts.labels]
        return None if None in made.values() else cast("list[Mapping[str, str]]", labels)

    def _labels_of(self, own: Mapping[str, str | None]) -> Mapping[str, str] | None:
        """The labels of an element that has its *own*; None where they take a closer look."""
        labels = {**self._labels, **own} if self._labels else own
        if "" in labels:
            return None
        if self._sound.issuperset(labels.values()):
            return cast("Mapping[str, str]", labels)
        known = {name: value for name, value in labels.items() if value is not None}
        return known if self._are_sound(known.values()) else None

    def _are_sound(self, values: Collection[str]) -> bool:
        """Whether *values* of labels are as they were meant; those that are will be known again."""
        if not surely_sound(values) and any(damage_of(value, ExpectedText.LABEL) for value in values):
            return False
        if len(self._sound) >= _MOST:
            self._sound.clear()
        self._sound.update(value for value in values if len(value) <= _LONG)
        return True


def _are_keys(texts: Collection[str]) -> bool:
    """Whether all *texts* can be the keys of entries."""
    return (surely_plain(texts) and max(map(len, texts)) <= LONGEST_KEY) or all(map(is_key, texts))
