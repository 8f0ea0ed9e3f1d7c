"""The files of a wave: where its journal lies, and how an old one is put aside."""

from datetime import datetime, timedelta
from pathlib import Path

import platformdirs

from batcher.clock import utc_now
from batcher.journal.errors import WaveRefused
from batcher.whole import led_to


def followed(path: Path) -> Path:
    """Where *path* leads, if it is a symbolic link, and *path* itself if not.

    A link given for the results stays: the wave belongs to the file that it leads to, and its other files lie beside
    that one. Raises `WaveRefused`.
    """
    if not path.name:
        raise WaveRefused(f"{path} is a folder: name a file in it")
    if not path.is_symlink():
        return path
    try:
        return led_to(path)
    except OSError as error:
        raise WaveRefused(f"{path} is a link that leads nowhere: {error.strerror}") from error


def journal_beside(results: Path) -> Path:
    """The journal of the wave whose results go to *results*. Raises `WaveRefused`."""
    results = followed(results)
    return results.with_name(f"{results.name}.journal")


def journal_of_output(digest: str) -> Path:
    """The journal of a wave whose results go to standard output, by its manifest's digest."""
    try:
        folder = platformdirs.user_state_path("batcher", appauthor=False) / "waves"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else "there is none"
        raise WaveRefused(
            f"with -o - the journal lies in the user's state folder, which cannot be used ({why}). Name another place "
            "with --journal"
        ) from None
    return folder / f"{digest.removeprefix('sha256:')[:32]}.journal"


def remove_journal(journal: Path) -> None:
    """Remove a journal that holds nothing."""
    for path in _parts(journal):
        path.unlink(missing_ok=True)


def put_aside(*files: Path) -> list[Path]:
    """Rename *files* (a journal with its companions), so that a new wave can take their names. Returns the new names.

    Raises OSError.
    """
    files = tuple(file for file in files if file.exists())
    now = utc_now()
    while any(_aside(file, now).exists() for file in files):
        now += timedelta(seconds=1)  # two in one second
    for file in files:
        for part, new in zip(_parts(file), _parts(_aside(file, now)), strict=True):
            if part.exists():
                part.rename(new)  # its log beside it, under a name by which it is found
    return [_aside(file, now) for file in files]


def _aside(path: Path, at: datetime) -> Path:
    return path.with_name(f"{path.name}.{at:%Y%m%dT%H%M%SZ}")


def _parts(journal: Path) -> list[Path]:
    return [journal, journal.with_name(f"{journal.name}-wal"), journal.with_name(f"{journal.name}-shm")]
