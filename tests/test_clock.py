"""Time is read in one place, and handed to everything else: else a rehearsal or a simulated world would tell lies."""

import ast
from pathlib import Path

import batcher
from batcher.clock import SystemClock

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
