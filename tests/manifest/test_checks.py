"""One entry, one thing wrong: each check, with the text that a person reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.manifest import Entry, RunDefaults
from tests.manifest.reading import LATER, LINES, PROJECT, data_level, entries, entry, read, texts

INFO = "data_level_compare_info"
TOKENS = [{"db_name": "ks", "table_name_with_token": [{"table_name": "t", "min_token": "1", "max_token": "9"}]}]

WRONG: dict[str, tuple[Any, str]] = {
    "no object": (
        17,
        '"17" is a number, and an entry is an object. Write {…}.',
    ),
    "no job": (
        entry(job_id=None),
        "job_id is missing. Give the id of the DRS job; of its subtask, where the job has several.",
    ),
    "empty job": (
        entry(job_id=""),
        "job_id is empty. Give the id of the DRS job; of its subtask, where the job has several.",
    ),
    "job is a number": (
        entry(job_id=17),
        'job_id "17" must be text, and is a number. A number loses zeros in front, and digits: '
        "keep it as text, in double quotes: dtype=str in pandas, pl.String in polars, VARCHAR in DuckDB.",
    ),
    "job with a space": (
        entry(job_id=" job-1"),
        'job_id "job-1" holds spaces or control characters. '
        "Copy the id from the job's page, without spaces around it.",
    ),
    "job with a line break": (
        entry(job_id="job\n1"),
        'job_id "job 1" holds spaces or control characters. '
        "Copy the id from the job's page, without spaces around it.",
    ),
    "nothing asked for": (
        {"job_id": "job-1"},
        "the entry asks for no comparison. "
        'Give object_level_compare_type "objects", or data_level_compare_info, or both.',
    ),
    "both empty": (
        {"job_id": "job-1", "object_level_compare_type": "", INFO: None},
        "the entry asks for no comparison. "
        'Give object_level_compare_type "objects", or data_level_compare_info, or both.',
    ),
    "object level misspelt": (
        entry(object_level_compare_type="object"),
        'object_level_compare_type "object" must be objects. Write objects.',
    ),
    "data level is a list": (
        entry(**{INFO: []}),
        f'{INFO} "[]" must be an object, and is a list. Write {{…}}.',
    ),
    "objects and contents": (
        {**data_level(compare_type="contents"), "object_level_compare_type": "objects"},
        f'{INFO}.compare_type "contents" cannot go with an object-level comparison. '
        "Split it into two entries, or write lines.",
    ),
    "no policy": (
        data_level(conflict_policy=None),
        f"{INFO}.conflict_policy is missing. "
        "Write keep (the job's unfinished comparison stays, and none is created) or cancel (it ends).",
    ),
    "policy null": (
        entry(**{INFO: {**LINES, "conflict_policy": None}}),
        f"{INFO}.conflict_policy is null. Write cancel or keep.",
    ),
    "policy misspelt": (
        data_level(conflict_policy="keeep"),
        f'{INFO}.conflict_policy "keeep" must be cancel or keep. Did you mean keep?',
    ),
    "no type": (
        data_level(compare_type=None),
        f"{INFO}.compare_type is missing. Write lines (compares row counts) or contents (compares values).",
    ),
    "type unknown": (
        data_level(compare_type="rows"),
        f'{INFO}.compare_type "rows" must be lines or contents. Write lines or contents.',
    ),
    "type empty": (
        data_level(compare_type=""),
        f"{INFO}.compare_type is empty. Write lines or contents.",
    ),
    "mode unknown": (
        data_level(compare_mode="quick"),
        f'{INFO}.compare_mode "quick" must be quick_comparison. Write quick_comparison.',
    ),
    "no list": (
        data_level(compare_object_infos=None),
        f"{INFO}.compare_object_infos is missing. "
        'Give compare_object_infos, or compare_mode "quick_comparison" where the account may use it.',
    ),
    "empty list": (
        data_level(compare_object_infos=[]),
        f"{INFO}.compare_object_infos is missing. "
        'Give compare_object_infos, or compare_mode "quick_comparison" where the account may use it.',
    ),
    "both lists": (
        data_level(compare_object_infos_with_token=TOKENS),
        f"{INFO}.compare_object_infos_with_token stands beside compare_object_infos. "
        "Keep one of them; the one with tokens is for Cassandra disaster recovery only.",
    ),
    "list is text": (
        data_level(compare_object_infos="shop: orders"),
        f'{INFO}.compare_object_infos "shop: orders" must be a list, and is text. '
        'Write [{"db_name": "db", "table_name": ["t1", "t2"]}].',
    ),
    "database without a name": (
        data_level(compare_object_infos=[{"db_name": "a"}, {"db_name": ""}]),
        f"{INFO}.compare_object_infos[1].db_name is empty. Give the name of the source database.",
    ),
    "database missing": (
        data_level(compare_object_infos=[{"table_name": ["t"]}]),
        f"{INFO}.compare_object_infos[0].db_name is missing. Give the name of the source database.",
    ),
    "table is text": (
        data_level(compare_object_infos=[{"db_name": "a", "table_name": "t"}]),
        f'{INFO}.compare_object_infos[0].table_name "t" must be a list, and is text. Write ["t1", "t2"].',
    ),
    "tables without their tokens": (
        data_level(compare_object_infos=None, compare_object_infos_with_token=[{"db_name": "ks", "table_name": ["t"]}]),
        f'{INFO}.compare_object_infos_with_token[0].table_name "["t"]" is no known field. '
        'Write "table_name_with_token": [{"table_name": "t", "min_token": "1", "max_token": "9"}].',
    ),
    "a table with tokens that is a text": (
        data_level(
            compare_object_infos=None,
            compare_object_infos_with_token=[{"db_name": "ks", "table_name_with_token": ["t"]}],
        ),
        f'{INFO}.compare_object_infos_with_token[0].table_name_with_token[0] "t" must be an object, and is text. '
        'Write {"table_name": "t", "min_token": "1", "max_token": "9"}.',
    ),
    "no tables": (
        data_level(compare_object_infos=[{"db_name": "a", "table_name": []}]),
        f"{INFO}.compare_object_infos[0].table_name is an empty list. "
        "Name the tables, or leave table_name out for the whole database.",
    ),
    "table empty": (
        data_level(compare_object_infos=[{"db_name": "a", "table_name": ["t", ""]}]),
        f"{INFO}.compare_object_infos[0].table_name[1] is empty. Give the name of the table.",
    ),
    "table is null": (
        data_level(compare_object_infos=[{"db_name": "a", "table_name": [None]}]),
        f'{INFO}.compare_object_infos[0].table_name[0] "null" must be text, and is null. '
        "Write one text in double quotes.",
    ),
    "token is a number": (
        data_level(
            compare_object_infos=None,
            compare_object_infos_with_token=[
                {"db_name": "ks", "table_name_with_token": [{"table_name": "t", "min_token": 1}]}
            ],
        ),
        f'{INFO}.compare_object_infos_with_token[0].table_name_with_token[0].min_token "1" '
        "must be text, and is a number. Write it in double quotes.",
    ),
    "unknown field": (
        entry(conflict_polcy="keep"),
        'conflict_polcy "keep" is no known field. For information of your own there is labels, an object of texts.',
    ),
    "unknown, with a near one": (
        entry(jobid="job-1"),
        'jobid "job-1" is no known field. Did you mean job_id?',
    ),
    "a level too high": (
        entry(conflict_policy="keep"),
        f'conflict_policy "keep" is no known field. Move it into {INFO}.',
    ),
    "a level too low": (
        data_level(project_id="p"),
        f'{INFO}.project_id "p" is no known field. Move it out of {INFO}, beside it.',
    ),
    "unknown inside": (
        data_level(compare_object_infos=[{"db_name": "a", "tables": ["t"]}]),
        f'{INFO}.compare_object_infos[0].tables "["t"]" is no known field. Did you mean table_name?',
    ),
    "a CSV label": (
        entry(**{"label.team": "a"}),
        'label.team "a" is no known field. Write "labels": {"name": "value"}; label.NAME is for CSV.',
    ),
    "a secret": (
        entry(token="abcdefgh"),
        'token "***" is no known field. For information of your own there is labels, an object of texts.',
    ),
    "start without a zone": (
        data_level(start_time="2027-02-01T22:00:00"),
        f'{INFO}.start_time "2027-02-01T22:00:00" has no zone. '
        "Write 2027-02-01T22:00:00Z for UTC, or add the zone, such as 2027-02-01T22:00:00+08:00.",
    ),
    "start is past": (
        data_level(start_time="1700000000000"),
        f'{INFO}.start_time "1700000000000" is past (2023-11-14 22:13:20 UTC). '
        "Leave it empty to start at once, or give a time to come.",
    ),
    "start is a number with a fraction": (
        data_level(start_time=int(LATER) + 0.5),
        f'{INFO}.start_time "{LATER}.5" has a fraction of a millisecond. Round it to whole milliseconds: '
        "CAST(… AS BIGINT) in SQL, astype('Int64') in pandas, cast(pl.Int64) in polars.",
    ),
    "start is true": (
        data_level(start_time=True),
        f'{INFO}.start_time "true" must be text, and is true or false. Write it in double quotes.',
    ),
    "key is a number": (
        entry(key=7),
        'key "7" must be text, and is a number. Put it in double quotes.',
    ),
    "key with a space": (
        entry(key="a "),
        'key "a" begins or ends with a space. Use at most 200 printable characters, without spaces at the ends.',
    ),
    "key with a tab": (
        entry(key="a\tb"),
        'key "a b" holds characters that cannot be printed. '
        "Use at most 200 printable characters, without spaces at the ends.",
    ),
    "key too long": (
        entry(key="k" * 201),
        f'key "{"k" * 79}…" has 201 characters. Use at most 200 printable characters, without spaces at the ends.',
    ),
    "project is a path": (
        entry(project_id="../admin"),
        'project_id "../admin" is no project id. Copy the id from the console, My Credentials: 32 letters and digits.',
    ),
    "region unknown": (
        entry(region="eu-west-1O1"),
        'region "eu-west-1O1" is not known. '
        "Did you mean eu-west-101? Otherwise give its DRS endpoint with --endpoint https://….",
    ),
    "endpoint with a path": (
        entry(endpoint="https://drs.example.com/v3"),
        'endpoint "https://drs.example.com/v3" goes on after the host. Write https://drs.example.com.',
    ),
    "endpoint in the clear": (
        entry(endpoint="http://drs.example.com"),
        'endpoint "http://drs.example.com" is not https, so tokens would travel in the clear. '
        "Write https://…, or allow it with --insecure-http.",
    ),
    "endpoint with a password": (
        entry(endpoint="https://me:secret@drs.example.com"),
        "endpoint cannot be used: an endpoint carries no user name or password. "
        "Give credentials by environment or file.",
    ),
    "region and endpoint": (
        entry(region="eu-west-101", endpoint="https://drs.example.com"),
        'region "eu-west-101" and endpoint are both given. Give one of them: a region stands for its endpoint.',
    ),
    "language unknown": (
        entry(x_language="en-gb"),
        'x_language "en-gb" is no language of the API. Did you mean en-us?',
    ),
    "labels are a list": (
        entry(labels=["a"]),
        'labels "["a"]" must be an object, and is a list. Write {"name": "value"}.',
    ),
    "label is a number": (
        entry(labels={"wave": 7}),
        'labels.wave "7" must be text, and is a number. Put it in double quotes.',
    ),
    "label without a name": (
        entry(labels={"": "a"}),
        "labels has a label without a proper name. Name the label.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_thing_wrong_is_one_finding(name: str, tmp_path: Path) -> None:
    """Place, field, value, problem and mend, and nothing else."""
    element, text = WRONG[name]
    assert texts(read(tmp_path, [element])) == [f"wave.json, line 1, column 2, index 0: {text}"]


def test_half_a_surrogate_pair_is_told_wherever_it_stands(tmp_path: Path) -> None:
    """JSON can write what UTF-8 cannot."""
    bad = "\ud800"
    element = {
        "job_id": bad,
        INFO: {**LINES, "compare_object_infos": [{"db_name": bad, "table_name": [bad]}]},
        "key": bad,
        "project_id": bad,
        "endpoint": bad,
        "labels": {"a": bad, bad: "a"},
    }
    found = texts(read(tmp_path, [element]))
    assert sum("holds half of a surrogate pair" in text for text in found) == 7
    assert sum("without a proper name" in text for text in found) == 1


def test_everything_wrong_is_told_at_once_and_in_the_same_order(tmp_path: Path) -> None:
    """Structure first, then the rules, then what stands beside the body."""
    element = {"object_level_compare_type": "objects", INFO: {"compare_type": "contents", "x": 1}, "key": 5}
    problems = [text.partition("index 0: ")[2].partition(".")[0] for text in texts(read(tmp_path, [element]))]
    assert problems == [
        "job_id is missing",
        "data_level_compare_info",  # .conflict_policy
        "data_level_compare_info",  # .x
        "data_level_compare_info",  # .compare_type with objects
        "data_level_compare_info",  # .compare_object_infos
        'key "5" must be text, and is a number',
    ]


def test_scope_is_missing_only_where_nobody_names_it(tmp_path: Path) -> None:
    """An entry names its own, or the run does."""
    own = entry(project_id=PROJECT, region="eu-west-101")
    items = read(tmp_path, [own, entry(job_id="job-2")], defaults=RunDefaults())
    assert isinstance(items[0], Entry)
    assert [text.partition("index 1: ")[2] for text in texts(items)] == [
        "endpoint is missing, and so is region. Give --region or --endpoint, or region or endpoint in the entry.",
        "project_id is missing. Give --project-id, or project_id in the entry.",
    ]


def test_an_entry_beats_the_run_in_what_it_names(tmp_path: Path) -> None:
    """Region, project and language; empty is as if it were not there."""
    defaults = RunDefaults(endpoint="https://other.example.com", project_id="p0", x_language="en-us")
    own = entry(region="eu-west-101", project_id="p1", x_language="zh-cn")
    empty = entry(job_id="job-2", region="", endpoint=None, project_id="", x_language="", key="", labels={})
    first, second = entries(read(tmp_path, [own, empty], defaults=defaults))
    assert (first.endpoint, first.project_id, first.x_language) == (
        "https://drs.eu-west-101.myhuaweicloud.eu",
        "p1",
        "zh-cn",
    )
    assert (second.endpoint, second.project_id, second.x_language) == ("https://other.example.com", "p0", "en-us")


def test_what_is_left_empty_is_sent_as_null_or_not_at_all(tmp_path: Path) -> None:
    """`compare_mode` and `start_time` are explicit nulls; the rest is left out."""
    element = data_level(compare_mode="", start_time="", compare_object_infos_with_token=[])
    (made,) = entries(read(tmp_path, [{**element, "object_level_compare_type": ""}]))
    assert made.request.to_wire() == (
        b'{"job_id":"job-1","data_level_compare_info":{"conflict_policy":"keep","compare_type":"lines",'
        b'"compare_mode":null,"start_time":null,"compare_object_infos":[{"db_name":"shop"}]}}'
    )


def test_the_quick_mode_needs_no_list(tmp_path: Path) -> None:
    """It takes all objects."""
    element = data_level(compare_mode="quick_comparison", compare_object_infos=None)
    (made,) = entries(read(tmp_path, [element]))
    assert made.request.data_level_compare_info is not None
    assert made.request.data_level_compare_info.compare_mode == "quick_comparison"


@pytest.mark.parametrize("number", [int(LATER), float(LATER)])
@pytest.mark.parametrize("name", ["wave.json", "wave.jsonl"])
def test_a_start_time_may_be_a_number(name: str, number: float, tmp_path: Path) -> None:
    """As every program writes milliseconds; the API is sent its digits."""
    elements = [{**data_level(start_time=number), "job_id": f"job-{place}"} for place in range(3)]
    content = elements if name == "wave.json" else "\n".join(map(json.dumps, elements))
    for made in entries(read(tmp_path, content, name)):
        assert made.terms.start_time == LATER


@pytest.mark.parametrize("name", ["wave.json", "wave.jsonl"])
def test_a_null_label_is_as_if_absent(name: str, tmp_path: Path) -> None:
    """Polars and DuckDB write one for every label that another entry has. Over defaults it takes theirs away."""
    elements = [entry(job_id=f"job-{place}", labels={"team": "blue", "wave": None}) for place in range(3)]
    content = elements if name == "wave.json" else "\n".join(map(json.dumps, elements))
    assert [made.labels for made in entries(read(tmp_path, content, name))] == [{"team": "blue"}] * 3
    with_defaults = {"defaults": {"labels": {"wave": "7", "team": "red"}}, "entries": elements}
    assert [made.labels for made in entries(read(tmp_path, with_defaults))] == [{"team": "blue"}] * 3


def test_a_start_time_with_a_zone_becomes_milliseconds(tmp_path: Path) -> None:
    """The API takes digits only."""
    (made,) = entries(read(tmp_path, [data_level(start_time="2027-01-15T17:00:00+08:00")]))
    assert made.request.data_level_compare_info is not None
    assert made.request.data_level_compare_info.start_time == LATER


def test_the_default_key_is_that_of_scope_and_body_alone(tmp_path: Path) -> None:
    """The same request written in another way has the same key; another scope gives another."""
    plain = entries(read(tmp_path, [data_level(start_time=LATER)]))[0].key
    other_way = data_level(start_time="2027-01-15T09:00:00Z", compare_mode="")
    assert entries(read(tmp_path, [{**other_way, "labels": {"a": "b"}}]))[0].key == plain
    assert entries(read(tmp_path, [{**other_way, "project_id": "p1"}]))[0].key != plain
    assert len(plain) == 17
    assert plain[0] == "k"
