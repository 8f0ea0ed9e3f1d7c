"""Accepted differences: every finding at once, and nothing accepted that was not named."""

import csv
import io
from datetime import date
from pathlib import Path

import pytest

from batcher.follow.verdict import Difference
from batcher.gate.accepted import AcceptanceError, read_acceptances
from tests.follow.make import accept, difference

HEADER = "job_id,database,table,reason,expires\n"


def write(tmp_path: Path, text: str, name: str = "accepted.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_and_json_say_the_same(tmp_path: Path) -> None:
    row = "job-1,shop,audit,rows are purged nightly,2026-12-31\n"
    (from_csv,) = read_acceptances(write(tmp_path, "\ufeff" + HEADER + row))
    text = (
        '[{"job_id":"job-1","database":"shop","table":"audit","reason":"rows are purged nightly",'
        '"expires":"2026-12-31"}]'
    )
    (from_json,) = read_acceptances(write(tmp_path, text, "accepted.json"))
    assert (from_csv.line, from_json.line) == (2, 1)
    assert from_csv.expires == from_json.expires == date(2026, 12, 31)
    assert str(from_csv) == str(from_json) == "job job-1, shop.audit"


@pytest.mark.parametrize(
    ("acceptance", "covered"),
    [
        ("job-1,shop,orders", True),
        ("job-1,shop,*", True),
        ("job-1,*,*", True),
        ("job-1,shop,items", False),
        ("job-1,other,orders", False),
        ("job-2,shop,orders", False),
    ],
)
def test_only_what_is_named_is_covered(tmp_path: Path, acceptance: str, covered: bool) -> None:
    (accepted,) = read_acceptances(write(tmp_path, f"{HEADER}{acceptance},why,2026-12-31\n"))
    assert accepted.covers("job-1", difference()) is covered


def test_a_whole_database_is_covered_only_by_any_table(tmp_path: Path) -> None:
    rows = "job-1,shop,orders,why,2026-12-31\njob-1,shop,*,why,2026-12-31\n"
    table, database = read_acceptances(write(tmp_path, HEADER + rows))
    whole = difference(None)
    assert (table.covers("job-1", whole), database.covers("job-1", whole)) == (False, True)


def test_it_holds_through_its_last_day(tmp_path: Path) -> None:
    (accepted,) = read_acceptances(write(tmp_path, f"{HEADER}j,d,t,why,2026-12-31\n"))
    assert not accepted.expired(date(2026, 12, 31))
    assert accepted.expired(date(2027, 1, 1))


def test_every_finding_is_told_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path, "job_id,database,tabel,reason,expires\njob-1,shop,orders,,2026-13-01\n,shop,x,why,2026-12-31\n"
    )
    with pytest.raises(AcceptanceError) as caught:
        read_acceptances(path)
    lines = caught.value.message.splitlines()
    assert [line.removeprefix(f"{path}, ") for line in lines] == [
        "line 1: unknown field 'tabel'; did you mean table?",
        "lines 2 and 3: table is missing; name the source table or object, or * for any",
        "line 2: reason is missing; say why it may pass: the next reader has to know",
        "line 2: expires is '2026-13-01', which is no date; write it as 2026-12-31",
        "line 3: job_id is missing; say whose difference it is",
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "{", "is no JSON"),
        ("a.json", '{"job_id":"x"}', "holds no array of objects"),
        ("a.csv", HEADER + '"open', "is no CSV"),
        ("a.csv", HEADER + "a,b,c,d,2026-12-31,more\n", "more cells than the header has names"),
    ],
)
def test_what_is_no_such_file_is_told_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(AcceptanceError, match=said):
        read_acceptances(write(tmp_path, text, name))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AcceptanceError, match="cannot read"):
        read_acceptances(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"j,d,\xe4,why,2026-12-31\n")
    with pytest.raises(AcceptanceError, match="is not UTF-8"):
        read_acceptances(tmp_path / "latin.csv")


def test_a_view_is_accepted_by_its_name_and_what_only_the_target_has_by_the_targets() -> None:
    view = difference(None, object_type="VIEW", source_value="v_revenue")
    extra = difference(None, None, object_type="INDEX", target_database="shop", target_value="ix_new")
    assert accept("v_revenue").covers("job-1", view)
    assert not accept("v_other").covers("job-1", view)
    assert accept("ix_new").covers("job-1", extra)


