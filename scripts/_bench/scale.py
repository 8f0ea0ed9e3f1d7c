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
_ROUNDS = {_TINY: 3, 10_000: 5, 100_000: 2}  # of those that may be repeated; the least counts
_LAST = 10_000  # the verdicts that are waited for, at most: all others are there
_DOUBTFUL = 100  # one entry of so many

Costs = dict[str, float]


def rows(*, quick: bool) -> Iterator[Row]:
    """A row for each step."""
    sizes = _SIZES[:2] if quick else _SIZES
    with TemporaryDirectory() as folder, cloud() as port:
        found = {size: _Wave(Path(folder), size, port).costs() for size in (_TINY, *sizes)}
    for step, subject in _STEPS.items():
        yield _flat(subject, {size: _an_entry(found, step, size) for size in sizes})
    for step, subject in _ONE.items():
        yield _told(subject, {size: found[size][step] for size in sizes})
    peaks = " / ".join(f"{found[size]['peak']:.0f}" for size in sizes)
    yield Row(subject="`run` to its end, peak memory", figure=f"{peaks} MB", bound="≤ 150 MB",
              good=max(found[size]["peak"] for size in sizes) <= 150)  # fmt: skip
    wall_s = found[sizes[-1]]["wall"]
    yield Row(
        subject=f"`run` of {sizes[-1]:,} entries to its end", figure=f"{wall_s:.0f} s, {sizes[-1] / wall_s:,.0f}/s"
    )


_STEPS = {
    "check": "`check`",
    "plan": "checking and planning, as `run` does it before its first request",
    "send": "`run` to its end, without a limit",
    "resume": "`run` again, when all is done",
    "half": "`run` again, when half is done: until its first request",
    "take up": "`watch` again, when all verdicts are there",
    "watch": "`watch`, a verdict, its look included",
    "gate": "`gate`",
    "report": "`report`",
    "select": "`select --status created`",
    "settle": f"`settle --from`, where one in {_DOUBTFUL} is in doubt",
    "results": "`results`",
}
_ONE = {
    "explain": "`explain` of the last entry, whole",
    "status": "`status`, whole",
}


def _an_entry(found: dict[int, Costs], step: str, size: int) -> float:
    """CPU µs an entry."""
    entries, few = (min(_LAST, wave) if step == "watch" else wave for wave in (size, _TINY))
    return (found[size][step] - found[_TINY][step]) / (entries - few) * 1e6


def _flat(subject: str, cpu_us: dict[int, float]) -> Row:
    first, *others = cpu_us.values()
    dearer = max(other / first for other in others)
    return Row(
        subject=f"{subject}, CPU µs an entry at {' / '.join(f'{size:,}' for size in cpu_us)}",
        figure=" / ".join(f"{value:.1f}" for value in cpu_us.values()) + f": {dearer:.2f} x",
        bound=f"≤ {_FLAT:g} x the first",
        good=dearer <= _FLAT,
        raw={str(size): value for size, value in cpu_us.items()},
    )


def _told(subject: str, cpu_s: dict[int, float]) -> Row:
    return Row(
        subject=f"{subject}, CPU s at {' / '.join(f'{size:,}' for size in cpu_s)}",
        figure=" / ".join(f"{value:.2f}" for value in cpu_s.values()),
        raw={str(size): value for size, value in cpu_s.items()},
    )


class _Wave:
    """A wave of *size* entries, from its manifest to its report."""

    def __init__(self, folder: Path, size: int, port: int) -> None:
        self._folder = folder / str(size)
        self._folder.mkdir()
        self._size, self._port = size, port
        self._manifest = write_manifest(self._folder / "wave.jsonl", size)
        self._results = self._folder / "results.jsonl"
        self._where = ("--endpoint", f"http://127.0.0.1:{port}", "--project-id", "p")
        self._found: Costs = {}

    def costs(self) -> Costs:
        """CPU seconds of each step, whole processes."""
        manifest, results = str(self._manifest), str(self._results)
        run = ("run", manifest, "-o", results, *self._where, "--rate", "off")
        self._again("check", lambda: command("check", manifest, *self._where))
        self._again("plan", lambda: child("planning", manifest=manifest))
        sent = command(*run)
        self._note("send", sent["cpu_s"])
        self._found |= {"peak": sent["peak_mb"], "wall": sent["wall_s"]}
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
        self._settled()
        self._half_done()
        for file in self._folder.iterdir():
            file.unlink()
        return self._found

    def _note(self, step: str, cpu_s: float) -> None:
        """A wave of a million takes minutes: each step is told as it ends."""
        self._found[step] = cpu_s
        print(f"  {self._size:,} entries, {step}: {cpu_s:.2f} s of CPU", file=sys.stderr, flush=True)

    def _again(self, step: str, measure: Callable[[], Costs]) -> None:
        """What changes nothing is done several times where it is quick."""
        self._note(step, min(measure()["cpu_s"] for _ in range(_ROUNDS.get(self._size, 1))))

    def _watched(self) -> None:
        """The last verdicts are waited for, and then none: what is between them is what they cost."""
        child("follow", results=str(self._results))
        verdicts = next(path for path in self._folder.iterdir() if "verdicts" in path.name)
        _shorten(verdicts, self._size - min(_LAST, self._size))
        watch = ("watch", str(self._results), "--read-rate", "off", "--insecure-http")
        whole = command(*watch)["cpu_s"]
        self._again("take up", lambda: command(*watch))
        self._note("watch", whole - self._found["take up"])

    def _settled(self) -> None:
        """A wave with doubts, and a list that decides about all of them."""
        results, rulings = self._folder / "doubtful.jsonl", self._folder / "rulings.csv"
        child("finish", manifest=str(self._manifest), results=str(results), doubtful=_DOUBTFUL)
        with rulings.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(("job_id", "as"))
            table.writerows((f"{index:08d}-0000-4000-8000-00000000jb101", "failed")
                            for index in range(0, self._size, _DOUBTFUL))  # fmt: skip
        self._note("settle", command("settle", str(results), "--from", str(rulings), "--offline")["cpu_s"])

    def _half_done(self) -> None:
        results = self._folder / "half.jsonl"
        child("finish", manifest=str(self._manifest), results=str(results), share=0.5, port=self._port)
        self._again(
            "half", lambda: child("taking_up", port=self._port, manifest=str(self._manifest), results=str(results))
        )


def _shorten(file: Path, lines: int) -> None:
    """Leave so many *lines* of the *file*."""
    with file.open("r+b") as kept:
        for _ in range(lines):
            kept.readline()
        kept.truncate(kept.tell())
