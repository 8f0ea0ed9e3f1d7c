"""Any bytes in: findings or entries out, never a traceback."""

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batcher.manifest import Entry, Finding, ManifestError, RunDefaults, finding_line, open_manifest
from tests.manifest.reading import DEFAULTS, NOW
from tests.manifest.strategies import elements

FORMATS = st.sampled_from(["csv", "json", "jsonl"])
relaxed = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def outcome(content: bytes, format: str, defaults: RunDefaults = DEFAULTS) -> list[Entry | Finding]:
    """What reading *content* gives; every finding can be shown on one line of a terminal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wave"
        path.write_bytes(content)
        try:
            items = list(open_manifest(path, format).read(defaults, now=NOW, allow_duplicates=False))
        except ManifestError as error:
            items = [error.finding]
    assert items
    for item in items:
        if isinstance(item, Finding):
            line = finding_line(item)
            assert line.isprintable()
            assert line.endswith((".", "?"))
            line.encode()
        else:
            assert json.loads(item.request.to_wire())["job_id"]
    indexes = [item.index for item in items if item.index is not None]
    assert indexes == sorted(indexes)
    return items


@relaxed
@given(st.binary(max_size=200), FORMATS)
@example(b"\xef\xbb\xbf[{}]", "json")
@example(b'job_id\n"', "csv")
def test_any_bytes(content: bytes, format: str) -> None:
    """Noise is told, not thrown."""
    outcome(content, format)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["job_id", "data_level_compare_info", "compare_type", "compare_object_infos", "db_name", "labels", "x"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@relaxed
@given(JSON, st.booleans())
def test_any_json(value: Any, wrapped: bool) -> None:
    """Of the wrong shape and type at every place."""
    content = {"defaults": value, "entries": [value]} if wrapped else [value, value]
    outcome(json.dumps(content).encode(), "json")
    outcome(json.dumps(value).encode(), "jsonl", RunDefaults())


@relaxed
@given(elements(), st.data())
def test_a_sound_entry_with_one_field_spoilt(element: dict[str, Any], data: st.DataObject) -> None:
    """The rest of it is still judged."""
    name = data.draw(st.sampled_from(sorted(element)))
    outcome(json.dumps([{**element, name: data.draw(JSON)}]).encode(), "json")


CELLS = st.one_of(st.text(max_size=6), st.sampled_from(["", "objects", "keep", "lines", "db: t", "[{", '"', "[1]"]))


@relaxed
@given(st.lists(st.lists(CELLS, max_size=4), max_size=4), st.sampled_from(",;\t"))
def test_any_cells(rows: list[list[str]], delimiter: str) -> None:
    """Under a proper header."""
    header = ["job_id", "object_level_compare_type", "compare_object_infos", "label.a"]
    text = "\n".join(delimiter.join(row) for row in [header, *rows])
    outcome(text.encode("utf-8", "surrogatepass"), "csv")


@relaxed
@given(st.binary(max_size=60), st.sampled_from(["utf-16", "cp1252", "shift_jis", "utf-7", "gb18030", "utf-32"]))
def test_any_bytes_in_any_encoding(content: bytes, encoding: str) -> None:
    """A codec's own errors are told in the same way."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wave.csv"
        path.write_bytes(b"job_id\n" + content)
        with suppress(ManifestError):
            list(open_manifest(path, encoding=encoding).read(DEFAULTS, now=NOW, allow_duplicates=False))
