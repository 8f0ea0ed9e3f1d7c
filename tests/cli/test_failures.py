"""What the wave's rooms raise becomes a sentence and an exit code."""

import pytest

from batcher.cli.failures import told
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.wave.request import OpeningStopped
from batcher.wave.sink import SinkFailed
from batcher.wave.stop import Stop, StopKind


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OpeningStopped(Stop(StopKind.SIGINT, "SIGINT received")), 130),
        (OpeningStopped(Stop(StopKind.SIGTERM, "SIGTERM received")), 143),
        (JournalFailed("cannot write the journal x: disk full"), 3),
        (SinkFailed("cannot open x for results: Permission denied"), 3),
        (NotAJournal("x is not a batcher journal"), 2),
    ],
)
def test_each_has_its_exit_code_and_keeps_its_words(error: Exception, code: int) -> None:
    with pytest.raises(UserError) as caught, told():
        raise error
    assert caught.value.exit_code == code
    assert str(error).rstrip(".") in caught.value.message


def test_defects_stay_defects() -> None:
    with pytest.raises(ZeroDivisionError), told():
        raise ZeroDivisionError
