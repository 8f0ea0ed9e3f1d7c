"""Prints how well a limit that nobody knows is found, one that changes followed, and what strays cost.

Simulated in virtual time over forty seeds: the figures on an unknown limit in docs/performance.md, in a few seconds.
"""

import sys
from pathlib import Path
from statistics import mean, median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batcher.pace.limit_finding.finder import LimitFinder
from batcher.rates import Rate
from tests.pace.simulated import Cloud, send_all

SEEDS = range(40)
STRAYS_OF = 600  # entries


def unknown_limits() -> None:
    """Against a client that knew the limit, one period aside."""
    print("| limit, refused requests count too | begun at | time, median | worst | turned away, median | worst |")
    print("| --- | --- | --- | --- | --- | --- |")
    ten, slow = Rate(10, 1.0), Rate(10, 60.0)
    for limit, entries, too_frequent in ((ten, 1000, False), (slow, 120, False), (ten, 1000, True), (slow, 120, True)):
        cloud = Cloud(limit=limit, too_frequent=too_frequent)
        told = ", told as DRS.M01503" if too_frequent else ""
        for start in ("auto", "off", "50/s"):
            times, refused = [], []
            for seed in SEEDS:
                knew = send_all(LimitFinder(limit), cloud, entries, seed=seed)
                found = send_all(_finder(start), cloud, entries, seed=seed)
                times.append((found.seconds - limit.period_s) / knew.seconds)
                refused.append(found.refused_after(limit.period_s) / entries)
            print(
                f"| {limit}{told}, {entries:,} entries | `--rate {start}` | {median(times):.2f} | {max(times):.2f} "
                f"| {median(refused):.1%} | {max(refused):.1%} |"
            )


def strays() -> None:
    """Against the same wave without strays, at 5/s."""
    rate = Rate(5, 1.0)
    print("\n| turned away for no reason of ours | `Retry-After` | time, mean | worst |")
    print("| --- | --- | --- | --- |")
    for share in (0.02, 0.05, 0.10):
        for says_s in (None, 1.0):
            cloud = Cloud(limit=None, strays=share, stray_says_s=says_s)
            times = [send_all(LimitFinder(rate), cloud, STRAYS_OF, seed=seed).seconds for seed in SEEDS]
            clean_s = STRAYS_OF / rate.per_s
            told = "none" if says_s is None else f"{says_s:g} s"
            print(f"| {share:.0%} | {told} | {mean(times) / clean_s:.2f} | {max(times) / clean_s:.2f} |")


def changes() -> None:
    """10/s, less from the 60th to the 160th second, and 10/s again."""
    print("\n| 10/s, then for 100 s | used meanwhile, mean | worst | used after, mean | worst | turned away, worst |")
    print("| --- | --- | --- | --- | --- | --- |")
    entries, ten = 2000, Rate(10, 1.0)
    for lower in (Rate(8, 1.0), Rate(5, 1.0), Rate(3, 1.0)):
        cloud = Cloud(limit=ten, changes=((60.0, lower), (160.0, ten)))
        courses = [send_all(LimitFinder(ten), cloud, entries, seed=seed) for seed in SEEDS]
        meanwhile = [course.let_in_between(70, 160) / (90 * lower.per_s) for course in courses]
        after = [course.let_in_between(170, 230) / (60 * ten.per_s) for course in courses]
        refused = max(len(course.refused) for course in courses) / entries
        print(
            f"| {lower} | {mean(meanwhile):.0%} | {min(meanwhile):.0%} | {mean(after):.0%} | {min(after):.0%} "
            f"| {refused:.1%} |"
        )


def _finder(start: str) -> LimitFinder:
    match start:
        case "auto":
            return LimitFinder(None, search=True)
        case "off":
            return LimitFinder(None)
        case rate:
            return LimitFinder(Rate.parse(rate))


if __name__ == "__main__":
    unknown_limits()
    strays()
    changes()
