"""Size: what a million entries cost in memory, and in checking beside bare pydantic. Each step is in `scale`."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.checking import write_full
from _bench.common import Row, at_least, at_most, child, cloud, write_manifest

_SMALL = 10_000


def rows(*, quick: bool) -> Iterator[Row]:
    """Against ten thousand entries, and against bare pydantic in two senses: see `checking`."""
    large = 100_000 if quick else 1_000_000
    with TemporaryDirectory() as folder:
        small = write_manifest(Path(folder, "small.jsonl"), _SMALL)
        manifest = write_manifest(Path(folder, "large.jsonl"), large)
        yield from _memory(small, manifest, large)
        yield from _checking(manifest, large, Path(folder))


def _memory(small: Path, manifest: Path, large: int) -> Iterator[Row]:
    with cloud() as port:
        little = child("memory", port=port, manifest=str(small), sent=_SMALL // 2)["peak_mb"]
        much = child("memory", port=port, manifest=str(manifest), sent=_SMALL // 2)["peak_mb"]
    yield at_most(f"peak memory, {large:,} entries / {_SMALL:,}", much / little, 1.5)
    yield at_most(f"peak memory, {large:,} entries", much, 150, "MB")


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
