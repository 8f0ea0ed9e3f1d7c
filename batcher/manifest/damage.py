"""Texts that programs have ruined on their way into a manifest: rounded numbers, formula errors, words for nothing.

A spreadsheet, a database or a data frame writes such a text without a word, and it looks like an id or a name ever
after. Told is what nobody means. What may be meant, such as an id of digits alone, is let pass.
"""

import re
from collections.abc import Collection, Iterable
from enum import Enum

from msgspec import Struct

from batcher.manifest.findings import shown

KNOWN_NOTHINGS = {
    "NULL": "databases and DBeaver write it",
    "null": "databases and JavaScript write it",
    r"\N": "MySQL and PostgreSQL write it",
    "(null)": "Oracle's SQL Developer and SQL Server's tools write it",
    "[NULL]": "DBeaver writes it",
    "nan": "numpy and pandas write it",
    "NaN": "numpy and pandas write it",
    "NaT": "pandas writes it",
    "<NA>": "pandas writes it",
    "None": "Python writes it",
    "undefined": "JavaScript writes it",
    "(error)": "miller writes it where it cannot compute",
}
"""Texts by which programs say that there is no value, and which programs these are."""

_ALSO_IN_IDS = {"NA": "R writes it", "-": "it stands for nothing in tables for people", "#": "it names nothing"}
_ALSO_IN_IDS |= dict.fromkeys(
    ("N/A", "n/a", "none", "NONE", "Null", "nil", "NAN", "Nan", "--"), "people and their tools write it"
)
_WORDS = frozenset((*KNOWN_NOTHINGS, *_ALSO_IN_IDS))
_EXPORT_EMPTY = "Leave it empty: na_rep='' in pandas, na = \"\" in R, \\pset null '' in psql, COALESCE(…, '') in SQL"

_ERROR = re.compile(r"#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NULL!|NUM!|SPILL!|CALC!|FIELD!|GETTING_DATA)|Err:\d{3}")
_TOO_NARROW = re.compile(r"#{3,}")
_FORMULA = re.compile(r'="?(.*?)"?', re.DOTALL)
_EXPONENT = re.compile(r"[+-]?\d+(?:([.,])\d+)?([Ee])([+-]?)(\d+)")
_FRACTION = re.compile(r"[+-]?(\d+)[.,]0+")
_THOUSANDS = re.compile(r"\d{1,3}(?:([.,' \u00a0\u202f])\d{3})(?:\1\d{3})*")
_ROW_COUNT = re.compile(r"\(\d+ rows?\)")
QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "\u2018": "\u2019", "«": "»", "[": "]"}
QUOTE_SIGNS = frozenset((*QUOTES, *QUOTES.values()))
_SURELY_NUMBER = 5  # digits before ".0" that no version has, such as 1.0

_AS_TEXT = (
    'keep ids as text: format the column as text in a spreadsheet, dtype=str in pandas, colClasses="character" in R'
)
_LOST = f"Its digits are lost: take it from its source again, and {_AS_TEXT}"


class ExpectedText(Enum):
    """What a text is expected to be."""

    ID = "id"
    KEY = "key"
    LABEL = "label"
    NAME = "name"  # of a database or a table


class Damage(Struct, frozen=True):
    """What happened to a text, who does so, and the way out."""

    problem: str
    mend: str


def damage_of(text: str, place: ExpectedText) -> Damage | None:
    """What some program made of the text that stands at *place*; None where it may be as it was meant."""
    if not text:
        return None
    if text in _WORDS:
        return _nothing(text, place)
    if text.isalnum() and not text[:1].isdecimal():
        return None
    if _ERROR.fullmatch(text):
        return Damage("is the error of a formula in a spreadsheet", "Mend the formula, and export again")
    if _TOO_NARROW.fullmatch(text):
        mend = "Widen the column, or export values and not what the cells show"
        return Damage("is what a spreadsheet shows in a column that is too narrow", mend)
    if exponent := _EXPONENT.fullmatch(text):
        return _exponent(exponent, place)
    if (fraction := _FRACTION.fullmatch(text)) and (place is ExpectedText.ID or len(fraction[1]) >= _SURELY_NUMBER):
        problem = "was made a number with a fraction, as pandas, csvkit and SQL's float types do with columns of digits"
        return Damage(problem, f"Leading zeros may be lost: take it from its source again, and {_AS_TEXT}")
    if text[:2] == '="' or (text[:1] == "=" and place is ExpectedText.ID):
        written = _FORMULA.fullmatch(text)
        return Damage(
            "is a formula of a spreadsheet", f"Write {shown(written[1]) if written and written[1] else 'its value'}"
        )
    return _of_id(text) if place is ExpectedText.ID else _quoted(text) if place is ExpectedText.NAME else None


