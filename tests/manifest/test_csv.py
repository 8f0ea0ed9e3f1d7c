"""CSV as spreadsheets write it."""

from pathlib import Path

import pytest

from batcher.manifest import Entry
from tests.manifest.reading import LATER, entries, read, texts

HEADER = "job_id,object_level_compare_type,conflict_policy,compare_type,start_time,compare_object_infos,key,label.team"


def body(entry: Entry) -> str:
    """The request as it would be sent."""
    return entry.request.to_wire().decode()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_every_dialect_gives_the_same(delimiter: str, end: str, mark: bytes, tmp_path: Path) -> None:
    """Commas, semicolons or tabs; any line end, blank lines; with or without a byte order mark."""
    rows = [
        HEADER.split(","),
        ["j1", "objects", "", "", "", "", "", "blue"],
        [],
        ["j2", "", "keep", "lines", LATER, '"shop: orders, items; hr"', "k2", '"say ""hi"""'],
        [""] * 8,
    ]
    text = end.join(delimiter.join(row) for row in rows)
    first, second = entries(read(tmp_path, mark + text.encode(), "wave.csv"))
    assert body(first) == '{"job_id":"j1","object_level_compare_type":"objects"}'
    assert body(second) == (
        '{"job_id":"j2","data_level_compare_info":{"conflict_policy":"keep","compare_type":"lines","compare_mode":null,'
        f'"start_time":"{LATER}","compare_object_infos":[{{"db_name":"shop","table_name":["orders","items"]}},'
        '{"db_name":"hr"}]}}'
    )
    assert [first.labels, second.labels] == [{"team": "blue"}, {"team": 'say "hi"'}]
    assert [first.line, second.line, first.index, second.index] == [2, 4, 0, 1]
    assert second.key == "k2"


def test_what_spreadsheets_leave_behind_does_no_harm(tmp_path: Path) -> None:
    """Excel's first line that names the delimiter, spaces around cells, nameless empty columns, cells over lines."""
    text = (
        'sep=;\r\n job_id ;object_level_compare_type;"label.a\nb";;\r\n j1 ;objects;"x\r\ny";;\r\nj2; objects;;;;;\r\n'
    )
    first, second = entries(read(tmp_path, text, "wave.csv"))
    assert [first.request.job_id, second.request.job_id] == ["j1", "j2"]
    assert first.labels == {"a\nb": "x\r\ny"}
    assert [first.line, second.line] == [4, 6]


def test_both_forms_of_the_object_lists(tmp_path: Path) -> None:
    """The short one, and the API's JSON; the list with tokens has only the latter."""
    text = (
        "job_id;conflict_policy;compare_type;compare_object_infos;compare_object_infos_with_token\n"
        'j1;keep;lines;"[{""db_name"": ""a:b"", ""table_name"": [""x;y""]}]";\n'
        'j2;cancel;contents;;"[{""db_name"": ""ks""}]"\n'
    )
    first, second = entries(read(tmp_path, text, "wave.csv"))
    assert '"compare_object_infos":[{"db_name":"a:b","table_name":["x;y"]}]' in body(first)
    assert '"compare_object_infos_with_token":[{"db_name":"ks"}]' in body(second)


