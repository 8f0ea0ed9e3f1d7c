"""JSON a piece at a time: a list of a million is never held as one text."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson


def json_pieces(value: Any, indent: bytes = b"") -> Iterator[bytes]:
    """*value* as orjson writes it with OPT_INDENT_2; an iterator becomes a list."""
    deeper = indent + b"  "
    if isinstance(value, Iterator):
        yield from _within(b"[", (json_pieces(one, deeper) for one in value), b"]", indent)
    elif isinstance(value, Mapping) and any(isinstance(one, Iterator | Mapping) for one in value.values()):
        named = (_named(name, one, deeper) for name, one in value.items())
        yield from _within(b"{", named, b"}", indent)
    else:
        yield orjson.dumps(value, option=orjson.OPT_INDENT_2).replace(b"\n", b"\n" + indent)


def _named(name: str, value: Any, indent: bytes) -> Iterator[bytes]:
    yield orjson.dumps(name) + b": "
    yield from json_pieces(value, indent)


def _within(opening: bytes, items: Iterator[Iterator[bytes]], closing: bytes, indent: bytes) -> Iterator[bytes]:
    yield opening
    some = False
    for item in items:
        yield b",\n  " + indent if some else b"\n  " + indent
        some = True
        yield from item
    yield b"\n" + indent + closing if some else closing
