"""The report's page: one file with everything in it, no network, for a browser, a printer or a ticket's attachment."""

import base64
import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from batcher import zone
from batcher._version import __version__
from batcher.clock import utc_now
from batcher.durations import duration_text, rough_duration
from batcher.follow.verdict import Verdict
from batcher.life.result import Status
from batcher.report.chart import HEIGHT, WIDTH, chart
from batcher.report.differing import folded
from batcher.report.gather import WaveRead
from batcher.report.headline import headline
from batcher.report.page_data import PageData
from batcher.report.page_rows import STATUS_TONES, VERDICT_TONES, payload
from batcher.report.state import ReviewState
from batcher.report.steps import link_to, steps
from batcher.report.timeline import RequestKind
from batcher.text import counted
from batcher.whole import whole_text

_KINDS = {
    RequestKind.FIRST: "first requests",
    RequestKind.RETRY: "repeats",
    RequestKind.THROTTLED: "turned away by the cloud's limit",
}
_LISTED = 300  # entries of the table that stands there where scripts do not run
_STEPS = 40
_DATA = "\0data\0"
_HEAD = 'document.documentElement.classList.add("scripts");'
_SCRIPTS = ("parts", "entries", "address", "facets", "list", "entry", "save", "page")  # each uses those before it


def write_page(path: Path, data: PageData) -> None:
    """Write the page for *data* to *path*, whole or not at all. Raises OSError."""
    with whole_text(path) as file:
        file.writelines(_pieces(data))


def page(data: PageData) -> str:
    """The page as text."""
    return "".join(_pieces(data))


def _pieces(data: PageData) -> Iterator[str]:
    """The page in pieces: the list's data, which is most of it, is never held as one text."""
    head, _, rest = _frame(data).rpartition(_DATA)
    yield head
    yield from payload(data)
    yield rest


def _frame(data: PageData) -> str:
    """The page with _DATA where the list's data go; behind it there is only our own script."""
    scripts = _scripts()
    standing = data.standing
    differences = folded(data)
    all_steps = list(islice(steps(data), _STEPS))
    text: str = _template().render(
        version=__version__,
        css=Markup(_part("page.css")),  # noqa: S704 - our own file
        head=Markup(_HEAD),  # noqa: S704 - our own text
        js=Markup(scripts),  # noqa: S704 - our own files
        hashes=[_digest(_HEAD), _digest(scripts)],
        data=Markup(_DATA),  # noqa: S704 - our own text
        title=_title(data),
        several=len(data.waves) > 1,
        headline=headline(_plain(data.by_status), data.word, data.entries),
        accepted=sum(count for (state, _), count in data.states.items() if state is ReviewState.ACCEPTED),
        zone=zone.area() or "",
        made=f"{utc_now():%Y-%m-%dT%H:%M:%SZ}",
        problems=[_of_wave(data, wave, problem) for wave in data.waves for problem in wave.problems],
        steps=all_steps,
        shares=list(_shares(data)),
        entries=data.gate.entries,
        waves=[_wave(data, number, wave) for number, wave in enumerate(data.waves)],
        scopes=standing.scopes,
        scope_columns=[status.value for status in Status if standing.by_status[status]],
        differences=differences,
        omitted=data.omitted,
        omitted_grave=data.omitted_grave,
        quoted=" ".join(shlex.quote(wave.typed) for wave in data.waves),
        groups=list(_groups(data)),
        unlisted=max(0, sum(count for (state, _), count in data.states.items() if state.grave) - _LISTED),
        width=WIDTH,
        height=HEIGHT,
    )
    return text


def _part(name: str) -> str:
    return files("batcher.report").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _scripts() -> str:
    return '"use strict";\n' + "\n".join(_part(f"{name}.js") for name in _SCRIPTS)


def _digest(script: str) -> str:
    """What the page's policy knows *script* by: no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = lambda number: "\u2013" if number is None else f"{number:,}"
    environment.filters["time"] = _time
    environment.filters["options"] = _options
    environment.globals["link_to"] = link_to
    return environment.from_string(_part("page.html"))


def _time(text: str) -> Markup:
    """The moment *text* (RFC 3339) in the page's zone; a script adds the reader's own time."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    local = zone.on_a_page(moment)
    return Markup('<time datetime="{}">{} {}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{local:%Y-%m-%d %H:%M:%S}", zone.zone_text(local)
    )


def _options(text: str) -> Markup:
    """*text*, with the options of commands that it names kept in one piece."""
    return Markup(re.sub(r"(?<!\S)--[a-z][a-z-]*", r'<code class="option">\g<0></code>', str(escape(text))))  # noqa: S704


def _title(data: PageData) -> str:
    first = data.waves[0].called
    return first if len(data.waves) == 1 else f"{first} and {counted(len(data.waves) - 1, 'more wave')}"


def _of_wave(data: PageData, wave: WaveRead, problem: str) -> str:
    return problem if len(data.waves) == 1 or wave.file.name in problem else f"{wave.file}: {problem}"


def _plain(by_status: Mapping[Status | None, int]) -> Mapping[Status, int]:
    return {status: count for status, count in by_status.items() if status is not None}


