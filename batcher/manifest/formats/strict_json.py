"""JSON as RFC 8259 has it, from text, with a word on everything that Python's decoder lets pass.

Sound text is parsed by orjson or by the standard library's C scanner. Both silently take the last of
two equal keys. Every key has its colon, so the colons of the text are counted against those of the result written
anew; only where that does not come out even (or a colon is written as \\u003a) is the text parsed again by a decoder
that looks, which takes five times as long.
"""

import json
import re
from typing import Any

import orjson

from batcher.errors import BatcherError

_LONGEST_INT = 4000  # digits; Python refuses to convert more than 4300


def _sane_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


def _no_constant(name: str) -> Any:
    raise NotJson(f"{name} is no JSON value")


class NotJson(BatcherError, ValueError):
    """The text is not JSON; *problem* says why. *pos* is the offset in the text where known."""

    def __init__(self, problem: str, pos: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.pos = pos


class _Pairs:
    """Notes the keys that occur twice in an object."""

    def __init__(self) -> None:
        self.twice: list[str] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen and key not in self.twice:
                    self.twice.append(key)
                seen.add(key)
        return made


_scanner = json.JSONDecoder(parse_int=_sane_int, parse_constant=_no_constant)  # equal keys pass unnoticed


def parse(text: str) -> Any:
    """The value of *text*, which holds nothing else. Raises `NotJson`. Equal keys pass: see `twice_keys`."""
    try:
        value = _scanner.decode(text)
    except (ValueError, RecursionError) as error:
        raise _not_json(error, 0) from None
    if _too_deep(text, 0, len(text)):
        raise NotJson(_TOO_DEEP)
    return value


def value_at(text: str, at: int) -> tuple[Any, int]:
    """The value that begins at the offset *at* of *text*, and the offset of its end. Raises `NotJson`."""
    try:
        value, end = _scanner.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise _not_json(error, at) from None
    if _too_deep(text, at, end):
        raise NotJson(_TOO_DEEP)
    return value, end


def _not_json(error: ValueError | RecursionError, at: int) -> NotJson:
    """The decoder's *error* on what begins at *at*, in words for people. They are the same under every Python."""
    if isinstance(error, NotJson):
        return error
    if isinstance(error, RecursionError):
        return NotJson(_TOO_DEEP)
    if not isinstance(error, json.JSONDecodeError):
        return NotJson(str(error))
    if _too_deep(error.doc, at, error.pos):
        return NotJson(_TOO_DEEP)
    # Python 3.13 points at a comma too many and calls it one; before, the sign behind it was what was not expected.
    before = error.doc[at : error.pos].rstrip(" \t\r\n")
    closing = error.doc[error.pos : error.pos + 1]
    if before.endswith(",") and closing in _COMMA:
        return NotJson(_COMMA[closing], at + len(before) - 1)
    return NotJson(_words(error.msg), error.pos)


_TOO_DEEP = "the value is nested too deep"
_DEEPEST = 100  # an entry has eight levels; how many Python takes depends on its version and on the stack
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _too_deep(text: str, start: int, end: int) -> bool:
    """Whether *text*[*start*:*end*] opens more objects and lists inside each other than any entry has."""
    if text.count("[", start, end) + text.count("{", start, end) <= _DEEPEST:
        return False
    depth = 0
    for found in _BRACKET.finditer(text, start, end):
        sign = text[found.start()]
        depth += (sign in "[{") - (sign in "]}")
        if depth > _DEEPEST:
            return True
    return False


_COMMA = {"}": "there is a comma before the closing brace", "]": "there is a comma before the closing bracket"}

_WORDS = {
    "Expecting value": "a value is expected here",
    "Expecting ',' delimiter": "a comma is expected here, or the end of the list or object",
    "Expecting ':' delimiter": "a colon is expected here",
    "Expecting property name enclosed in double quotes": "a field name in double quotes is expected here",
    "Illegal trailing comma before end of object": _COMMA["}"],
    "Illegal trailing comma before end of array": _COMMA["]"],
    "Unterminated string starting at": "the text that begins here has no closing quote",
    "Invalid control character at": "there is a line break or control character inside a text",
    "Invalid \\escape": "a backslash begins no known escape; write \\\\ for a backslash",
    "Invalid \\uXXXX escape": "\\u is not followed by four hex digits",
    "Extra data": "there is something after the end",
}


def _words(message: str) -> str:
    return _WORDS.get(message.removesuffix(": "), message)


def twice_keys(value: Any, text: str, start: int = 0, end: int | None = None) -> list[str]:
    """The keys that occur twice in an object of *text*[*start*:*end*], which was parsed to *value*."""
    if text.count(":", start, end) == _colons(value) and text.find("\\u003", start, end) < 0:
        return []
    pairs = _Pairs()
    try:
        json.loads(text[start:end], object_pairs_hook=pairs, parse_int=_sane_int)
    except RecursionError:
        return []  # so deep that the checks refuse it anyway
    return pairs.twice


def _colons(value: Any) -> int:
    """How many colons *value* has when written as JSON: one a key, and those inside texts."""
    try:
        return orjson.dumps(value).count(b":")
    except TypeError:  # too deep, or with half a surrogate pair
        return -1
