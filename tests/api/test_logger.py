"""When structlog is loaded, and whose set-up of it counts. Each in an interpreter of its own: a module loads once."""

import subprocess
import sys

_LOADED = "print('structlog' in sys.modules)"


def ran(*lines: str) -> tuple[list[str], list[str]]:
    """What *lines* of a program print to stdout, and to stderr."""
    code = "\n".join(["import sys", "from batcher import logs", "from batcher.logger import get_logger", *lines])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_a_line_that_is_not_shown_loads_nothing_and_the_first_that_is_does() -> None:
    said, logged = ran(
        "logs.configure('json', 'warning')",
        "get_logger().info('wave.progress', done=1)",
        _LOADED,
        "get_logger().warning('scope.paused', wait_s=2)",
        _LOADED,
        "get_logger().info('wave.progress', done=2)",
    )
    assert said == ["False", "True"]
    (line,) = logged
    assert line.startswith('{"event":"scope.paused","level":"warning","at":"')
    assert line.endswith('"wait_s":2}')


def test_a_program_that_sets_nothing_up_sees_warnings_on_stderr() -> None:
    said, logged = ran(
        "logs.stay_modest()", "get_logger().info('quiet')", "get_logger().error('journal.lost')", _LOADED
    )
    assert said == ["True"]
    assert [line.split()[2:] for line in logged] == [["error", "the", "journal", "is", "lost"]]


def test_a_program_that_sets_structlog_up_gets_every_event_whenever_it_does_so() -> None:
    its_own = "import structlog; structlog.configure(processors=[lambda _, level, event: f'{level} {event}'])"
    log = "get_logger().info('wave.begun', entries=3)"
    expected = ["info {'entries': 3, 'event': 'wave.begun'}"]
    assert ran(its_own, "logs.stay_modest()", log) == (expected, [])
    assert ran("logs.stay_modest()", its_own, log) == (expected, [])
