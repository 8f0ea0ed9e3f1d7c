"""Following: what `watch` costs in memory and CPU, and in taking up a wave whose verdicts are all there."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from _bench.common import Row, at_most, child, cloud, command, write_manifest, write_results

_SMALL, _MIDDLE, _LARGE = 10_000, 100_000, 1_000_000
_MOST_MB = 130
# A third of the looks, and twice the lateness, of waiting for half of what is left and a quarter of the age at most.
_MOST_LOOKS, _MOST_LATE_S = 16.2 / 3, 2 * 7.9


def rows(*, quick: bool) -> Iterator[Row]:
    """Waves of two sizes to their end, where every comparison has ended at its first look and agrees.

    The largest is taken up twice: all of it running, for ten seconds of looks, and with every verdict there. By
    `run --wait` it is also followed from its first request to its last verdict, which takes eight minutes by itself.
    """
    yield from _looks()
    large = _MIDDLE if quick else _LARGE
    peaks = {}
    with TemporaryDirectory() as folder, cloud() as port:
        for entries in (_SMALL, _MIDDLE // 2) if quick else (_SMALL, _MIDDLE):
            results = write_results(Path(folder, f"{entries}.jsonl"), entries, port)
            found = child("watching", results=str(results))
            peaks[entries] = found["peak_mb"]
            yield Row(
                subject=f"watch over {entries:,} results: peak memory; CPU a verdict, its looks included",
                figure=f"{found['peak_mb']:.0f} MB; {found['cpu_us_per_entry']:.0f} µs",
                raw=found,
            )
        yield at_most("the same, peak memory of the larger / the smaller", max(peaks.values()) / peaks[_SMALL], 1.5)
        yield from _waiting(Path(folder), port, *((_MIDDLE // 2, _MIDDLE) if quick else (_MIDDLE, _LARGE)))
        results = write_results(Path(folder, "large.jsonl"), large, port)
        running = child("watching", results=str(results), timeout="10s")
        yield at_most(f"watch over {large:,} results that all run: peak memory", running["peak_mb"], _MOST_MB, "MB")
        child("follow", results=str(results))
        again = child("watching", results=str(results))
        yield at_most(
            f"taking up {large:,} verdicts that are there, no gate: peak memory", again["peak_mb"], _MOST_MB, "MB"
        )
        yield at_most(f"taking up {large:,} verdicts that are there, no gate", again["wall_s"], 30, "s", raw=again)
        whole = command("watch", str(results), "--read-rate", "off", "--insecure-http")
        subject = f"`watch` over {large:,} verdicts that are there, its gate included"
        yield at_most(f"{subject}: peak memory", whole["peak_mb"], _MOST_MB, "MB", raw=whole)
        yield Row(subject=f"{subject}: CPU time, wall time", figure=f"{whole['cpu_s']:.0f} s, {whole['wall_s']:.0f} s")


def _waiting(folder: Path, port: int, *sizes: int) -> Iterator[Row]:
    """`run --wait` of so many entries each, to the last verdict and the gate's word."""
    for size in sizes:
        manifest, results = write_manifest(folder / f"{size}.manifest.jsonl", size), folder / f"{size}.waited.jsonl"
        where = ("--endpoint", f"http://127.0.0.1:{port}", "--project-id", "p", "--rate", "off", "--read-rate", "off")
        taken = command("run", str(manifest), "-o", str(results), *where, "--wait")
        subject = f"run --wait over {size:,} entries"
        yield at_most(f"{subject}: peak memory", taken["peak_mb"], _MOST_MB, "MB", raw=taken)
        yield Row(
            subject=f"{subject}: CPU an entry, its verdict and start-up included",
            figure=f"{taken['cpu_s'] / size * 1e6:.0f} µs",
        )


def _looks() -> Iterator[Row]:
    """Simulated: 10,000 comparisons of 180 s in the median (lognormal, sigma 1)."""
    looks, late_s = _played(random.Random(1), 10_000, shown=True)
    yield Row(
        subject="looks a verdict, and how late it is told; progress shown, 15% off at most",
        figure=f"{looks:.1f}, {late_s:.1f} s",
        bound=f"≤ {_MOST_LOOKS:.1f}, {_MOST_LATE_S:.1f} s",
        good=looks <= _MOST_LOOKS and late_s <= _MOST_LATE_S,
        raw={"looks": looks, "late_s": late_s},
    )
    looks, late_s = _played(random.Random(1), 10_000, shown=False)
    yield Row(subject="the same, no progress shown", figure=f"{looks:.1f}, {late_s:.1f} s")


def _played(rng: random.Random, verdicts: int, *, shown: bool) -> tuple[float, float]:
    from batcher.pace.polling import PollPolicy, next_look_s

    polling, looks, late_s = PollPolicy(), 0, 0.0
    for _ in range(verdicts):
        lasts_s, age_s = 180 * math.exp(rng.gauss(0, 1)), polling.soonest_s
        while age_s < lasts_s:
            looks += 1
            done = min(0.999, age_s / lasts_s * rng.uniform(0.85, 1.15)) if shown else None
            age_s += next_look_s(age_s, done, polling, rng.random())
        looks += 1
        late_s += age_s - lasts_s
    return looks / verdicts, late_s / verdicts
