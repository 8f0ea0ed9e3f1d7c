"""Choosing entries by their labels."""

from collections.abc import Mapping, Sequence

from msgspec import Struct


class LabelFilter(Struct, frozen=True):
    """Which entries are meant, by their labels: of each name in *wanted* one of its values. An empty one means all."""

    wanted: Mapping[str, frozenset[str]] = {}

    @classmethod
    def parse(cls, texts: Sequence[str]) -> "LabelFilter":
        """The filter that texts such as `team=pay` name. Raises `ValueError`, whose text is the mend."""
        wanted: dict[str, frozenset[str]] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            name = name.strip()
            if not name or not equals:
                raise ValueError(f"{text!r} is no label: write NAME=VALUE, such as team=pay.")
            wanted[name] = wanted.get(name, frozenset()) | {value.strip()}
        return cls(wanted)

    def __bool__(self) -> bool:
        return bool(self.wanted)

    def __str__(self) -> str:
        """For people: `team=pay|shop, tier=1`."""
        return ", ".join(f"{name}={'|'.join(sorted(values))}" for name, values in self.wanted.items())

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether an entry with *labels* is meant."""
        return all(labels.get(name) in values for name, values in self.wanted.items())


ANY_LABELS = LabelFilter()
"""Means every entry."""
