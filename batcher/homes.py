"""The user's home, which there may be none of: in a container, for a service, for a user without a name."""

import os
from pathlib import Path


def home() -> Path | None:
    """The user's home; None where nobody knows it."""
    found = os.path.expanduser("~")  # noqa: PTH111 - Path.home raises where there is none
    return Path(found) if os.path.isabs(found) else None  # noqa: PTH117 - as it is


def expanded(path: Path | str) -> Path:
    """*path* with a home in the place of its `~`; as it is where there is no such home."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises there


def is_file(path: Path) -> bool:
    """Whether *path* is a file that we can get at: also where a folder above it may not be entered."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises there
