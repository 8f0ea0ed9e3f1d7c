"""The nearest known word to one that is not known, for errors that end in a way out."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* was probably meant to be; None where none is near."""
    from difflib import get_close_matches

    by_folded = {_fold(name): name for name in known}
    found = get_close_matches(_fold(word), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
