"""Time is read in one place, and handed to everything else: else a rehearsal or a simulated world would tell lies."""

import ast
from pathlib import Path

import batcher
from batcher.clock import SystemClock, same_start

HOME = Path(batcher.__file__).parent
READS = {
    ("time", name)
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "clock_gettime", "localtime", "gmtime")
}
READS |= {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}


def reads(path: Path) -> set[tuple[str, str]]:
    """The ways of reading the time that a module names."""
    named = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute))
    found = {(node.value.id, node.attr) for node in named if isinstance(node.value, ast.Name)}
    return found & READS


def test_no_module_but_the_clock_reads_the_time() -> None:
    assert {path.relative_to(HOME).as_posix() for path in HOME.rglob("*.py") if reads(path)} == {"clock.py"}


def test_the_boot_clock_is_never_behind_the_monotonic_one() -> None:
    """It counts on while the machine is suspended."""
    clock = SystemClock()
    before = clock.monotonic()
    assert clock.boot() >= before - 0.01
    assert clock.boot() <= clock.boot()


def test_times_of_this_machine_compare() -> None:
    assert SystemClock().timebase == SystemClock().timebase


class Laptop(SystemClock):
    """A machine whose lid is closed at times."""

    asleep_s = jitter_s = 0.0

    def boot(self) -> float:
        """It counts that."""
        return self.monotonic() + self.asleep_s + self.jitter_s


def test_times_before_and_after_a_suspension_do_not_compare() -> None:
    """Neither with each other, nor with what the cloud's clock showed: only what came first can be told."""
    clock = Laptop()
    before = clock.timebase
    assert before == SystemClock().timebase
    clock.jitter_s = 0.02  # the two clocks were not read at one moment
    assert clock.timebase == before
    clock.asleep_s = 3600.0
    after = clock.timebase
    assert after != before
    clock.jitter_s = -0.02
    assert clock.timebase == after == _another(3600.0).timebase
    assert same_start(before, after)
    assert not same_start(before, "another")
    clock.asleep_s += 20.0
    assert clock.timebase not in (before, after)


def _another(asleep_s: float) -> Laptop:
    clock = Laptop()
    clock.asleep_s = asleep_s
    return clock
