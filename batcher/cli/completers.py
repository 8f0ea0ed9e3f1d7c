"""What a shell offers for the values of options: words that are known, and what stands in the files that are named.

Loaded only while a shell asks. What cannot be read offers nothing: a completion is no place for an error.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from batcher.errors import UserError

Words = Callable[[click.Context], Iterable[str]]
_MOST = 200  # offered
_LIST_OF = frozenset({"status", "kind", "recheck", "faults"})  # options that take several, with commas between


if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:  # older ones are not generic
    _Type = click.ParamType


class Completed(_Type):
    """A type whose values a shell is offered: *words* gives them."""

    def __init__(self, inner: _Type, words: Words, *, several: bool) -> None:
        self.name = inner.name
        self._inner = inner
        self._words = words
        self._several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """What the inner type makes of *value*."""
        return self._inner.convert(value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words that begin with what is typed, less those that are there already."""
        before, comma, begun = incomplete.rpartition(",") if self._several else ("", "", incomplete)
        taken = set(before.split(","))
        found = (word for word in self._words(ctx) if word.startswith(begun) and word not in taken)
        return [CompletionItem(f"{before}{comma}{word}") for word in islice(found, _MOST)]


def offer(command: click.Command) -> None:
    """Have a shell offer the values of *command*'s options."""
    for parameter in command.params:
        words = WORDS.get(parameter.name or "")
        if words is not None and isinstance(parameter, click.Option) and not parameter.is_flag:
            parameter.type = Completed(parameter.type, words, several=parameter.name in _LIST_OF)


def _statuses(_: click.Context) -> Iterable[str]:
    from batcher.life.result import Status

    return [status.value for status in Status]


def _kinds(_: click.Context) -> Iterable[str]:
    from batcher.drs.outcome import ErrorKind

    return [kind.value for kind in ErrorKind]


def _verdicts(_: click.Context) -> Iterable[str]:
    from batcher.follow.verdict import Verdict

    return [verdict.value for verdict in Verdict if verdict is not Verdict.CONSISTENT]


def _faults(_: click.Context) -> Iterable[str]:
    from batcher.simulator.faults import FAULTS, PROFILES

    return [*PROFILES, *FAULTS]


def _regions(_: click.Context) -> Iterable[str]:
    from batcher.drs.endpoints import regions

    return sorted(regions())


def _profiles(ctx: click.Context) -> Iterable[str]:
    import os

    from batcher.settings import find_config, read_config

    with suppress(UserError):
        file = read_config(find_config(ctx.params.get("config") or os.environ.get("BATCHER_CONFIG") or None))
        return sorted(file.profiles) if file is not None else ()
    return ()


def _zones(_: click.Context) -> Iterable[str]:
    from zoneinfo import available_timezones

    return ["local", "utc", *sorted(available_timezones())]


def _of_lines(field: str) -> Words:
    def words(ctx: click.Context) -> Iterable[str]:
        return dict.fromkeys(str(line[field]) for line in _lines(ctx) if isinstance(line.get(field), str))

    return words


def _labels(ctx: click.Context) -> Iterable[str]:
    pairs = (pair for line in _lines(ctx) for pair in (line.get("labels") or {}).items())
    return sorted({f"{name}={value}" for name, value in pairs})


def _lines(ctx: click.Context) -> Iterator[dict[str, Any]]:
    """The lines of the results files that are named before."""
    import orjson

    # Behind an option that has no value yet, click gives what stood before it as mere words.
    named = ctx.params.get("results") or tuple(word for word in ctx.args if not word.startswith("-"))
    for path in named if isinstance(named, tuple) else (named,):
        with suppress(OSError), Path(path).open("rb") as file:
            for text in file:
                with suppress(orjson.JSONDecodeError):
                    line = orjson.loads(text)
                    if isinstance(line, dict):
                        yield line


WORDS: dict[str, Words] = {
    "status": _statuses,
    "kind": _kinds,
    "recheck": _verdicts,
    "faults": _faults,
    "region": _regions,
    "profile": _profiles,
    "timezone": _zones,
    "key": _of_lines("key"),
    "keys": _of_lines("key"),
    "job": _of_lines("job_id"),
    "jobs": _of_lines("job_id"),
    "labels": _labels,
}
