"""The report's page: one file with everything in it, no network, for a browser, a printer or a ticket's attachment."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from heapq import nsmallest
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from batcher._version import __version__
from batcher.clock import utc_now
from batcher.durations import duration_text, rough_duration
from batcher.follow.verdict import CompareResult, Verdict
from batcher.report.chart import HEIGHT, WIDTH, chart
from batcher.report.gather import DifferenceRow, Report, Word, is_grave, task_id, words_of
from batcher.report.headline import headline
from batcher.report.timeline import Kind
from batcher.text import counted
from batcher.wave.result import Status
from batcher.whole import whole_text

TONES = {
    Status.CREATED: "good",
    Status.PARTIAL: "warn",
    Status.FAILED: "bad",
    Status.UNSETTLED: "doubt",
    Status.INVALID: "bad",
    Status.NOT_SUBMITTED: "warn",
}
VERDICT_TONES = {
    Verdict.CONSISTENT: "good",
    Verdict.INCONSISTENT: "bad",
    Verdict.FAILED: "bad",
    Verdict.TIMEOUT: "warn",
    Verdict.CANCELLED: "warn",
    Verdict.UNKNOWN: "doubt",
}
_KINDS = {
    Kind.FIRST: "first requests",
    Kind.RETRY: "repeats",
    Kind.THROTTLED: "turned away by the cloud's limit",
}
_HEADS = (
    ("index", "#"),
    ("key", "Key"),
    ("job_id", "Job"),
    ("status", "Status"),
    ("verdict", "Verdict"),
    ("attempts", "Attempts"),
    ("took_s", "Took"),
    ("error_code", "Trouble"),
)
_GRAVE = 300  # rows of the printed table
_DIFFERENCES = 1000  # rows of the table of differences
_TROUBLES = 40
_DATA = "\0data\0"


def write_page(path: Path, report: Report) -> None:
    """Write the page for *report* to *path*, whole or not at all. Raises OSError."""
    with whole_text(path) as file:
        file.writelines(_pieces(report))


def page(report: Report) -> str:
    """The page as text."""
    return "".join(_pieces(report))


def _pieces(report: Report) -> Iterator[str]:
    """The page in pieces: the list's data, which is most of it, is never held as one text."""
    head, _, rest = _frame(report).rpartition(_DATA)
    yield head
    yield from map(_in_script, _payload(report))
    yield rest


def _frame(report: Report) -> str:
    """The page with _DATA where the list's data go; behind it there is only our own script."""
    tally, verdicts = report.tally, report.verdicts
    line = report.timeline
    limit_per_s, limit_text = _limit(report)
    text: str = _template().render(
        version=__version__,
        css=Markup(_part("page.css")),  # noqa: S704 - our own file
        js=Markup(_part("page.js")),  # noqa: S704 - our own file
        data=Markup(_DATA),  # noqa: S704 - our own text
        report=report,
        quoted=shlex.quote(str(report.file)),
        headline=headline(tally.by_status, report.ruling, report.entries),
        span=_span(report),
        entries=report.entries or tally.lines,
        statuses=[_count(status.value, tally.by_status[status], TONES[status]) for status in Status],
        verdicts=verdicts
        and [_count(verdict.value, verdicts.by_verdict[verdict], VERDICT_TONES[verdict]) for verdict in Verdict],
        verdict_total=verdicts and sum(verdicts.by_verdict.values()),
        chart=line and chart(line, limit_per_s=limit_per_s, limit_text=limit_text),
        width=WIDTH,
        height=HEIGHT,
        kinds=[
            {"name": kind.value, "said": _KINDS[kind], "number": count}
            for kind, count in (line.totals if line else {}).items()
            if count
        ],
        bar_text=line and duration_text(line.width_s),
        troubles=list(_troubles(report)),
        databases=list(_differences(report)),
        more_differences=max(0, len(verdicts.differences) - _DIFFERENCES) if verdicts else 0,
        scopes=tally.scopes,
        scope_columns=[status.value for status in Status if tally.by_status[status]],
        heads=_HEADS,
        grave=list(islice(_grave_rows(report), _GRAVE)),
        more_grave=max(0, report.grave - _GRAVE),
        run=list(_run(report)),
        settings=sorted((report.facts or {}).get("settings", {}).items()),
    )
    return text


def _part(name: str) -> str:
    return files("batcher.report").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda number: "" if number is None else f"{number:,}"
    return environment.from_string(_part("page.html"))


def _count(name: str, number: int, tone: str) -> dict[str, Any]:
    return {"name": name, "number": number, "tone": tone}


def _span(report: Report) -> str:
    tally = report.tally
    made = f"report made {utc_now():%Y-%m-%d %H:%M} UTC"
    if tally.span_s is None or tally.first_submitted_at is None:
        return made
    began = datetime.fromisoformat(tally.first_submitted_at).astimezone(UTC)
    recovered = f", {tally.recovered:,} recovered after a lost answer" if tally.recovered else ""
    return (
        f"begun {began:%Y-%m-%d %H:%M:%S} UTC, {rough_duration(tally.span_s)}, "
        f"{counted(tally.attempts, 'request')}{recovered}; {made}"
    )