WRONG = {
    "no job_id": (
        "jobid,key\nj,k\n",
        "wave.csv, line 1: jobid is no column of a manifest. Did you mean job_id?",
        "wave.csv, line 1: job_id has no column. Every entry names its DRS job in a column job_id.",
    ),
    "names as a person writes them": (
        "Job ID;Object-Level_Compare_Type\nj;objects\n",
        "wave.csv, line 1: Job ID is no column of a manifest. Did you mean job_id?",
        "wave.csv, line 1: Object-Level_Compare_Type is no column of a manifest. "
        "Did you mean object_level_compare_type?",
        "wave.csv, line 1: job_id has no column. Every entry names its DRS job in a column job_id.",
    ),
    "an unknown column": (
        "job_id,object_level_compare_type,Remark\nj,objects,\n",
        "wave.csv, line 1: Remark is no column of a manifest. For information of your own, call it label.Remark.",
    ),
    "a nested name": (
        "job_id,object_level_compare_type,data_level_compare_info.compare_type\nj,objects,\n",
        "wave.csv, line 1: data_level_compare_info.compare_type is no column of a manifest. "
        "CSV columns are flat: write compare_type.",
    ),
    "a column twice": (
        "job_id,object_level_compare_type,job_id\nj,objects,j\n",
        "wave.csv, line 1: job_id is the name of 2 columns. Keep one of them, or rename the others.",
    ),
    "a label without a name": (
        "job_id,object_level_compare_type,label.\nj,objects,\n",
        "wave.csv, line 1: label. names no label. Write label.NAME, such as label.team.",
    ),
    "a nameless column that is used": (
        "job_id,object_level_compare_type,\nj,objects,x\n",
        'wave.csv, line 2, index 0: "x" stands in a column without a name. Name column 3 in the header, or empty it.',
    ),
    "a row too long": (
        "job_id,object_level_compare_type\nj,objects,x\n",
        "wave.csv, line 2, index 0: the row has 3 cells, and the header 2. "
        "A cell that holds the delimiter stands in double quotes.",
    ),
    "a row too short": (
        "job_id,object_level_compare_type\nj\n",
        "wave.csv, line 2, index 0: the row has 1 cell, and the header 2. Write a delimiter for each empty cell, too.",
    ),
    "a quote that is not closed": (
        'job_id,object_level_compare_type\nj,objects\n"k,objects\nl,objects\n',
        "wave.csv, line 3, index 1: the double quote that opens a cell in this row is never closed. "
        "Close it; a double quote inside a quoted cell is written twice.",
    ),
    "something after a quote": (
        'job_id,object_level_compare_type\n"j"x,objects\nk,objects\n',
        "wave.csv, line 2, index 0: something follows a closing double quote before the next delimiter. "
        "Put the whole cell in double quotes, and write a double quote inside it twice.",
    ),
    "another delimiter": (
        "sep=|\njob_id|key\n",
        "wave.csv, line 1: the delimiter '|' is not supported. Use commas, semicolons or tabs.",
    ),
    "a bad list": (
        "job_id;conflict_policy;compare_type;compare_object_infos\nj;keep;lines;a, b\n",
        'wave.csv, line 2, index 0: compare_object_infos "a, b" has a comma, but no database before a colon, '
        "in part 1. Write db: table, table; db2: table; db3.",
    ),
    "bad JSON in a cell": (
        'job_id;conflict_policy;compare_type;compare_object_infos\nj;keep;lines;"[{""db_name"": 1}]"\n',
        'wave.csv, line 2, index 0: compare_object_infos[0].db_name "1" must be text, and is a number. '
        "Write it in double quotes.",
    ),
    "a misspelt value": (
        "job_id,conflict_policy,compare_type,compare_object_infos\nj,keep,line,db\n",
        'wave.csv, line 2, index 0: compare_type "line" must be lines or contents. Did you mean lines?',
    ),
    "data level without its policy": (
        "job_id,object_level_compare_type,compare_type,compare_object_infos\nj,objects,lines,db\n",
        "wave.csv, line 2, index 0: conflict_policy is missing. "
        "Write keep (the job's unfinished comparison stays, and none is created) or cancel (it ends).",
    ),
    "a rounded time": (
        "job_id;conflict_policy;compare_type;compare_object_infos;start_time\nj;keep;lines;db;1,8E+12\n",
        'wave.csv, line 2, index 0: start_time "1,8E+12" was rounded by a spreadsheet. '
        "Format the column as text and enter the 13 digits again.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_line_and_column(name: str, tmp_path: Path) -> None:
    """In the words of the header."""
    text, *found = WRONG[name]
    assert texts(read(tmp_path, text, "wave.csv")) == found


def test_a_cell_that_is_too_long_is_told(tmp_path: Path) -> None:
    """A list of thousands of tables fits; a quote that swallows the file does not."""
    tables = ", ".join(f"table_{number:06d}" for number in range(20_000))
    head = "job_id;conflict_policy;compare_type;compare_object_infos\n"
    assert len(entries(read(tmp_path, f"{head}j;keep;lines;db: {tables}\n", "wave.csv"))) == 1
    (said,) = texts(read(tmp_path, f'{head}j;keep;lines;"{"x" * 5_000_000}"\n', "wave.csv"))[:1]
    assert "a cell in this row is longer than 4 MB" in said
