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
    "a nested column": (
        "job_id,object_level_compare_type,data_level_compare_info\nj,objects,\n",
        "wave.csv, line 1: data_level_compare_info is no column of a manifest. "
        "CSV columns are flat: write conflict_policy, compare_type, and so on, or export nested entries as JSONL.",
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
    "a quote that is not closed": (
        'job_id,object_level_compare_type\nj,objects\n"k,objects\nl,objects\n',
        "wave.csv, line 3: the double quote that opens a cell in this row is never closed. "
        "Close it; a double quote inside a quoted cell is written twice. "
        "What stands below cannot be told until then.",
    ),
    "a quote that is not closed, in the last line": (
        'job_id,object_level_compare_type\nj,objects\n"k,objects',
        "wave.csv, line 3, index 1: the double quote that opens a cell in this row is never closed. "
        "Close it; a double quote inside a quoted cell is written twice.",
    ),
    "a quote that swallows rows until another": (
        'job_id,object_level_compare_type\n"j,objects\nk,objects\nl,"objects"\n',
        "wave.csv, line 2: something follows a closing double quote before the next delimiter. "
        "Put the whole cell in double quotes, and write a double quote inside it twice. "
        "What stands below cannot be told until then.",
    ),
    "a quote in the header that is not closed": (
        'job_id,"object_level_compare_type\nj,objects\n',
        "wave.csv, line 1: the header has a double quote that is never closed. Close it, or take it out.",
    ),
    "a comment among the rows": (
        "job_id,object_level_compare_type\nj,objects\n# wave 7\n",
        'wave.csv, line 3, index 1: "# wave 7" is a comment, and a manifest has none. Take the line out.',
    ),
    "one row with another delimiter": (
        "job_id,object_level_compare_type\nj,objects\nk;objects\n",
        "wave.csv, line 3, index 1: the row has its cells separated by semicolons, and the header by commas. "
        "Use one delimiter in the whole file.",
    ),
    "psql's count of rows": (
        "job_id;object_level_compare_type\nj;objects\n(1 row);\n",
        "wave.csv, line 3, index 1: the entry asks for no comparison. "
        'Give object_level_compare_type "objects", or data_level_compare_info, or both.',
        'wave.csv, line 3, index 1: job_id "(1 row)" is the count of rows that psql writes at the end. '
        "Export with psql --csv, or take it out.",
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
        "in part 1. Write db: table1, table2; db2: table3; db3.",
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
        'wave.csv, line 2, index 0: start_time "1,8E+12" is a number with an exponent, which may have lost digits. '
        "Write all 13 digits: format the column as text in a spreadsheet and enter them again; otherwise "
        "CAST(… AS BIGINT) in SQL, astype('Int64') in pandas, cast(pl.Int64) in polars.",
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


def test_empty_cells_at_the_end_may_be_left_out(tmp_path: Path) -> None:
    """With their delimiters, as several programs do; the row is as if they were there."""
    header = "job_id;object_level_compare_type;conflict_policy;compare_type;label.team;key\n"
    short = entries(read(tmp_path, header + "j1;objects;;;blue\nj2;objects\nj3;objects;;;red\n", "wave.csv"))
    long = entries(read(tmp_path, header + "j1;objects;;;blue;\nj2;objects;;;;\nj3;objects;;;red;\n", "wave.csv"))
    assert short == long
    assert [made.labels for made in short] == [{"team": "blue"}, {}, {"team": "red"}]


NO_TABLE = "this is a table drawn for people, not CSV. Export CSV"
NO_CSV = {
    "PowerShell's types": (
        "#TYPE System.Management.Automation.PSCustomObject\njob_id\n",
        "line 1: the first line is PowerShell's word on types, not the header. "
        "Export with Export-Csv -NoTypeInformation, or take the line out.",
    ),
    "a comment first": (
        "# wave 7\njob_id\nj\n",
        "line 1: the file begins with a comment, and a manifest has none. Take it out: the first line names",
    ),
    "bars": ("job_id|key\nj|k\n", "line 1: the columns are separated by |. Use commas, semicolons or tabs. Export CSV"),
    "psql's table": (" job_id | key \n--------+-----\n j | k\n(1 row)\n", f"line 1: {NO_TABLE}"),
    "psql's table of one column": (" job_id \n--------\n j\n(1 row)\n", f"line 2: {NO_TABLE}"),
    "MariaDB's table": ("+--------+-----+\n| job_id | key |\n+--------+-----+\n| j | k |\n", f"line 1: {NO_TABLE}"),
    "a table of Markdown": ("| job_id | key |\n| --- | --- |\n| j | k |\n", f"line 1: {NO_TABLE}"),
    "sqlite's columns": (
        "job_id  key\n------  ---\nj       k\n",
        "line 1: the columns are separated by spaces. Export",
    ),
    "single spaces, as R's write.table": (
        '"job_id" "object_level_compare_type"\n"1" "j" "objects"\n',
        "line 1: the columns are separated by spaces. Use commas, semicolons or tabs: write.csv in R, and no sep=' '",
    ),
    "rows with another delimiter": (
        "job_id,object_level_compare_type\nj;objects\nk;objects\n",
        "line 2: the row has its cells separated by semicolons, and the header by commas. Use one delimiter",
    ),
    "an index under a header without it": (
        '"job_id","object_level_compare_type"\n"1","j","objects"\n"2","k","objects"\n',
        "line 2: the rows have one cell more than the header, a number in front. "
        "Export without the index of the data frame: index=False in pandas, row.names=FALSE in R.",
    ),
    "an index without a name": (
        ",job_id,object_level_compare_type\n0,j,objects\n1,k,objects\n",
        "line 2: the first column has no name in the header. Export without the index of the data frame: index=False",
    ),
    "an index that came back": (
        "Unnamed: 0,job_id,object_level_compare_type\n0,j,objects\n1,k,objects\n",
        "line 1: Unnamed: 0 is no column of a manifest. Export without the index of the data frame: index=False",
    ),
}


@pytest.mark.parametrize("name", NO_CSV)
def test_what_is_no_csv_is_told_once_with_the_way_out(name: str, tmp_path: Path) -> None:
    """However many rows there are."""
    content, text = NO_CSV[name]
    (said,) = texts(read(tmp_path, content, "wave.csv"))
    assert said.startswith(f"wave.csv, {text}")


def test_where_all_names_are_nearly_right_the_nearest_is_told_for_each(tmp_path: Path) -> None:
    """Not one of them is known."""
    said = texts(read(tmp_path, "jobid,objects_level_type,conflictpolicy\nj,objects,keep\n", "wave.csv"))
    assert [text.partition("Did you mean ")[2] for text in said] == [
        "job_id?",
        "object_level_compare_type?",
        "conflict_policy?",
        "",
    ]


@pytest.mark.parametrize("end", ["", '"y"'])
def test_an_unclosed_quote_in_a_large_file_is_one_finding(end: str, tmp_path: Path) -> None:
    """Not one for each of the lines behind it."""
    content = 'job_id,object_level_compare_type\nj,objects\n"k,objects\n' + "x,y\n" * 2_000_000 + end
    (said,) = texts(read(tmp_path, content, "wave.csv"))
    assert said.startswith("wave.csv, line 3: a cell in this row is longer than 4 MB. ")
