"""What all tests share: the marker `virtual_time`, which runs an async test on a virtual clock."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from batcher import logger, logs, masking, zone
from batcher.cli import main
from tests.cli.commands import kill_programs
from tests.virtual import VirtualLoop, libraries_on_loop_time

# How long an example takes says more about the machine than about the code.
settings.register_profile("batcher", deadline=None)
settings.load_profile("batcher")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: the test's event loop jumps to its next timer (tests/virtual.py)")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def _libraries_on_loop_time(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("virtual_time"):
        with libraries_on_loop_time():
            yield
    else:
        yield


@pytest.fixture(autouse=True)
def _logging_as_at_first() -> Iterator[None]:
    """A test that sets logging up leaves nothing of it to the next, whichever that is."""
    sink = logs._sink
    yield
    logger._least, logger._set_up = 0, None
    logs._sink = sink
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _process_as_at_first() -> Iterator[None]:
    """Nor does one that runs a command here leave its time zone, or how seldom it has garbage looked for."""
    zone.choose("utc")
    thresholds = gc.get_threshold()
    yield
    zone.choose_by(lambda: zone.UTC_NAME)
    if main._after_the_first_look in gc.callbacks:
        gc.callbacks.remove(main._after_the_first_look)
    gc.set_threshold(*thresholds)


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    """What a test registers as a secret is forgotten after it: other tests may use such words for other things."""
    known = masking._registered, masking._whole
    before = [set(words) for words in known]
    yield
    for words, those in zip(known, before, strict=True):
        words.clear()
        words.update(those)


@pytest.fixture(autouse=True)
def _no_program_left() -> Iterator[None]:
    yield
    kill_programs()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, with a home of its own, and with a token and a project in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATCHER_TOKEN", "simulated-token")
    monkeypatch.setenv("BATCHER_PROJECT_ID", "project-a")