def _limit(report: Report) -> tuple[float | None, str | None]:
    """The limit of all scopes together, requests a second, and how to say it."""
    rate, scopes = report.rate, max(1, len(report.tally.scopes))
    if rate is None:
        return None, None
    each = f" in each of {scopes} scopes" if scopes > 1 else ""
    return rate.per_s * scopes, f"{rate}{each}"


def _troubles(report: Report) -> Iterator[dict[str, Any]]:
    for trouble in report.tally.troubles[:_TROUBLES]:
        yield {
            "count": trouble.count,
            "status": trouble.status.value,
            "tone": TONES[trouble.status],
            "kind": trouble.error_kind,
            "code": trouble.error_code,
            "message": trouble.example["error_msg"],
            "key": trouble.example["key"],
            "advice": trouble.advice,
        }


def _differences(report: Report) -> Iterator[dict[str, Any]]:
    ordered = nsmallest(
        _DIFFERENCES,
        report.verdicts.differences if report.verdicts else (),
        key=lambda row: (
            row.accepted is not None,
            row.difference.result != CompareResult.INCONSISTENT,
            row.difference.place or "",
            row.difference.object_type,
            row.difference.name or "",
            row.key,
        ),
    )
    for row in ordered:
        yield {
            **row.difference.model_dump(),
            "place": row.difference.place,
            "name": row.difference.table or " ".join(filter(None, [row.difference.object_type, row.difference.name])),
            "job_id": row.job_id,
            "tone": _tone(row),
            "accepted": row.accepted and f"accepted: {row.accepted}",
        }


def _tone(row: DifferenceRow) -> str:
    if row.accepted is not None:
        return "idle"
    return "bad" if row.difference.result == CompareResult.INCONSISTENT else "warn"


def _grave_rows(report: Report) -> Iterator[dict[str, Any]]:
    for line, (verdict, reason) in _rows(report):
        if is_grave(line, verdict):
            yield {**line, "verdict": verdict, "why": reason or line["error_msg"]}


def _rows(report: Report) -> Iterator[tuple[dict[str, Any], Word]]:
    """The listed lines, each with its verdict and why."""
    with words_of(report.verdicts) as word_at:
        for place, line in zip(report.lines.places, report.lines, strict=True):
            yield line, word_at(place)


def _run(report: Report) -> Iterator[tuple[str, str]]:
    facts = report.facts or {}
    for title, name in (("Command", "command"), ("Manifest", "manifest"), ("Digest", "digest"), ("Begun", "begun_at")):
        if facts.get(name):
            yield title, str(facts[name])
    if facts.get("resumed_at"):
        yield "Last resumed", str(facts["resumed_at"])
    if facts.get("batcher"):
        yield "Run by", f"batcher {facts['batcher']}" + (f", {facts['platform']}" if facts.get("platform") else "")
    yield "Results", str(report.file)
    yield "This page by", f"batcher {__version__}"


# --- the list -------------------------------------------------------------------------------------------

_POOLED = (
    *("project_id", "endpoint", "status", "verdict", "error_kind", "error_code", "error_msg", "reason", "labels"),
)
_COLUMNS = (
    *("index", "key", "job_id", "project_id", "endpoint", "status", "verdict", "attempts", "recovered"),
    *("error_kind", "error_code", "error_msg", "reason", "http_status", "request_id", "object_level_compare_task_id"),
    *("data_level_compare_task_id", "submitted_at", "finished_at", "took_s", "labels"),
)


def _in_script(json: str) -> str:
    """*json* so that it may stand in a script element."""
    return json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _payload(report: Report) -> Iterator[str]:
    """The list's data as JSON, in pieces; texts that repeat stand in it once."""
    pool: dict[Any, int] = {}
    yield '{"rows":['
    for number, (line, (verdict, reason)) in enumerate(_rows(report)):
        values = {
            **line,
            "verdict": verdict,
            "reason": reason,
            "object_level_compare_task_id": task_id(line, "object_level_compare_create_result"),
            "data_level_compare_task_id": task_id(line, "data_level_compare_create_result"),
            "took_s": _took(line),
            "labels": ", ".join(f"{name}={text}" for name, text in line["labels"].items()) or None,
        }
        row = [pool.setdefault(values[name], len(pool)) if name in _POOLED else values[name] for name in _COLUMNS]
        yield ("," if number else "") + orjson.dumps(row).decode()
    tones = {**{s.value: tone for s, tone in TONES.items()}, **{v.value: tone for v, tone in VERDICT_TONES.items()}}
    rest = {
        "columns": _COLUMNS,
        "pooled": _POOLED,
        "pool": list(pool),
        "tones": tones,
        "quoted": shlex.quote(str(report.file)),
    }
    yield "]," + orjson.dumps(rest).decode()[1:]


def _took(line: Mapping[str, Any]) -> float | None:
    """Seconds from an entry's first request to its result."""
    began, ended = line["submitted_at"], line["finished_at"]
    if not (isinstance(began, str) and isinstance(ended, str)):
        return None
    return round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 3)
