"""The gate over results files: what `batcher gate` says, for programs."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from batcher.clock import utc_now
from batcher.gate.accepted import read_acceptances
from batcher.gate.result import GateResult, evaluate
from batcher.gate.wave_entries import entries_of


def evaluate_gate(
    *results: str | os.PathLike[str],
    allow_inconsistent: str | os.PathLike[str] | None = None,
    journal: str | os.PathLike[str] | None = None,
    entries: Mapping[str | os.PathLike[str], int] | None = None,
    today: date | None = None,
) -> GateResult:
    """What the gate says of the waves whose *results* files are named, from the verdicts beside them. Asks no cloud.

    *allow_inconsistent* names the file of accepted differences, which hold through the day they expire: *today*, by
    default the day it is in UTC. *journal* is that of a single wave, where it is not beside its results. *entries* says
    how many entries a wave has, by its file, where neither journal nor lines tell. A rerun's verdict replaces the
    earlier one of the same key.

    Raises `UserError` where a file cannot be read, or files contradict each other, and `ValueError` without any file.
    """
    if not results:
        raise ValueError("evaluate_gate() needs at least one results file")
    files = list(dict.fromkeys(Path(path) for path in results))
    read = entries_of(
        files,
        journal=None if journal is None else Path(journal),
        entries={Path(path): count for path, count in (entries or {}).items()},
    )
    acceptances = () if allow_inconsistent is None else read_acceptances(Path(allow_inconsistent))
    return evaluate(read, acceptances, utc_now().date() if today is None else today)