def nothing(text: object) -> str | None:
    """Who writes *text* for nothing; None where it says something."""
    return KNOWN_NOTHINGS.get(text) if type(text) is str else None


def says_nothing(id_: str) -> bool:
    """Whether *id_*, which stands for a job or a project, is a word for nothing."""
    return id_ in _WORDS


def surely_plain(texts: Collection[str]) -> bool:
    """Whether all *texts* are ids without any damage, told without a look at each: of letters, digits, `-_/:`."""
    joined = "".join(texts)
    if not _WORDS.isdisjoint(texts) or "Err:" in joined:
        return False
    return not joined.encode("utf-8", "replace").translate(None, _PLAIN)


def surely_sound(values: Iterable[str]) -> bool:
    """Whether no damage can be in *values*, as all of them are words of letters."""
    return all(value.isalpha() for value in values) and _WORDS.isdisjoint(values)


_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_/:"


def _nothing(text: str, place: ExpectedText) -> Damage | None:
    who = KNOWN_NOTHINGS.get(text)
    if who is None and (place is ExpectedText.ID or (place is ExpectedText.KEY and text == "NA")):
        who = _ALSO_IN_IDS[text]
    return Damage(f"is a word for nothing: {who}", _EXPORT_EMPTY) if who else None


def _exponent(found: re.Match[str], place: ExpectedText) -> Damage | None:
    """What wrote a number with an exponent. 12e4567 and 12e-45 may be ids, and 1.5e-3 somebody's tolerance."""
    point, letter, sign, digits = found.groups()
    if not point and sign != "+":
        return None
    if place in (ExpectedText.LABEL, ExpectedText.NAME) and (sign == "-" or not (sign or len(digits) > 1)):
        return None
    if letter == "e":
        who = (
            "as R, pandas, polars, DuckDB, SQLite and PostgreSQL write floats"
            if sign
            else "as MySQL and MariaDB write doubles"
        )
    elif not sign:
        who = "as Java tools such as DBeaver and Spark write doubles"
    else:
        who = {1: "as csvkit does", 3: "as LibreOffice does with long ones"}.get(
            len(digits), "as Excel, gnumeric and LibreOffice do"
        )
    return Damage(f"was made a number with an exponent, {who}", _LOST)


def _of_id(text: str) -> Damage | None:
    if text.endswith(("…", "...")):
        return Damage("is cut short", "Write the whole id")
    if _THOUSANDS.fullmatch(text):
        return Damage("was made a number with separators of thousands", _LOST)
    if _ROW_COUNT.fullmatch(text):
        return Damage("is the count of rows that psql writes at the end", "Export with psql --csv, or take it out")
    if text[0] == "#":
        return Damage("begins with #, and a manifest has no comments", "Take the line out")
    if text[0] == "'" and not text.endswith("'"):
        return Damage("begins with the apostrophe by which spreadsheets mark text", f"Write {shown(text[1:])}")
    return _quoted(text)


def _quoted(text: str) -> Damage | None:
    bare = unquoted(text)
    return None if bare == text else Damage("stands in quotes of its own", f"Write {shown(bare)}")


def unquoted(name: str) -> str:
    """*name* without the quotes or backticks around it."""
    if len(name) > 2 and QUOTES.get(name[0]) == name[-1] and name[-1] not in (inner := name[1:-1]):
        return inner.strip() or name
    return name


_SIGNS = "#=+\\"


def has_signs(text: str) -> bool:
    """Whether *text*, of a name or of many entries, has a sign without which `ruined_name` tells nothing."""
    return any(sign in text for sign in _SIGNS)


def ruined_name(name: str) -> Damage | None:
    """What some program made of *name*, which JSON gives to a database or a table, where nothing is so called.

    Words for nothing and quotes are let pass: JSON is the way to write a name that is really so.
    """
    if not has_signs(name) or unquoted(name) != name:
        return None
    return damage_of(name, ExpectedText.NAME)
