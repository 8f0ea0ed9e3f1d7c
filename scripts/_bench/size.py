"""Size: what a million entries cost in memory, in checking, in taking up a wave that is done, and at the gate."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.checking import write_full
from _bench.common import Row, at_least, at_most, child, cloud, write_manifest

_SMALL, _MIDDLE = 10_000, 100_000
_FLAT = 1.15  # times what an entry costs among ten thousand
# What reads a wave that was followed: each with the most memory that it may take, in MB.
_READERS = {
    "gate": (("gate",), 100),
    "report": (("report",), 100),
    "report --csv": (("report", "--csv", "entries.csv"), 100),
    "report --html, 100,000 rows at most": (("report", "--html", "page.html"), None),
}


def rows(*, quick: bool) -> Iterator[Row]:
    """Against ten thousand entries, and against bare pydantic in two senses: see `checking`."""
    large = 100_000 if quick else 1_000_000
    with TemporaryDirectory() as folder:
        small = write_manifest(Path(folder, "small.jsonl"), _SMALL)
        manifest = write_manifest(Path(folder, "large.jsonl"), large)
        yield from _memory(small, manifest, large)
        yield from _plan(small, manifest, large, Path(folder))
        yield from _checking(manifest, large, Path(folder))
        yield from _resuming(manifest, Path(folder, "done.jsonl"), large)
        yield from _reading(small, Path(folder, "middle.jsonl"), Path(folder, "done.jsonl"), large)


def _memory(small: Path, manifest: Path, large: int) -> Iterator[Row]:
    with cloud() as port:
        little = child("memory", port=port, manifest=str(small), sent=_SMALL // 2)["peak_mb"]
        much = child("memory", port=port, manifest=str(manifest), sent=_SMALL // 2)["peak_mb"]
    yield at_most(f"peak memory, {large:,} entries / {_SMALL:,}", much / little, 1.5)
    yield at_most(f"peak memory, {large:,} entries", much, 150, "MB")


def _plan(small: Path, manifest: Path, large: int, folder: Path) -> Iterator[Row]:
    """The plan's entries as lanes read them: flat, as every batch is read where the last one ended."""
    manifests = {_SMALL: small, _MIDDLE: write_manifest(folder / "middle.jsonl", _MIDDLE), large: manifest}
    cpu_us = {
        size: child("plan", manifest=str(path), batch=256)["cpu_us_per_entry"] for size, path in manifests.items()
    }
    yield Row(
        subject=f"reading the plan, CPU µs an entry at {' / '.join(f'{size:,}' for size in cpu_us)}",
        figure=" / ".join(f"{value:.1f}" for value in cpu_us.values()),
        bound="≤ 3",
        good=max(cpu_us.values()) <= 3,
        raw={str(size): value for size, value in cpu_us.items()},
    )


def _checking(short: Path, large: int, folder: Path) -> Iterator[Row]:
    """Each row tells what it is measured against: ready dicts, or the same file read and validated."""
    names = {"csv": "full rows, CSV", "json": "full rows, JSON", "jsonl": "full rows, JSONL"}
    yield from _beside_pydantic("shortest rows, JSONL", short, large, short=True, rounds=3)
    for format, name in names.items():
        manifest = write_full(folder / f"full.{format}", large)
        yield from _beside_pydantic(name, manifest, large, short=False, rounds=1)
        manifest.unlink()


def _beside_pydantic(name: str, manifest: Path, large: int, *, short: bool, rounds: int) -> Iterator[Row]:
    rates = child("checking", manifest=str(manifest), entries=large, short=short, rounds=rounds)
    checked = rates["checked"]
    yield at_least(f"{name}: rate / bare pydantic, dicts ready made", checked / rates["ready"], 0.5, raw=rates)
    figure = f"{checked / rates['read']:.2f} x, {checked:,.0f}/s"
    yield Row(subject=f"{name}: rate / reading and bare pydantic; rows checked a second", figure=figure)


def _resuming(manifest: Path, results: Path, large: int) -> Iterator[Row]:
    child("finish", manifest=str(manifest), results=str(results))
    taken = child("resume", manifest=str(manifest), results=str(results))
    yield at_most(f"taking up a wave of {large:,} that is done", taken["wall_s"], 10, "s", raw=dict(taken))


def _reading(small: Path, middle: Path, done: Path, large: int) -> Iterator[Row]:
    """What gate and report cost an entry, where one in twenty differs: flat, and in hardly more memory."""
    waves = {_SMALL: done.with_name("small-done.jsonl"), _MIDDLE: done.with_name("middle-done.jsonl"), large: done}
    child("finish", manifest=str(small), results=str(waves[_SMALL]))
    if large != _MIDDLE:
        child("finish", manifest=str(middle), results=str(waves[_MIDDLE]))
    for path in waves.values():
        child("follow", results=str(path))
    for name, (command, most_mb) in _READERS.items():
        taken = {
            size: child("read", command=command, results=str(path), warm=str(waves[_SMALL]))
            for size, path in waves.items()
        }
        cpu_us = {size: figures["cpu_us_per_entry"] for size, figures in taken.items()}
        dearer = max(cpu_us.values()) / cpu_us[_SMALL]
        yield Row(
            subject=f"{name}, CPU µs an entry at {' / '.join(f'{size:,}' for size in cpu_us)}",
            figure=" / ".join(f"{value:.1f}" for value in cpu_us.values()),
            bound=f"≤ {_FLAT:g} x the first",
            good=dearer <= _FLAT,
            raw={str(size): value for size, value in cpu_us.items()},
        )
        peak = {size: figures["peak_mb"] for size, figures in taken.items()}
        yield Row(
            subject=f"{name}, peak memory at {' / '.join(f'{size:,}' for size in peak)}",
            figure=" / ".join(f"{value:.0f}" for value in peak.values()) + " MB",
            bound="" if most_mb is None else f"≤ {most_mb} MB",
            good=None if most_mb is None else max(peak.values()) <= most_mb,
            raw={str(size): value for size, value in peak.items()},
        )
