"""Size: what a million entries cost in memory, in checking, and in taking up a wave that is done."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.common import Row, at_least, at_most, child, cloud, medians, write_manifest

_SMALL = 10_000


def rows(*, quick: bool) -> Iterator[Row]:
    """Against ten thousand entries, and against bare pydantic."""
    large = 100_000 if quick else 1_000_000
    with TemporaryDirectory() as folder:
        small = write_manifest(Path(folder, "small.jsonl"), _SMALL)
        manifest = write_manifest(Path(folder, "large.jsonl"), large)
        yield from _memory(small, manifest, large)
        yield from _checking(manifest, large)
        yield from _resuming(manifest, Path(folder, "done.jsonl"), large)


def _memory(small: Path, manifest: Path, large: int) -> Iterator[Row]:
    with cloud() as port:
        little = child("memory", port=port, manifest=str(small), sent=_SMALL // 2)["peak_mb"]
        much = child("memory", port=port, manifest=str(manifest), sent=_SMALL // 2)["peak_mb"]
    yield at_most(f"peak memory, {large:,} entries / {_SMALL:,}", much / little, 1.5)
    yield at_most(f"peak memory, {large:,} entries", much, 150, "MB")


def _checking(manifest: Path, large: int) -> Iterator[Row]:
    pairs = [(child("check", manifest=str(manifest)), child("validate", manifest=str(manifest))) for _ in range(2)]
    ours, theirs = (medians(runs) for runs in zip(*pairs, strict=True))
    yield at_least(
        f"rate of checking {large:,} rows / bare pydantic",
        ours["per_s"] / theirs["per_s"],
        0.5,
        raw={"ours": ours, "theirs": theirs},
    )
    yield Row(subject="rows checked a second", figure=f"{ours['per_s']:,.0f}/s")


def _resuming(manifest: Path, results: Path, large: int) -> Iterator[Row]:
    child("finish", manifest=str(manifest), results=str(results))
    taken = child("resume", manifest=str(manifest), results=str(results))
    yield at_most(f"taking up a wave of {large:,} that is done", taken["wall_s"], 10, "s", raw=dict(taken))
