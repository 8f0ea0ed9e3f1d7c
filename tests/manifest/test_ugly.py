"""Files that are no manifest: one clear error each, never a traceback."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

from batcher.manifest import ManifestError, finding_line, open_manifest
from tests.manifest.reading import DEFAULTS, NOW, texts
from tests.manifest.reading import read as read_items

GOOD = '{"job_id": "j", "object_level_compare_type": "objects"}'
OTHER = '{"job_id": "k", "object_level_compare_type": "objects"}'


def told(folder: Path, content: bytes, name: str, *, encoding: str | None = None) -> list[str]:
    """What is said about a file with *content*, whether on opening or on reading it."""
    try:
        return texts(read_items(folder, content, name, encoding=encoding))
    except ManifestError as error:
        return [error.message[error.message.find("wave.") if "wave." in error.message else 0 :]]


UGLY: dict[str, tuple[str, bytes, str]] = {
    "empty": ("wave.csv", b"", "wave.csv: the file is empty. A manifest has at least one entry."),
    "only a mark": ("wave.csv", b"\xef\xbb\xbf", "wave.csv: the file holds no header."),
    "only spaces, CSV": ("wave.csv", b"\n\n  \n", "wave.csv: the file holds no header."),
    "only spaces, JSON": ("wave.json", b" \n ", "wave.json: the file holds only spaces."),
    "only spaces, JSONL": ("wave.jsonl", b" \n \n", "wave.jsonl: the manifest has no entries. Give at least one."),
    "header only": ("wave.csv", b"job_id\n", "wave.csv: the manifest has no entries. Give at least one."),
    "empty array": ("wave.json", b"[ ]", "wave.json: the manifest has no entries. Give at least one."),
    "defaults only": (
        "wave.json",
        b'{"defaults": {"object_level_compare_type": "objects"}, "entries": []}',
        "wave.json: the manifest has no entries. Give at least one.",
    ),
    "no entries in it": ("wave.json", b'{"entries": []}', "wave.json: the manifest has no entries. Give at least one."),
    "Latin-1": (
        "wave.csv",
        b"job_id,label.a\nj1,x\nj2,caf\xe9\n",
        "wave.csv, line 3, column 7: the byte 0xe9 is not UTF-8. "
        "With --encoding cp1252 it reads “café” here; otherwise name its encoding, or save it as UTF-8.",
    ),
    "Latin-1 in JSON": ("wave.json", b'["caf\xe9"]', "wave.json, line 1, column 6: the byte 0xe9 is not UTF-8."),
    "cut off inside a character": (
        "wave.jsonl",
        b'"caf\xc3',
        "wave.jsonl, line 1, column 5: the byte 0xc3 is not UTF-8.",
    ),
    "UTF-16 with a mark": (
        "wave.csv",
        "job_id\nj".encode("utf-16"),
        "wave.csv: the file is in UTF-16. Save it as UTF-8, or say what it is: --encoding utf-16.",
    ),
    "UTF-16 without": (
        "wave.csv",
        "job_id\nj".encode("utf-16-le"),
        "wave.csv: the file looks like UTF-16. Save it as UTF-8, or say what it is: --encoding utf-16-le.",
    ),
    "UTF-16, the other way": (
        "wave.json",
        "[{}]".encode("utf-16-be"),
        "wave.json: the file looks like UTF-16. Save it as UTF-8, or say what it is: --encoding utf-16-be.",
    ),
    "NUL": (
        "wave.csv",
        b"job_id\nj1\nj\x002\n",
        "wave.csv, line 3, column 2: there is a NUL byte here, so this is no text file, or a damaged one. "
        "Write the file anew.",
    ),
    "a workbook": (
        "wave.csv",
        b"PK\x03\x04xxxx",
        "wave.csv: this is a spreadsheet or zip archive, not text. Save it as CSV, JSON or JSONL in UTF-8.",
    ),
    "Parquet": (
        "wave.jsonl",
        b"PAR1\x15\x04",
        "wave.jsonl: this is Parquet, not text. Export it, for example with DuckDB: "
        "COPY (FROM 'wave.parquet') TO 'wave.csv'; nested columns as JSONL, TO 'wave.jsonl' (FORMAT json).",
    ),
    "a login page": (
        "wave.csv",
        b"\xef\xbb\xbf\n<!DOCTYPE html><html>",
        "wave.csv: this is a page (HTML or XML). Is it a login page, or a workbook saved as a page? ",
    ),
    "a table for browsers": (
        "wave.csv",
        b'<table border="1" class="dataframe">\n',
        "wave.csv: this is a page (HTML or XML). ",
    ),
    "JSON printed for people, called JSONL": (
        "wave.jsonl",
        b'{"job_id": "j",\n "object_level_compare_type": "objects"}\n{"job_id": "k",\n "x": 1}\n',
        "wave.jsonl, line 1: JSONL has one whole entry a line, and this one goes over several. "
        "Write each on a line of its own: jq -c . FILE. Is it one piece of JSON? Then say --format json.",
    ),
    "columns of a data frame": (
        "wave.json",
        b'{"job_id": {"0": "j", "1": "k"}, "object_level_compare_type": {"0": "objects", "1": "objects"}}',
        "wave.json, line 1, column 2: the file holds columns, and not entries. "
        'Write entries: to_json(orient="records") in pandas',
    ),
    "columns of a data frame, as lists": (
        "wave.json",
        b'{"job_id": ["j", "k"]}',
        "wave.json, line 1, column 2: the file holds columns, and not entries. ",
    ),
    "results": (
        "wave.jsonl",
        b'{"key": "k", "index": 0, "job_id": "j", "status": "created", "attempts": 1, "recovered": false}\n',
        "wave.jsonl, line 1: this is a file of results, not a manifest. Write the manifest of those to do again: ",
    ),
    "verdicts": (
        "wave.jsonl",
        b'{"key": "k", "index": 0, "job_id": "j", "status": "created", "verdict": "consistent", "final": true}\n',
        "wave.jsonl, line 1: this is a file of verdicts, not a manifest. Name the manifest, or select from it: ",
    ),
    "a fleet": (
        "wave.json",
        b'[\n  {"job_id": "gone-*", "exists": false},\n  {"job_id": "p-1", "status": "PAUSING"}]',
        "wave.json, line 2: this is the fleet of a simulation, not a manifest. It is for batcher simulate --jobs; ",
    ),
    "accepted differences": (
        "wave.json",
        b'[{"job_id": "j", "database": "d", "table": "t", "reason": "r", "expires": "2027-01-01"}]',
        "wave.json, line 1: this is a file of accepted differences, not a manifest. It is for batcher gate ",
    ),
    "compressed": ("wave.json", b"\x1f\x8bxxxxxx", "wave.json: this is compressed with gzip, not text."),
    "broken JSON": (
        "wave.json",
        f'[\n{GOOD},\n  {{"job_id": "k" "x"}}\n]'.encode(),
        "wave.json, line 3, column 18: a comma is expected here, or the end of the list or object. Mend the JSON.",
    ),
    "JSON cut off": (
        "wave.json",
        f'[\n{GOOD},\n  {{"job_id": "k'.encode(),
        "wave.json, line 3, column 14: the text that begins here has no closing quote. Mend the JSON.",
    ),
    "no end of the array": (
        "wave.json",
        f"[{GOOD}\n".encode(),
        "wave.json, line 2, column 1: the file ends inside the list, where a comma or ] is expected. Mend the JSON.",
    ),
    "a comma too many": (
        "wave.json",
        f"[{GOOD},\n]".encode(),
        "wave.json, line 2, column 1: there is a comma before the closing ]. Take the comma out.",
    ),
    "a comma too many inside": (
        "wave.json",
        b'[{"job_id": "j",}]',
        "wave.json, line 1, column 16: there is a comma before the closing brace. Mend the JSON.",
    ),
    "a comma too many in a list": (
        "wave.json",
        b'[{"data_level_compare_info": {"compare_object_infos": [{"db_name": "a"} ,\n ]}}]',
        "wave.json, line 1, column 73: there is a comma before the closing bracket. Mend the JSON.",
    ),
    "a comma too many in a line": (
        "wave.jsonl",
        b'{"job_id": "j", }\n',
        "wave.jsonl, line 1, column 15, index 0: the line is not JSON: there is a comma before the closing brace.",
    ),
    "a comma too few": (
        "wave.json",
        f"[{GOOD} {GOOD}]".encode(),
        "wave.json, line 1, column 58: '{' stands here inside the list, where a comma or ] is expected. Mend the JSON.",
    ),
    "JSONL called JSON": (
        "wave.json",
        f"{GOOD}\n{GOOD}\n".encode(),
        "wave.json, line 1, column 2: the file is a single request body. A manifest is a list of them: "
        "put [ before it and ] after it (several of them: jq -s . FILE, or --format jsonl for one a line).",
    ),
    "JSON called JSONL": (
        "wave.jsonl",
        f"[\n{GOOD}\n]\n".encode(),
        "wave.jsonl, line 1: JSONL has one whole entry a line, and this begins a longer piece of JSON. "
        "Is it JSON? Then say --format json.",
    ),
    "CSV called JSONL": (
        "wave.jsonl",
        b"job_id,key\n",
        "wave.jsonl, line 1, column 1, index 0: the line is not JSON: a value is expected here. "
        "JSONL has one JSON object a line; is it CSV? Then say --format csv.",
    ),
    "CSV called JSON": (
        "wave.json",
        b"job_id,key\n",
        "wave.json, line 1, column 1: a JSON manifest begins with [ or {. "
        "Is it CSV or JSONL? Then say so with --format csv or --format jsonl.",
    ),
    "JSON called CSV": (
        "wave.csv",
        f"[{GOOD}]".encode(),
        "wave.csv, line 1: the first line is no header: it names no field of a manifest. Begin with a line of column "
        "names, such as job_id;object_level_compare_type;conflict_policy. "
        "Is it JSON? Then say --format json or --format jsonl.",
    ),
    "something after the end": (
        "wave.json",
        f"[{GOOD}]\n[]".encode(),
        "wave.json, line 2, column 1: there is something after the end. "
        "Take it out; if each line is an entry of its own, say --format jsonl.",
    ),
    "a name that stands twice": (
        "wave.json",
        f'{{"defaults": {{}}, "defaults": {{}}, "entries": [{GOOD}]}}'.encode(),
        'wave.json, line 1, column 18: the field "defaults" stands twice. Keep the one that is meant.',
    ),
    "defaults too late": (
        "wave.json",
        f'{{"entries": [{GOOD}], "defaults": {{}}}}'.encode(),
        "wave.json, line 1, column 72: `defaults` stands after `entries`. "
        "Put it before them: entries are read as they come.",
    ),
    "no entries field": (
        "wave.json",
        b'{"defaults": {}}',
        "wave.json, line 1, column 17: the object has no `entries`. "
        'Write {"defaults": {…}, "entries": […]}, or a plain array.',
    ),
    "entries misspelt": (
        "wave.json",
        b'{"entires": []}',
        'wave.json, line 1, column 2: "entires" is no field of a manifest. Did you mean entries?',
    ),
    "entries no list": ("wave.json", b'{"entries": {}}', "wave.json, line 1, column 13: `entries` must be a list."),
    "defaults no object": (
        "wave.json",
        b'{"defaults": 1, "entries": []}',
        "wave.json, line 1: `defaults` must be an object.",
    ),
    "NaN": ("wave.json", b'[{"job_id": NaN}]', "wave.json, line 1, column 2: NaN is no JSON value. Mend the JSON."),
    "NaN in a line": (
        "wave.jsonl",
        b'{"job_id": NaN}\n',
        "wave.jsonl, line 1, index 0: the line is not JSON: NaN is no JSON value. Mend the line.",
    ),
    "-Infinity": (
        "wave.jsonl",
        b'{"job_id": -Infinity}\n',
        "wave.jsonl, line 1, index 0: the line is not JSON: -Infinity is no",
    ),
    "nested too deep": (
        "wave.json",
        b'[{"job_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        "wave.json, line 1, column 2: the value is nested too deep. Mend the JSON.",
    ),
    "nested deeper than any entry": (
        "wave.json",
        b'[{"job_id": ' + b"[" * 101 + b"]" * 101 + b"}]",
        "wave.json, line 1, column 2: the value is nested too deep. Mend the JSON.",
    ),
    "brackets in a text are no nesting": (
        "wave.json",
        b'[{"job_id": 1, "object_level_compare_type": "objects", "labels": {"a": "' + b'[\\"' * 200 + b'"}}]',
        'wave.json, line 1, column 2, index 0: job_id "1" must be text, and is a number.',
    ),
    "a line nested too deep": (
        "wave.jsonl",
        b'{"a": ' * 100_000,
        "wave.jsonl, line 1, index 0: the line is not JSON: the value is nested too deep. Mend the line.",
    ),
    "a huge number": (
        "wave.json",
        b'[{"job_id": ' + b"9" * 5000 + b', "object_level_compare_type": "objects"}]',
        'wave.json, line 1, column 2, index 0: job_id "null" must be text, and is a number.',
    ),
    "a line break in a text": (
        "wave.json",
        b'[{"job_id": "a\nb"}]',
        "wave.json, line 1, column 15: there is a line break or control character inside a text. Mend the JSON.",
    ),
    "a key twice": (
        "wave.json",
        b'[{"job_id": "j", "object_level_compare_type": "objects", "job_id" : "k"}]',
        "wave.json, line 1, column 2, index 0: job_id stands twice in one object. Keep the one that is meant.",
    ),
    "a key twice, once escaped": (
        "wave.jsonl",
        b'{"job_id": "\\u003a", "object_level_compare_type": "objects", "job_id": "k"}',
        "wave.jsonl, line 1, index 0: job_id stands twice in one object. Keep the one that is meant.",
    ),
}


@pytest.mark.parametrize("name", UGLY)
def test_one_clear_error(name: str, tmp_path: Path) -> None:
    """With the place where it can be told, the cause and the way out."""
    file, content, text = UGLY[name]
    (said,) = told(tmp_path, content, file)
    assert said.startswith(text)


def test_what_was_found_before_the_file_broke_is_told_too(tmp_path: Path) -> None:
    """Every finding at once, and the end of it."""
    said = told(tmp_path, b'[{"job_id": 1, "object_level_compare_type": "objects"}, {]', "wave.json")
    assert ["must be text" in said[0], "field name" in said[1], len(said)] == [True, True, 2]


def test_a_broken_line_of_jsonl_spoils_no_other(tmp_path: Path) -> None:
    """Each line stands for itself."""
    items = read_items(tmp_path, f"{GOOD}\n{{\n\n{OTHER}\n", "wave.jsonl")
    assert [getattr(item, "key", None) is not None for item in items] == [True, False, True]
    assert [item.index for item in items] == [0, 1, 2]
    assert [item.line for item in items] == [1, 2, 4]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252", "gb18030", "utf-8", "UTF8"])
def test_other_encodings_by_name(encoding: str, tmp_path: Path) -> None:
    """With or without a byte order mark."""
    content = "job_id;object_level_compare_type;label.a\nj1;objects;é\n".encode(encoding)
    (item,) = read_items(tmp_path, content, "wave.csv", encoding=encoding)
    assert getattr(item, "labels", None) == {"a": "é"}


def test_a_wrong_encoding_is_told(tmp_path: Path) -> None:
    """The one that was named, and the byte that is not in it."""
    assert told(tmp_path, b"job_id\n\xe9\n", "wave.csv", encoding="ascii") == [
        "wave.csv, line 2, column 1: the byte 0xe9 is not ascii. "
        "It is not in ascii: name its true encoding with --encoding, or save it as UTF-8."
    ]


@pytest.mark.parametrize(
    ("encoding", "mend"),
    [("utf9", "Did you mean utf-8?"), ("hex", "Python's names are used"), ("x\0", "Python's names")],
)
def test_an_encoding_that_is_none(encoding: str, mend: str, tmp_path: Path) -> None:
    """The name is checked before the file is read."""
    (said,) = told(tmp_path, b"job_id\nj\n", "wave.csv", encoding=encoding)
    assert "there is no such text encoding" in said
    assert mend in said


def test_undecodable_bytes_far_into_the_file(tmp_path: Path) -> None:
    """Their place is exact behind many chunks, also where a character lies across two."""
    line = '{"job_id": "ü"}\n'.encode()
    content = b" \n" + line * 20_000 + b"\xff\n"
    assert told(tmp_path, content, "wave.jsonl")[-1].startswith(
        "wave.jsonl, line 20002, column 1: the byte 0xff is not UTF-8."
    )


def test_files_that_are_none(tmp_path: Path) -> None:
    """Folders, pipes, what is not there and what may not be read."""
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ManifestError, match=r"this is a folder\. Name the manifest file in it\."):
        open_manifest(tmp_path, "csv")
    with pytest.raises(ManifestError, match=r"this is a pipe or a device, not a file\. Name a file, or hand"):
        open_manifest(tmp_path / "pipe.csv")
    with pytest.raises(ManifestError, match=r"there is no such file\. Look at its name"):
        open_manifest(tmp_path / "none.csv")
    with pytest.raises(ManifestError, match="the file cannot be read: "):
        open_manifest("a\0b.csv")
    with pytest.raises(ManifestError, match="the file cannot be read: File name too long"):
        open_manifest(f"{'a' * 300}.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """Whose it is matters, not what it holds."""
    path = tmp_path / "wave.csv"
    path.touch(mode=0o000)
    with pytest.raises(ManifestError, match="this user may not read the file"):
        open_manifest(path)


def test_formats_by_extension_and_by_name(tmp_path: Path) -> None:
    """The name decides where nobody says."""
    path = tmp_path / "wave.txt"
    path.write_text(GOOD)
    assert open_manifest(path, "JSONL").format == "jsonl"
    with pytest.raises(ManifestError, match=r"the format cannot be told from the name\. Give --format csv"):
        open_manifest(path)
    with pytest.raises(ManifestError, match=r"--format jsonn: there is no such format\. Did you mean json\?"):
        open_manifest(path, "jsonn")
    for suffix, format in {"CSV": "csv", "tsv": "csv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}.items():
        named = tmp_path / f"wave.{suffix}"
        named.write_text("x")
        assert open_manifest(named).format == format


def test_what_is_read_is_what_was_digested(tmp_path: Path) -> None:
    """A file that changes in between is refused: what runs is what was approved."""
    path = tmp_path / "wave.jsonl"
    path.write_text(f"{GOOD}\n")
    manifest = open_manifest(path)
    path.write_text(f"{OTHER}\n")
    *_, last = manifest.read(DEFAULTS, now=NOW, allow_duplicates=False)
    assert finding_line(last).endswith(  # type: ignore[arg-type]
        "the file changed while it was being read. Run the same command again."
    )


def test_a_manifest_can_be_read_again(tmp_path: Path) -> None:
    """Its digest is that of `sha256sum`."""
    path = tmp_path / "wave.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    manifest = open_manifest(path)
    assert list(manifest.read(DEFAULTS, now=NOW)) == list(manifest.read(DEFAULTS, now=NOW))
    assert manifest.digest == "sha256:" + __import__("hashlib").sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("problem", [errno.ENOENT, errno.ENOSPC])
def test_standard_input_needs_a_temporary_folder(problem: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said so, and not that the manifest is not there."""

    def no_folder() -> Any:
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr("tempfile.TemporaryFile", no_folder)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"job_id\n")))
    with pytest.raises(ManifestError) as caught:
        open_manifest("-", "csv")
    assert caught.value.message == (
        f"standard input: it cannot be kept in a temporary file while it is checked: {os.strerror(problem)}. "
        "Set TMPDIR to a folder with room, or name a file."
    )
