"""Where the time of a wave goes: its functions by the time spent in themselves, as cProfile has it."""

import cProfile
import io
import pstats
import sys

from _bench.child import wave
from _bench.common import cloud

_SHOWN = 40


def profile(entries: int = 5_000) -> str:
    """The profile of one wave, as text. What the journal's thread does is not in it."""
    profiler = cProfile.Profile()
    with cloud() as port:
        profiler.runcall(wave, port, entries, 32)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    return text.getvalue()


if __name__ == "__main__":
    sys.stdout.write(profile())
