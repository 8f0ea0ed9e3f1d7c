"""scripts/bench: measures, prints tables, writes JSON, and puts the tables into the page of figures."""

import argparse
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from _bench import against
from _bench.common import Row
from _bench.page import put_into
from _bench.part import CUT_SHORT, SUBJECTS, measured
from _bench.profile import profile

USUAL = [name for name, subject in SUBJECTS.items() if subject.needs is None]


def main() -> int:
    """Measure what is asked for; 1 where a bound is missed."""
    arguments = _arguments()
    if arguments.profile:
        os.environ.setdefault("BATCHER_TOKEN", "none")
        sys.stdout.write(profile())
        return 0
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    found: dict[str, list[Row]] = {}
    for name, rows_of in _measures(arguments).items():
        load = os.getloadavg()[0]
        console.print(f"measuring {name} …", style="dim")
        found[name] = rows_of()
        console.print(_table(name, found[name]))
        if arguments.into is not None and found[name][0].subject != CUT_SHORT:  # at once: what comes behind may end
            how = " with `--quick`" if arguments.quick else ""
            heading = f"Measured on {datetime.now(UTC):%F}{how}: {machine()}, load before {load:.1f}."
            put_into(arguments.into, name, heading, found[name])
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(_as_json(found, quick=arguments.quick), indent=1) + "\n")
    return int(any(row.good is False for rows in found.values() for row in rows))


def _measures(arguments: argparse.Namespace) -> dict[str, Callable[[], list[Row]]]:
    if arguments.against is not None:
        rows_of = partial(against.rows, arguments.against, quick=arguments.quick)
        return {f"this build / {arguments.against}": lambda: list(rows_of())}
    ends_at = math.inf if arguments.within is None else time.monotonic() + arguments.within * 60
    one = partial(measured, quick=arguments.quick, ends_at=ends_at)
    return {name: partial(one, name) for name in arguments.subjects or USUAL}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure batcher against what is known. Each subject has its time, and ends when that is over: "
        + ", ".join(f"{name} {subject.minutes:g} min" for name, subject in SUBJECTS.items()) + " at most.",
    )  # fmt: skip
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="SUBJECT",
        help=f"{', '.join(SUBJECTS)}; by default all but "
        + ", ".join(f"{name} ({subject.needs})" for name, subject in SUBJECTS.items() if subject.needs is not None),
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 100,000 entries instead of a million")
    parser.add_argument("--within", metavar="MINUTES", type=float, help="end by then, with what was measured")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures here, too")
    parser.add_argument(
        "--into",
        metavar="PAGE",
        type=Path,
        help="put each table between its markers of this page as soon as it is there",
    )
    parser.add_argument("--against", metavar="REV", help="measure this build and that of REV in turn, and end")
    parser.add_argument("--profile", action="store_true", help="show where the time of a wave goes, and end")
    arguments = parser.parse_args()
    if unknown := set(arguments.subjects) - set(SUBJECTS):
        parser.error(f"there is no subject {', '.join(sorted(unknown))}: choose from {', '.join(SUBJECTS)}")
    if arguments.against is not None and arguments.subjects:
        parser.error("--against has subjects of its own: leave the others out")
    return arguments


def machine() -> str:
    """What it was measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = (line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line)
        model = next(names, model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _table(subject: str, rows: list[Row]) -> Table:
    table = Table(
        title=f"{subject}, {datetime.now(UTC):%F}, {machine()}", title_justify="left", box=None, pad_edge=False
    )
    for column in ("", "measured", "bound", "kept"):
        table.add_column(column, overflow="fold")
    for row in rows:
        kept = "" if row.good is None else "yes" if row.good else "NO"
        table.add_row(row.subject, row.figure, row.bound, kept, style="red" if row.good is False else "")
    return table


def _as_json(found: dict[str, list[Row]], *, quick: bool) -> dict[str, object]:
    return {
        "at": datetime.now(UTC).isoformat(),
        "machine": machine(),
        "quick": quick,
        "subjects": {
            subject: [
                {"subject": row.subject, "figure": row.figure, "bound": row.bound, "kept": row.good, **row.raw}
                for row in rows
            ]
            for subject, rows in found.items()
        },
    }


sys.exit(main())