def test_findings_alike_are_one(tmp_path: Path) -> None:
    """However many rows have them."""
    path = write(tmp_path, HEADER + "j,d,t,,2026-12-31\n" * 40)
    with pytest.raises(AcceptanceError) as caught:
        read_acceptances(path)
    assert caught.value.message == (
        f"{path}, lines 2, 3, 4, 5, 6 and 35 more: reason is missing; say why it may pass: the next reader has to know"
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("hint", [True, False])
def test_a_spreadsheet_may_have_written_it(delimiter: str, hint: bool, tmp_path: Path) -> None:
    """Another delimiter, Excel's first line, blank rows, spaces, empty cells at the end, its own UTF-16."""
    rows = [HEADER.strip().split(","), [""] * 5, [" job-1 ", "shop", "audit", "purged", "31.12.2026", "", ""]]
    text = "\r\n".join(delimiter.join(row) for row in rows) + "\r\n\r\n"
    if hint:
        text = f"sep={delimiter}\r\n{text}"
    (accepted,) = read_acceptances(write(tmp_path, text))
    assert (accepted.job_id, accepted.expires, accepted.line) == ("job-1", date(2026, 12, 31), 4 if hint else 3)
    (tmp_path / "wide.csv").write_bytes(text.encode("utf-16"))
    assert read_acceptances(tmp_path / "wide.csv") == (accepted,)


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-31",
        "2026/12/31",
        "31.12.2026",
        "31/12/2026",
        "12/31/2026",
        "20261231",
        "2026-12-31 00:00:00",
        "2026-12-31T00:00:00Z",
    ],
)
def test_days_that_have_one_reading(text: str, tmp_path: Path) -> None:
    (accepted,) = read_acceptances(write(tmp_path, f"{HEADER}j,d,t,why,{text}\n"))
    assert accepted.expires == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("01/02/2027", "may be 2027-02-01 or 2027-01-02; write the one that is meant"),
        ("46387", "is the number a spreadsheet has for a day; write it as 2026-12-31"),
        ("31.12.26", "is no date; write it as 2026-12-31"),
        ("2026-12-31 12:00", "is no date; write it as 2026-12-31"),
        ("2027-02-30", "is no date; write it as 2026-12-31"),
        ("13/13/2027", "is no date; write it as 2026-12-31"),
    ],
)
def test_days_that_have_not(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AcceptanceError) as caught:
        read_acceptances(write(tmp_path, f"{HEADER}j,d,t,why,{text}\n"))
    assert caught.value.message.endswith(f"line 2: expires is '{text}', which {said}")


def test_our_own_differences_csv_will_do(tmp_path: Path) -> None:
    """With a reason and a day added; guarded cells are read as they were, and no row means more than it says."""
    names = ["key", "job_id", "half", "compare_type", *Difference.model_fields, "accepted", "reason", "expires"]
    rows = [
        {"job_id": "j1", "database": "shop", "table": "audit", "reason": "purged"},
        {"job_id": "j1", "target_database": "shop", "target_value": "ix_new", "accepted": "made by hand"},
        {"job_id": "j1", "database": "'=odd", "source_value": "v_revenue", "reason": "view"},
    ]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, names, restval="", delimiter=";")
    writer.writeheader()
    writer.writerows(
        {"key": "k", "half": "data", "result": "INCONSISTENT", "expires": "2026-12-31"} | row for row in rows
    )
    accepted = read_acceptances(write(tmp_path, file.getvalue()))
    assert [(one.database, one.table, one.reason) for one in accepted] == [
        ("shop", "audit", "purged"),
        ("shop", "ix_new", "made by hand"),
        ("=odd", "v_revenue", "view"),
    ]
    whole = dict(rows[0], table="", expires="2026-12-31")
    with pytest.raises(AcceptanceError, match="line 2: table is missing"):
        read_acceptances(write(tmp_path, ";".join(names) + "\n" + ";".join(whole.get(name, "") for name in names)))


def test_one_object_a_line(tmp_path: Path) -> None:
    line = '{"job_id":"j","database":"d","table":"t","reason":"why","expires":"2026-12-31"}\n'
    first, second = read_acceptances(write(tmp_path, f"{line}\n{line}", "accepted.jsonl"))
    assert (first.line, second.line) == (1, 3)


def test_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes((HEADER + "j,订单库,t,why,2026-12-31\n").encode("gbk"))
    with pytest.raises(AcceptanceError, match=r"is not UTF-8 .*, and seems to be gb18030 .*: save it as UTF-8"):
        read_acceptances(tmp_path / "a.csv")
