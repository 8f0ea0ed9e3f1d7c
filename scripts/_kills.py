"""Kills real waves with SIGKILL, at boundaries of durability and at random moments, and runs them again to their end.

    scripts/kill-waves --kills 200

The waves run in processes of their own, over loopback, against a simulated cloud, which in every second wave loses
a quarter of its answers; its ledger is the judge. Exits 1 where a comparison was made twice, or was not reported.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batcher.simulator.faults import NO_FAULTS
from tests.wave.killing import LOSSY, Died, at_random, kill_and_resume, nursery

_KILLS_A_WAVE = 10
_ENTRIES = 40


async def main() -> int:
    """Kill as often as the arguments say."""
    parser = argparse.ArgumentParser(
        prog="scripts/kill-waves", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the first wave (default: 0)")
    asked = parser.parse_args()
    total, seed = Died(), asked.seed
    with tempfile.TemporaryDirectory() as folder:
        async with nursery() as home:
            while total.kills < asked.kills:
                deaths = at_random(random.Random(seed), _KILLS_A_WAVE)
                faults = LOSSY if seed % 2 else NO_FAULTS
                wave = Path(folder) / str(seed)
                died = await kill_and_resume(home, wave, deaths, entries=_ENTRIES, faults=faults, seed=seed)
                for fault in died.faults:
                    print(f"seed {seed}: {fault}")
                total.add(died)
                seed += 1
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(total.statuses.items()))
    print(f"{total.kills} kills in {total.runs} runs of {seed - asked.seed} waves, {total.entries} entries: {statuses}")
    print(f"{len(total.faults)} promises broken")
    return 1 if total.faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
