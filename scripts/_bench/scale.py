"""Scale: what an entry costs in each step, in waves of ten thousand, a hundred thousand and a million, side by side.

Each step is the command that is typed, in a process of its own, and its cost that process's CPU time, less what the
same costs in a wave of a hundred entries: starting up. A busy machine changes that little, and wall time much.
"""

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.common import Row, child, cloud, command, write_manifest

_SIZES = (10_000, 100_000, 1_000_000)
_TINY = 100
_FLAT = 1.15  # times what an entry costs in the smallest
_ROUNDS = {10_000: 7, 100_000: 3, 1_000_000: 2}  # of those that may be repeated; the least counts
_LAST = 10_000  # the verdicts that are waited for, at most: all others are there
_DOUBTFUL = 100  # one entry of so many

Costs = dict[str, dict[str, float]]
"""What each step took: whole processes."""

_STEPS = {
    "check": "`check`",
    "plan": "checking and planning, as `run` does it before its first request",
    "send": "`run` to its end, without a limit",
    "resume": "`run` again, when all is done",
    "half": "`run` again, when half is done: until its first request",
    "stop": "to stop that one, with a line for each entry that stays open",
    "watch": f"`watch`, one of the last {_LAST:,} verdicts, its look included",
    "take up": "`watch` again, when all verdicts are there, its gate included",
    "gate": "`gate`",
    "report": "`report`",
    "select": "`select --status created`",
    "settle": f"`settle --from`, where one of {_DOUBTFUL} is in doubt",
    "results": "`results`",
}
_WHOLE = {"explain": "`explain` of the last entry", "status": "`status`"}
_TIMED = {
    "send": "`run` to its end: wall time",
    "resume": "`run` again, when all is done: wall time",
    "take up": "`watch` again, when all verdicts are there: wall time",
}
_MOST_MB = 150


def rows(*, quick: bool) -> Iterator[Row]:
    """A row for each step. Where something ends it early, of the waves that were measured by then."""
    found: dict[int, Costs] = {}
    try:
        with TemporaryDirectory() as folder, cloud() as port:
            tiny = _Wave(Path(folder), _TINY, port)
            found[_TINY] = tiny.costs()
            for size in _SIZES[:2] if quick else _SIZES:
                found[size] = _Wave(Path(folder), size, port, beside=tiny if size == _SIZES[0] else None).costs()
    except BaseException:
        yield from _told(found)
        raise
    yield from _told(found)


def _told(found: dict[int, Costs]) -> Iterator[Row]:
    sizes = [size for size in found if size != _TINY]
    if not sizes:
        return
    at, largest = " / ".join(f"{size:,}" for size in sizes), found[sizes[-1]]
    for step, subject in _STEPS.items():
        cpu_us = [_an_entry(found, step, size) for size in sizes]
        dearer = max(other / cpu_us[0] for other in (cpu_us[1:] or cpu_us))
        yield Row(
            subject=f"{subject}: CPU µs an entry at {at}; the dearest / the first",
            figure=f"{' / '.join(f'{value:.1f}' for value in cpu_us)}; {dearer:.2f} x",
            bound=f"≤ {_FLAT:g} x",
            good=dearer <= _FLAT,
            raw={str(size): found[size][step] for size in found},
        )
    for step, subject in _WHOLE.items():
        figure = " / ".join(f"{found[size][step]['cpu_s']:.2f}" for size in sizes)
        yield Row(subject=f"{subject}: CPU s in all at {at}", figure=figure)
    peaks = {step: largest[step]["peak_mb"] for step in (*_STEPS, *_WHOLE)}
    most = max(peaks, key=lambda step: peaks[step])
    yield Row(
        subject=f"the most memory that one of them takes at {sizes[-1]:,} ({most})",
        figure=f"{peaks[most]:.0f} MB",
        bound=f"≤ {_MOST_MB} MB",
        good=peaks[most] <= _MOST_MB,
        raw=peaks,
    )
    for step, subject in _TIMED.items():
        wall_s = largest[step]["wall_s"]
        yield Row(subject=f"{subject}, {sizes[-1]:,} entries", figure=f"{wall_s:.0f} s, {sizes[-1] / wall_s:,.0f}/s")


def _an_entry(found: dict[int, Costs], step: str, size: int) -> float:
    """CPU µs an entry."""
    entries, few = (min(_LAST, wave) if step == "watch" else wave for wave in (size, _TINY))
    return (found[size][step]["cpu_s"] - found[_TINY][step]["cpu_s"]) / (entries - few) * 1e6


