"""Size: what a million entries cost in memory, in checking, and in taking up a wave that is done."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.checking import write_full
from _bench.common import Row, at_least, at_most, child, cloud, write_manifest

_SMALL, _MIDDLE = 10_000, 100_000


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
