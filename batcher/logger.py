"""The loggers of all modules. structlog, which is slow to import, is loaded by the first line that is to be shown.

A wave in which nothing is worth a line never loads it. Who writes the lines, and how, stands in `batcher.logs`; in a
program that has set structlog up, that program decides.
"""

import asyncio
import sys
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_least = 0
_set_up: Callable[[], None] | None = None  # waits until structlog is loaded
_scope: ContextVar[str | None] = ContextVar("scope", default=None)


def scope_name(endpoint: str, project_id: str) -> str:
    """A scope as log lines name it: `PROJECT@HOST`."""
    return f"{project_id}@{endpoint.partition('://')[2] or endpoint}"


def in_scope(endpoint: str, project_id: str) -> None:
    """What this task, and those that it makes from now on, log is about that scope: each line says so."""
    _scope.set(scope_name(endpoint, project_id))


class Logger:
    """structlog's logger of that name. An event is a fixed dotted name plus fields, all listed in `docs/logging.md`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **keys: Any) -> None:
        """What only a developer asks for."""
        self._log("debug", event, keys)

    def info(self, event: str, **keys: Any) -> None:
        """What goes as it should."""
        self._log("info", event, keys)

    def warning(self, event: str, **keys: Any) -> None:
        """What may need a look."""
        self._log("warning", event, keys)

    def error(self, event: str, **keys: Any) -> None:
        """What has gone wrong for good."""
        self._log("error", event, keys)

    def _log(self, level: str, event: str, keys: dict[str, Any]) -> None:
        if _is_shown(level):
            if (scope := _scope.get()) is not None:
                keys.setdefault("scope", scope)
            getattr(_structlog().get_logger(self._name), level)(event, **keys)


def get_logger(name: str = "batcher") -> Logger:
    """A logger whose events carry *name*."""
    return Logger(name)


def set_up_with(configure: Callable[[], None], *, least: str) -> None:
    """Have *configure* set structlog up: at once if it is loaded, else when a line of level *least* or above loads it.

    Then it is not called if a program has set structlog up itself in the meantime.
    """
    global _least, _set_up
    if "structlog" in sys.modules:
        _least, _set_up = 0, None
        configure()
    else:
        _least, _set_up = LEVELS[least], configure


async def ready_for(level: str) -> None:
    """Load structlog, if lines of *level* are shown, in a thread: it takes longer than a wave should stand still."""
    if _is_shown(level) and "structlog" not in sys.modules:
        await asyncio.to_thread(_structlog)


def is_set_up() -> bool:
    """Whether structlog is configured, or will be."""
    return _set_up is not None or ("structlog" in sys.modules and _structlog().is_configured())


def _is_shown(level: str) -> bool:
    """Whether lines of *level* may be shown; once structlog is there, it decides."""
    return "structlog" in sys.modules or LEVELS[level] >= _least


def _structlog() -> ModuleType:
    """structlog, set up."""
    global _set_up
    import structlog

    if _set_up is not None and not structlog.is_configured():
        _set_up()
    _set_up = None  # only now: a thread that logs meanwhile must find structlog configured
    return structlog
