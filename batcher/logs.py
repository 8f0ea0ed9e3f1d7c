"""structlog, set up for a run: lines for people or a JSON object each, always to stderr, secrets masked."""

import re
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, Literal, Protocol

import orjson

from batcher import zone
from batcher.clock import utc_now
from batcher.log_events import SENTENCES
from batcher.logger import LEVELS, is_set_up, set_up_with
from batcher.masking import mask, mask_text, register_environment

LogFormat = Literal["console", "json"]
Render = Callable[[object, str, MutableMapping[str, Any]], str]


class LogWriter(Protocol):
    """Where finished lines go."""

    def __call__(self, line: str) -> None:
        """Write *line*, which has no newline of its own."""
        ...


class _Stream:
    """Lines to a stream, or to what is stderr by then; one write each, so that lines of two processes do not mix."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream

    def __call__(self, line: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()


class _LineLogger:
    """What structlog calls last; every level ends in the sink that is in place at that moment."""

    def _write(self, line: str) -> None:
        _sink(line)

    debug = info = warning = error = critical = exception = msg = log = _write


_sink: LogWriter = _Stream()


def configure(
    log_format: LogFormat = "console",
    level: str = "info",
    *,
    stream: IO[str] | None = None,
    color: bool = False,
    brief: bool = False,
) -> None:
    """Set logging up for this process. *level* is the least important level shown; *stream* is stderr.

    *brief* lines for people leave out what such a person is told elsewhere: that a signal stops the wave, and all but
    the first sentence of why a scope stopped, which stands in the summary.

    Secrets in the environment are registered for masking; register others with `masking.register_secret`.
    """
    global _sink
    register_environment()
    _sink = _Stream(stream)
    render = _json if log_format == "json" else _Console(color, brief)
    set_up_with(lambda: _configure(level, render), least=level)


def _configure(level: str, render: Render) -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _stamp,
            structlog.processors.format_exc_info,
            _mask,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=False,
    )


def stay_modest() -> None:
    """In a program that has not set structlog up: warnings and errors, to stderr.

    By itself structlog prints everything, and on stdout, which is for that program's data.
    """
    if not is_set_up():
        configure(level="warning")


@contextmanager
def through(sink: LogWriter) -> Iterator[None]:
    """Send log lines to *sink* for a while: above a live progress line, say."""
    global _sink
    before, _sink = _sink, sink
    try:
        yield
    finally:
        _sink = before


def _stamp(_: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The event's name first, then its level and time, then what it carries, in the order given."""
    stamped = {
        "event": event.pop("event", ""),
        "level": "error" if level == "exception" else level,
        "at": utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return {**stamped, **event}


def _mask(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: mask(value, name) for name, value in event.items()}


def _json(_: object, __: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()


_COLORS = {"debug": "2", "info": "36", "warning": "33", "error": "31;1", "critical": "31;1"}


class _Console:
    """`14:03:07 +02:00 warning the scope stopped  reason=…`: the event's sentence; the time in the zone people read."""

    def __init__(self, color: bool, brief: bool = False) -> None:
        self._color = color
        self._brief = brief

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> str:
        rest = self._shortened(event) if self._brief else dict(event)
        name, level, at = str(rest.pop("event")), rest.pop("level"), rest.pop("at")
        trace = rest.pop("exception", None)
        when = zone.clock_text(datetime.fromisoformat(at))
        pairs = " ".join(f"{self._paint(key, '2')}={_console_value(value)}" for key, value in rest.items())
        said = SENTENCES.get(name, name)
        line = f"{self._paint(when, '2')} {self._paint(f'{level:7}', _COLORS.get(level, '0'))} {said}"
        return mask_text("\n".join(filter(None, [f"{line}  {pairs}".rstrip(), trace])))

    def _shortened(self, event: MutableMapping[str, Any]) -> dict[str, Any]:
        import structlog

        if event["event"] == "wave.stopping" and "signal" in event:
            raise structlog.DropEvent
        reason = event.get("reason")
        if event["event"] == "scope.stopped" and isinstance(reason, str):
            return {**event, "reason": re.split(r"(?<=[^.]{20})[.:] ", reason, maxsplit=1)[0]}
        return dict(event)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


def _console_value(value: Any) -> str:
    match value:
        case str():
            # Control characters never reach the terminal: an answer of the cloud could carry some.
            plain = value.isprintable() and value and not any(sign in value for sign in " =\"'")
            return value if plain else orjson.dumps(value).decode().replace("\x7f", "\\u007f")
        case float():
            return f"{value:.6g}"
        case None:
            return "-"
        case dict() | list():
            return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)
