"""The exit codes of every command; see `batcher.exits`."""

from batcher.exits import (
    CREATED,
    DEFECT,
    INCOMPLETE,
    OF_SIGNALS,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGTERM,
    STOPPED,
    UNSETTLED,
    USAGE,
)

__all__ = [
    "CREATED",
    "DEFECT",
    "INCOMPLETE",
    "OF_SIGNALS",
    "SIGHUP",
    "SIGINT",
    "SIGPIPE",
    "SIGTERM",
    "STOPPED",
    "UNSETTLED",
    "USAGE",
]
