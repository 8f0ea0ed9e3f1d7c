"""Plays simulated worlds: the real engine on a virtual clock, in a cloud where anything may go wrong.

    scripts/simulate-worlds --seeds 0:10000        many worlds; says how many a second, and which failed
    scripts/simulate-worlds --seed 4711 --trace    one world, everything that happened in it

For every fourth seed there is a second world, in which several waves share a process: --crowd plays that of --seed.
With --fleet it is worlds in which several machines share a journal: they freeze, lose leases, die, hand on.

A seed gives the same world every time. Exits 1 where a promise of the contract was broken.
"""

import argparse
import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.worlds import fleet, together
from tests.worlds.extras import world_of
from tests.worlds.fleet_judge import judge_fleet
from tests.worlds.fleet_spec import draw_fleet
from tests.worlds.judge import judge
from tests.worlds.many import DOUBTS, LEFT, Tally, play_crowds, play_fleets, play_many, quiet
from tests.worlds.world import play

_SHARE = 250  # worlds that one process plays at a time
_FLEET_SHARE = 25  # likewise of several machines
_CROWDS = 4  # of so many seeds one has a world of several waves as well


def main() -> int:
    """Play what the arguments say."""
    parser = argparse.ArgumentParser(
        prog="scripts/simulate-worlds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="0:2000", help="FIRST:END, the end not included (default: 0:2000)")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--crowd", action="store_true", help="with --seed: its world of several waves in one process")
    parser.add_argument("--fleet", action="store_true", help="worlds of several machines that share a journal")
    parser.add_argument("--trace", action="store_true", help="with --seed: print all that happened")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    asked = parser.parse_args()
    if asked.seed is not None:
        if asked.fleet:
            return _fleet(asked.seed, trace=asked.trace)
        return _crowd(asked.seed, trace=asked.trace) if asked.crowd else _one(asked.seed, trace=asked.trace)
    first, _, end = asked.seeds.partition(":")
    return _many(range(int(first), int(end)), asked.jobs, is_fleet=asked.fleet)


def _one(seed: int, *, trace: bool) -> int:
    if trace:
        print(world_of(seed), end="\n\n")
    with tempfile.TemporaryDirectory() as folder, quiet():
        history = play(seed, trace=trace, folder=Path(folder))
    if trace:
        print(*history.said, "", history.file.decode(), sep="\n")
    violations = judge(history)
    print("\n".join(map(str, violations)) or "no promise was broken")
    return 1 if violations else 0


def _crowd(seed: int, *, trace: bool) -> int:
    if trace:
        print(together.draw_crowd(seed), end="\n\n")
    with tempfile.TemporaryDirectory() as folder, quiet():
        told = together.play(seed, trace=trace, folder=Path(folder))
    if trace:
        print(*told.histories[0].said, *(history.file.decode() for history in told.histories), sep="\n")
    violations = together.judge_together(told)
    print("\n".join(map(str, violations)) or "no promise was broken")
    return 1 if violations else 0


def _fleet(seed: int, *, trace: bool) -> int:
    if trace:
        print(draw_fleet(seed), end="\n\n")
    with quiet():
        told = fleet.play_fleet(seed, trace=trace)
    print(*told.said, sep="\n")
    violations = judge_fleet(told)
    print("\n".join(map(str, violations)) or "no promise was broken")
    return 1 if violations else 0


def _many(seeds: range, jobs: int, *, is_fleet: bool) -> int:
    size = _FLEET_SHARE if is_fleet else _SHARE
    shares = [seeds[begin : begin + size] for begin in range(0, len(seeds), size)]
    total = Tally()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder, ProcessPoolExecutor(max_workers=jobs) as pool:
        for tally in pool.map(_fleets if is_fleet else _share, shares, [folder] * len(shares)):
            total.add(tally)
            for seed, violations in tally.broken.items():
                print(f"seed {seed}: {violations[0]}")
                print(f"    replay: scripts/simulate-worlds --seed {seed} --trace")
            for seed, violations in tally.crowds.items():
                print(f"seed {seed}, several waves: {violations[0]}")
                print(f"    replay: scripts/simulate-worlds --seed {seed} --crowd --trace")
            for seed, violations in tally.fleets.items():
                print(f"seed {seed}, several machines: {violations[0]}")
                print(f"    replay: scripts/simulate-worlds --fleet --seed {seed} --trace")
    print(f"{total.worlds} worlds, {total.worlds / total.seconds:.0f} a second on each core")
    print(", ".join(f"{count} {name}" for name, count in sorted(total.seen.items())))
    if doubts := total.seen[DOUBTS]:
        share = 1 - total.seen[LEFT] / doubts
        print(f"{share:.1%} of the doubts settled by themselves, where clocks agree and look-ups work")
    broken = len(total.broken) + len(total.crowds) + len(total.fleets)
    print(f"{broken} worlds broke a promise")
    return 1 if broken else 0


def _share(seeds: range, folder: str) -> Tally:
    tally = play_many(seeds, folder=Path(folder))
    tally.add(play_crowds([seed for seed in seeds if seed % _CROWDS == 0], folder=Path(folder)))
    return tally


def _fleets(seeds: range, _: str) -> Tally:
    return play_fleets(seeds)


def _memory() -> Path | None:
    """Files in memory where the machine has that, as disks are simulated anyway."""
    shm = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