def _shares(data: PageData) -> Iterator[dict[str, Any]]:
    """The two bars: what was created, and what the comparisons came to."""
    statuses: list[tuple[Status | None, str]] = [
        *((s, s.value.replace("_", " ")) for s in Status),
        (None, "no result yet"),
    ]
    yield {
        "title": "What was created",
        "counts": [
            _count("status", status, said, data.by_status.get(status, 0), STATUS_TONES[status])
            for status, said in statuses
        ],
    }
    if not data.followed:
        return
    verdicts: list[tuple[Verdict | None, str]] = [*((v, v.value) for v in Verdict), (None, "none yet")]
    yield {
        "title": "What the comparisons came to",
        "counts": [
            _count("verdict", verdict, said, data.by_verdict.get(verdict, 0), VERDICT_TONES[verdict])
            for verdict, said in verdicts
        ],
    }


def _count(facet: str, value: Status | Verdict | None, said: str, number: int, tone: str) -> dict[str, Any]:
    return {"said": said, "number": number, "tone": tone, "link": link_to(**{facet: value and value.value})}


def _wave(data: PageData, number: int, wave: WaveRead) -> dict[str, Any]:
    """What the tables say of one wave, with its pace."""
    tally, line = wave.tally, wave.timeline
    limit_per_s, limit_text = _limit(wave)
    drawn = line and chart(line, limit_per_s=limit_per_s, limit_text=limit_text)
    totals = line.totals if line else {}
    return {
        "file": wave.typed,
        "number": number,
        "entries": wave.entries if wave.entries is not None else tally.lines,
        "standing": sum(count for (_, of), count in data.states.items() if of == number),
        "grave": sum(count for (state, of), count in data.states.items() if of == number and state.grave),
        "replaced": data.replaced.get(number, 0),
        "begun": tally.first_submitted_at,
        "took": None if tally.span_s is None else rough_duration(tally.span_s),
        "requests": tally.attempts,
        "recovered": tally.recovered,
        "per_s": None if tally.rate_per_s is None else f"{tally.rate_per_s:.3g}",
        "chart": drawn,
        "kinds": [{"name": kind.value, "said": _KINDS[kind], "number": n} for kind, n in totals.items() if n],
        "bar_text": line and duration_text(line.width_s),
        "run": list(_run(wave)),
        "settings": sorted((wave.facts or {}).get("settings", {}).items()),
    }


def _limit(wave: WaveRead) -> tuple[float | None, str | None]:
    """The limit of all scopes together, requests a second, and how to say it."""
    rate, scopes = wave.rate, max(1, len(wave.tally.scopes))
    if rate is None:
        return None, None
    each = f" in each of {scopes} scopes" if scopes > 1 else ""
    return rate.per_s * scopes, f"{rate}{each}"


def _groups(data: PageData) -> Iterator[dict[str, Any]]:
    """The gravest entries by state, for where scripts do not run; *ids* are what links lead to."""
    linked: set[str] = set()
    group: dict[str, Any] | None = None
    for row in data.rows(data.chosen.evaluated[:_LISTED]):
        if row.evaluated is None or not row.state.grave:
            break
        latest, blocker = row.evaluated.latest, row.evaluated.blocker
        if group is None or group["state"] is not row.state:
            if group is not None:
                yield group
            verdict = latest.verdict.verdict if latest.verdict else None
            ids = _linked(row.state, latest.status, verdict, linked)
            group = {"state": row.state, "ids": list(ids), "rows": []}
        group["rows"].append(
            {
                "place": latest.index + 1,
                "key": latest.key,
                "job_id": latest.job_id,
                "why": latest.said if latest.said and latest.status is not Status.CREATED else blocker and blocker.why,
            }
        )
    if group is not None:
        yield group


def _linked(state: ReviewState, status: Status | None, verdict: Verdict | None, linked: set[str]) -> Iterable[str]:
    """The addresses, without their "#", that lead to the entries of *state*; each once on a page."""
    wanted = [link_to(state=state.value)]
    if status is not Status.CREATED:
        wanted.append(link_to(status=status and status.value))
    elif verdict is not None:
        wanted.append(link_to(verdict=verdict.value))
    for link in wanted:
        if link not in linked:
            linked.add(link)
            yield link[1:]


def _run(wave: WaveRead) -> Iterator[tuple[str, str]]:
    facts = wave.facts or {}
    ours = (("Command", "command"), ("Manifest", "manifest"))  # of a service they are its operator's business
    for title, name in (*(ours if wave.served is None else ()), ("Digest", "digest"), ("Begun", "begun_at")):
        if facts.get(name):
            yield title, str(facts[name])
    if facts.get("resumed_at"):
        yield "Last resumed", str(facts["resumed_at"])
    if facts.get("batcher"):
        yield "Run by", f"batcher {facts['batcher']}" + (f", {facts['platform']}" if facts.get("platform") else "")
    if wave.served is None:
        yield "Results", str(wave.file)
    else:
        yield (
            "Wave",
            f"{wave.served.id} ({wave.served.name}) of a service: commands find it by BATCHER_SERVICE, its address",
        )
