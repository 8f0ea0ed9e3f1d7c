"""What a discovery hands over: the manifest, or one for each part of jobs with many tables, and the report."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import orjson

from batcher.discover.choice import GUESS_SAID, ChosenComparisons, Guess
from batcher.discover.discovery import DiscoveredProject
from batcher.discover.selection import LeftOut
from batcher.manifest.entry import Entry
from batcher.manifest.write import ManifestLine

REPORT_FIELDS = (
    *("endpoint", "project_id", "job_id", "job_name", "kind", "engine", "direction", "status", "parent_id"),
    *("outcome", "reason", "why", "entries", "tables", "objects_from", "guesses"),
)


def manifests(found: Iterable[DiscoveredProject]) -> list[list[ManifestLine]]:
    """The lines of each part, sorted by project and job: two discoveries differ only where the fleet does.

    The first has an entry of every job that is compared; a job with more parts goes on in the following ones, since
    only one data comparison of a job may be unfinished at a time.
    """
    parts: list[list[ManifestLine]] = [[]]
    for project in sorted(found, key=lambda one: (one.endpoint, one.project_id)):
        for _, chosen in sorted(project.chosen, key=lambda one: one[0].id):
            for number, body in enumerate(chosen.bodies):
                if number == len(parts):
                    parts.append([])
                parts[number].append(_line(project, body, chosen, number))
    return parts


def _line(project: DiscoveredProject, body: Mapping[str, Any], chosen: ChosenComparisons, number: int) -> ManifestLine:
    labels = dict(chosen.labels)
    if len(chosen.bodies) > 1:
        labels["part"] = f"{number + 1} of {len(chosen.bodies)}"
    # What cannot be sent is a defect, not an entry.
    entry = Entry.of_body(body, endpoint=project.endpoint, project_id=project.project_id, labels=labels)
    return ManifestLine.of(entry)


def entries(parts: Iterable[Iterable[ManifestLine]]) -> Iterator[Entry]:
    """The entries that the lines of all *parts* read back as."""
    for line in chain.from_iterable(parts):
        yield Entry.of_body(line.body, endpoint=line.endpoint, project_id=line.project_id, labels=line.labels)


def part_path(path: Path, number: int) -> Path:
    """Where part *number* (from 0) of the manifest at *path* goes: `wave.csv`, `wave.part-2.csv`, …"""
    return path if number == 0 else path.with_name(f"{path.stem}.part-{number + 1}{path.suffix}")


def report_rows(found: Iterable[DiscoveredProject]) -> Iterator[dict[str, Any]]:
    """One row a job that was listed, the written ones too, so that anybody can count; and one a project in trouble."""
    for project in sorted(found, key=lambda one: (one.endpoint, one.project_id)):
        if project.trouble is not None:
            yield _row(project) | {"outcome": "not_seen", "reason": "trouble", "why": trouble_said(project)}
        for one in sorted(project.jobs, key=lambda one: one.job.id):
            job, ending = one.job, one.ending
            row = _row(project) | {
                "job_id": job.id,
                "job_name": job.name or None,
                "kind": job.kind or None,
                "engine": job.engine or None,
                "direction": job.direction or None,
                "status": job.status or None,
                "parent_id": job.parent_id,
            }
            match ending:
                case LeftOut(reason, why):
                    yield row | {"outcome": "left_out", "reason": reason.value, "why": why}
                case ChosenComparisons():
                    yield row | {
                        "outcome": "written",
                        "entries": len(ending.bodies),
                        "tables": ending.tables,
                        "objects_from": ending.labels.get("objects_from"),
                        "guesses": sorted(guess.value for guess in ending.guesses),
                    }


def _row(project: DiscoveredProject) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(REPORT_FIELDS)
    return empty | {"endpoint": project.endpoint, "project_id": project.project_id}


def trouble_said(project: DiscoveredProject) -> str:
    """Why a project could not be told whole, without the cloud's words, which may hold addresses."""
    trouble = project.trouble
    assert trouble is not None  # noqa: S101 - the caller looks
    return f"the cloud did not tell all of it ({trouble.error_code or trouble.kind.value})"


def write_report(file: TextIO, rows: Iterable[Mapping[str, Any]], *, as_csv: bool) -> None:
    """Write *rows* as CSV or JSONL."""
    if not as_csv:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE).decode())
        return
    writer = csv.DictWriter(file, REPORT_FIELDS, restval="")
    writer.writeheader()
    for row in rows:
        cells = {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}
        writer.writerow(cells)


def reasons(found: Sequence[DiscoveredProject]) -> Mapping[str, int]:
    """How many jobs were left out for each reason, most first, then by name."""
    counts = Counter(ending.reason.value for project in found for _, ending in project.left_out)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def guesses_made(found: Sequence[DiscoveredProject]) -> Mapping[Guess, int]:
    """How many written jobs rest on each guess."""
    counts = Counter(guess for project in found for _, chosen in project.chosen for guess in chosen.guesses)
    return {guess: counts[guess] for guess in GUESS_SAID if counts[guess]}
