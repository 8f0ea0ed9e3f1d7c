"""The columns in Python: a module with one function, which reads lines into a data frame."""

from collections.abc import Callable, Mapping

from batcher.columns.kinds import Kind, ListOf, Plain, Record


def polars(what: str, columns: Record) -> str:
    """A module that reads lines into a polars DataFrame."""
    types = {
        Plain.TEXT: "pl.String",
        Plain.WHOLE: "pl.Int64",
        Plain.TRUTH: "pl.Boolean",
        Plain.MOMENT: 'pl.Datetime("ms", "UTC")',
    }

    def type_of(kind: Kind) -> str:
        match kind:
            case ListOf():
                return f"pl.List({type_of(kind.item)})"
            case Record():
                return f"pl.Struct({_literal(kind, type_of)})"
            case _:
                return types[kind]

    return f'''\
"""{what.capitalize()} lines of batcher as a polars DataFrame.

Without these types polars guesses them from the first 100 lines; it stops at an error that comes later, and leaves
out a label that it has not met there.
"""

import polars as pl

TYPES = {_literal(_without_labels(columns), type_of, "    ")}


def read_{what}s(file):
    """The lines of *file*. `labels` has a field for each label that the file has: all lines are looked at."""
    return pl.read_ndjson(file, schema_overrides=TYPES, infer_schema_length=None)
'''


def pandas(what: str, columns: Record) -> str:
    """A module that reads lines into a pandas DataFrame."""
    types = {Plain.TEXT: '"string"', Plain.WHOLE: '"Int64"', Plain.TRUTH: '"boolean"'}
    plain = {name: kind for name, kind in columns.fields.items() if isinstance(kind, Plain) and kind in types}
    moments = [name for name, kind in columns.fields.items() if kind is Plain.MOMENT]
    dated = "".join(f'    frame["{name}"] = pd.to_datetime(frame["{name}"], utc=True)\n' for name in moments)
    return f'''\
"""{what.capitalize()} lines of batcher as a pandas DataFrame.

Without dtype=False pandas makes numbers of ids and keys that look like some: 0123 becomes 123, 1e5 becomes 100000.0.
"""

import pandas as pd

COLUMNS = {_listed(columns.fields)}
TYPES = {_literal(Record(plain), lambda kind: types[kind] if isinstance(kind, Plain) else "", "    ")}


def read_{what}s(file):
    """The lines of *file*. Objects, `labels` among them, are dicts: frame["labels"].str.get("NAME")."""
    frame = pd.read_json(file, lines=True, dtype=False).reindex(columns=COLUMNS).astype(TYPES)
{dated}    return frame
'''


def pyarrow(what: str, columns: Record) -> str:
    """A module that reads lines into a pyarrow Table."""
    types = {
        Plain.TEXT: "pa.string()",
        Plain.WHOLE: "pa.int64()",
        Plain.TRUTH: "pa.bool_()",
        Plain.MOMENT: 'pa.timestamp("ms", "UTC")',
    }

    def type_of(kind: Kind) -> str:
        match kind:
            case ListOf():
                return f"pa.list_({type_of(kind.item)})"
            case Record():
                return f"pa.struct({_literal(kind, type_of)})"
            case _:
                return types[kind]

    return f'''\
"""{what.capitalize()} lines of batcher as a pyarrow Table.

Without these types pyarrow guesses them block by block, and fails where a column is null in one and not in the next.
"""

import pyarrow as pa
from pyarrow import json

TYPES = {_literal(_without_labels(columns), type_of, "    ")}
BLOCK = 64 << 20  # bytes; no line may be longer


def read_{what}s(file, labels=()):
    """The lines of *file*. Name the *labels* that you use: the type of others is guessed, from dates for one."""
    named = pa.struct({{name: pa.string() for name in labels}})
    schema = pa.schema({{**TYPES, "labels": named}})
    return json.read_json(
        file,
        read_options=json.ReadOptions(block_size=BLOCK),
        parse_options=json.ParseOptions(explicit_schema=schema),
    )
'''


def _without_labels(columns: Record) -> Record:
    return Record({name: kind for name, kind in columns.fields.items() if kind is not Plain.LABELS})


def _literal(record: Record, type_of: Callable[[Kind], str], indent: str = "") -> str:
    """A dict of the fields with their types, as source text; on lines of their own where there is an *indent*."""
    items = [f'"{name}": {type_of(kind)}' for name, kind in record.fields.items()]
    if not indent:
        return f"{{{', '.join(items)}}}"
    return "{\n" + "".join(f"{indent}{item},\n" for item in items) + "}"


def _listed(names: Mapping[str, Kind]) -> str:
    return "[\n" + "".join(f'    "{name}",\n' for name in names) + "]"