class _Wave:
    """A wave of *size* entries, from its manifest to its report.

    What changes nothing is measured several times, most often in the smaller waves, and where another wave lies
    *beside*, each time together with that one's: else starting up, which is most of it there, would be taken from
    another moment of the machine.
    """

    def __init__(self, folder: Path, size: int, port: int, beside: "_Wave | None" = None) -> None:
        self._folder = folder / str(size)
        self._folder.mkdir()
        self._size, self._port, self._beside = size, port, beside
        self._measures: dict[str, Callable[[], dict[str, float]]] = {}
        self._manifest = write_manifest(self._folder / "wave.jsonl", size)
        self._results = self._folder / "results.jsonl"
        self._where = ("--endpoint", f"http://127.0.0.1:{port}", "--project-id", "p")
        self._found: Costs = {}

    def costs(self) -> Costs:
        """What each step takes."""
        manifest, results = str(self._manifest), str(self._results)
        run = ("run", manifest, "-o", results, *self._where, "--rate", "off")
        self._again("check", lambda: command("check", manifest, *self._where))
        self._again("plan", lambda: child("planning", manifest=manifest))
        self._note("send", command(*run))
        self._again("resume", lambda: command(*run))
        self._watched()
        for step, words in {
            "gate": ("gate", results),
            "report": ("report", results),
            "select": ("select", results, "--status", "created", "-o", str(self._folder / "next.jsonl"), "--force"),
            "results": ("results", f"{results}.journal", "-o", "-"),
            "explain": ("explain", results, "--index", str(self._size - 1)),
            "status": ("status", results),
        }.items():
            self._again(step, lambda words=words: command(*words))  # type: ignore[misc]
        self._half_done()
        if self._size != _TINY:
            for file in self._folder.iterdir():
                file.unlink()
        return self._found

    def _note(self, step: str, figures: dict[str, float]) -> None:
        """A wave of a million takes minutes: each step is told as it ends."""
        self._found[step] = figures
        print(f"  {self._size:,} entries, {step}: {figures['cpu_s']:.2f} s of CPU", file=sys.stderr, flush=True)

    def _again(self, step: str, measure: Callable[[], dict[str, float]]) -> None:
        """Measure what changes nothing, and so may be done again."""
        self._measures[step] = measure
        for _ in range(_ROUNDS.get(self._size, 1)):
            self._least(step)
            if self._beside is not None:
                self._beside._least(step)
        self._note(step, self._found[step])

    def _least(self, step: str) -> None:
        """Measure *step* once more; the least counts."""
        self._keep_least(step, self._measures[step]())

    def _keep_least(self, step: str, figures: dict[str, float]) -> None:
        known = [self._found[step]] if step in self._found else []
        self._found[step] = min([*known, figures], key=lambda found: found["cpu_s"])

    def _watched(self) -> None:
        """The last verdicts are waited for, and then none. What each of the last costs is taken in the process itself,
        once all others are taken up: at a million it would be a small difference of two large figures."""
        child("follow", results=str(self._results))
        verdicts = next(path for path in self._folder.iterdir() if "verdicts" in path.name)
        _shorten(verdicts, self._size - min(_LAST, self._size))
        found = child("watching", results=str(self._results))
        self._note("watch", found | {"cpu_s": found["looking_cpu_s"]})
        verdicts.unlink()  # the last agreed, of the others one in twenty did not: another mix at each size
        child("follow", results=str(self._results))
        watch = ("watch", str(self._results), "--read-rate", "off", "--insecure-http")
        self._again("take up", lambda: command(*watch))

    def _half_done(self) -> None:
        """A wave of which half is done, some of it in doubt; a list decides about that, and then it goes on. That is
        measured without starting up, in a process that has taken it up and stopped it once."""
        results, rulings = self._folder / "half.jsonl", self._folder / "rulings.csv"
        child(
            "finish", manifest=str(self._manifest), results=str(results), share=0.5, doubtful=_DOUBTFUL, port=self._port
        )
        with rulings.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("job_id", "as"))
            decided = range(0, self._size // 2, _DOUBTFUL)
            table.writerows((f"{index:08d}-0000-4000-8000-00000000jb101", "failed") for index in decided)
        self._note("settle", command("settle", str(results), "--from", str(rulings), "--offline"))

        def taken_up() -> dict[str, float]:
            figures = child("taking_up", port=self._port, manifest=str(self._manifest), results=str(results))
            self._keep_least("stop", figures | {"cpu_s": figures["stopping_cpu_s"]})
            return figures

        self._again("half", taken_up)
        self._note("stop", self._found["stop"])


def _shorten(file: Path, lines: int) -> None:
    """Leave so many *lines* of the *file*."""
    with file.open("r+b") as kept:
        for _ in range(lines):
            kept.readline()
        kept.truncate(kept.tell())
