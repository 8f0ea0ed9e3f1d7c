"""The nearest known word to one that is not known, for errors that end in a way out."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *word* was probably meant to be; None where none is near."""
    from difflib import get_close_matches

    by_folded = {_fold(name): name for name in known}
    folded = _fold(word)
    found = get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    if not found and len(folded) >= 3:
        found = [name for name in by_folded if name.startswith(folded)]
    return by_folded[found[0]] if len(found) == 1 else None


def _fold(word: str) -> str:
    return word.lower().replace("-", "_")
