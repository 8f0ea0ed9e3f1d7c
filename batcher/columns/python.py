"""The columns in Python: a module with one function, which reads lines into a data frame."""

from collections.abc import Callable, Mapping

from batcher.columns.kinds import Kind, ListColumn, RecordColumn, ValueColumn


def polars(what: str, columns: RecordColumn) -> str:
    """A module that reads lines into a polars DataFrame."""
    types = {
        ValueColumn.TEXT: "pl.String",
        ValueColumn.WHOLE: "pl.Int64",
        ValueColumn.TRUTH: "pl.Boolean",
        ValueColumn.MOMENT: 'pl.Datetime("ms", "UTC")',
    }

    def type_of(kind: Kind) -> str:
        match kind:
            case ListColumn():
                return f"pl.List({type_of(kind.item)})"
            case RecordColumn():
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


def pandas(what: str, columns: RecordColumn) -> str:
    """A module that reads lines into a pandas DataFrame."""
    types = {ValueColumn.TEXT: '"string"', ValueColumn.WHOLE: '"Int64"', ValueColumn.TRUTH: '"boolean"'}
    plain = {name: kind for name, kind in columns.fields.items() if isinstance(kind, ValueColumn) and kind in types}
    moments = [name for name, kind in columns.fields.items() if kind is ValueColumn.MOMENT]
    dated = "".join(f'    frame["{name}"] = pd.to_datetime(frame["{name}"], utc=True)\n' for name in moments)
    return f'''\
"""{what.capitalize()} lines of batcher as a pandas DataFrame.

Without dtype=False pandas makes numbers of ids and keys that look like some: 0123 becomes 123, 1e5 becomes 100000.0.
"""

import pandas as pd

COLUMNS = {_listed(columns.fields)}
TYPES = {_literal(RecordColumn(plain), lambda kind: types[kind] if isinstance(kind, ValueColumn) else "", "    ")}


def read_{what}s(file):
    """The lines of *file*. Objects, `labels` among them, are dicts: frame["labels"].str.get("NAME")."""
    frame = pd.read_json(file, lines=True, dtype=False).reindex(columns=COLUMNS).astype(TYPES)
{dated}    return frame
'''


def pyarrow(what: str, columns: RecordColumn) -> str:
    """A module that reads lines into a pyarrow Table."""
    types = {
        ValueColumn.TEXT: "pa.string()",
        ValueColumn.WHOLE: "pa.int64()",
        ValueColumn.TRUTH: "pa.bool_()",
        ValueColumn.MOMENT: 'pa.timestamp("ms", "UTC")',
    }

    def type_of(kind: Kind) -> str:
        match kind:
            case ListColumn():
                return f"pa.list_({type_of(kind.item)})"
            case RecordColumn():
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


def _without_labels(columns: RecordColumn) -> RecordColumn:
    return RecordColumn({name: kind for name, kind in columns.fields.items() if kind is not ValueColumn.LABELS})


def _literal(record: RecordColumn, type_of: Callable[[Kind], str], indent: str = "") -> str:
    """A dict of the fields with their types, as source text; on lines of their own where there is an *indent*."""
    items = [f'"{name}": {type_of(kind)}' for name, kind in record.fields.items()]
    if not indent:
        return f"{{{', '.join(items)}}}"
    return "{\n" + "".join(f"{indent}{item},\n" for item in items) + "}"


def _listed(names: Mapping[str, Kind]) -> str:
    return "[\n" + "".join(f'    "{name}",\n' for name in names) + "]"
