"""JSON as RFC 8259 has it, from text, with a word on everything that Python's decoder lets pass.

Sound text is parsed by orjson or by the standard library's C scanner. Both silently take the last of
two equal keys. Every key has its colon, so the colons of the text are counted against those of the result written
anew; only where that does not come out even (or a colon is written as \\u003a) is the text parsed again by a decoder
that looks, which takes five times as long.
"""

import json
from typing import Any

import orjson

_LONGEST_INT = 4000  # digits; Python refuses to convert more than 4300


def _sane_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)


def _no_constant(name: str) -> Any:
    raise NotJson(f"{name} is no JSON value")


class NotJson(ValueError):
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


scanner = json.JSONDecoder(parse_int=_sane_int, parse_constant=_no_constant)
"""Parses a value at an offset (`raw_decode`); equal keys pass unnoticed."""


def parse(text: str) -> Any:
    """The value of *text*, which holds nothing else. Raises `NotJson`. Equal keys pass: see `twice_keys`."""
    try:
        return scanner.decode(text)
    except (ValueError, RecursionError) as error:
        raise not_json(error) from None


def not_json(error: ValueError | RecursionError) -> NotJson:
    """The decoder's *error* in words for people."""
    if isinstance(error, NotJson):
        return error
    if isinstance(error, RecursionError):
        return NotJson("the value is nested too deep")
    if isinstance(error, json.JSONDecodeError):
        return NotJson(_words(error.msg), error.pos)
    return NotJson(str(error))


_WORDS = {
    "Expecting value": "a value is expected here",
    "Expecting ',' delimiter": "a comma is expected here, or the end of the list or object",
    "Expecting ':' delimiter": "a colon is expected here",
    "Expecting property name enclosed in double quotes": "a field name in double quotes is expected here",
    "Illegal trailing comma before end of object": "there is a comma before the closing brace",
    "Illegal trailing comma before end of array": "there is a comma before the closing bracket",
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
