"""What the wave's own rooms raise before or while it begins, turned into sentences and exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager

from batcher.cli import exits
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.wave.opening import BadManifest
from batcher.wave.request import OpeningStopped
from batcher.wave.sink import SinkFailed


@contextmanager
def told(*, as_json: bool = False) -> Iterator[None]:
    """Turn the errors of opening and running a wave into `UserError`s; findings are printed as `check` prints them."""
    try:
        yield
    except BadManifest as error:
        from batcher.cli.commands.check import print_findings

        print_findings(error.found, entries=error.entries, as_json=as_json)
        raise UserError("nothing was sent") from error
    except NotAJournal as error:
        raise UserError(f"{error}.") from error
    except (JournalFailed, SinkFailed) as error:
        raise UserError(f"{error}.", exit_code=exits.STOPPED) from error
    except OpeningStopped as error:
        raise UserError(error.message, exit_code=exits.OF_SIGNALS[error.stop.kind.name]) from error
