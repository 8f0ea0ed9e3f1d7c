"""Following: what `watch` costs in memory and CPU, and in taking up a wave whose verdicts are all there."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.common import Row, at_most, child, cloud, write_results

_SMALL, _MIDDLE, _LARGE = 10_000, 100_000, 1_000_000


def rows(*, quick: bool) -> Iterator[Row]:
    """Each size once: every comparison has ended at its first look, and agrees."""
    most = {_SMALL: 150, _MIDDLE: 150, _LARGE: 200}  # MB
    peaks, cpu = {}, {}
    with TemporaryDirectory() as folder, cloud() as port:
        for entries in (_SMALL, _MIDDLE) if quick else (_SMALL, _MIDDLE, _LARGE):
            results = write_results(Path(folder, f"{entries}.jsonl"), entries, port)
            first = child("watching", results=str(results))
            again = child("watching", results=str(results))
            peaks[entries], cpu[entries] = max(first["peak_mb"], again["peak_mb"]), first["cpu_us_per_entry"]
            yield at_most(f"watch over {entries:,} results: peak memory", first["peak_mb"], most[entries], "MB")
            yield at_most("the same with every verdict there: peak memory", again["peak_mb"], most[entries], "MB")
            yield Row(
                subject=f"watch over {entries:,} results: CPU a verdict; taking it up again",
                figure=f"{first['cpu_us_per_entry']:.0f} µs; {again['wall_s']:.2f} s",
                raw={"first": first, "again": again},
            )
    yield at_most(f"watch over {_MIDDLE:,} results / {_SMALL:,}: peak memory", peaks[_MIDDLE] / peaks[_SMALL], 1.5)
