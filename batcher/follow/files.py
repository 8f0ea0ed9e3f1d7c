"""The names of the files that a following writes."""

from pathlib import Path

from batcher.journal.files import followed

_SUFFIX = ".verdicts.jsonl"


def verdicts_beside(results: Path) -> Path:
    """Where the verdicts on the entries of *results* stand: `wave.jsonl` has them in `wave.verdicts.jsonl`."""
    results = followed(results)
    name = results.name.removesuffix(".jsonl")
    return results.with_name(f"{name}{_SUFFIX}")


def is_verdicts(path: Path) -> bool:
    """Whether *path* has the name of a verdicts file: `wave*.jsonl` in a shell catches those as well."""
    return path.name.endswith(_SUFFIX)
