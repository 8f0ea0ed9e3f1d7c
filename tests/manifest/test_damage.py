"""Texts that programs have ruined are findings, wherever an id or a name is expected; what may be right is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.manifest import Entry
from batcher.manifest.damage import KNOWN_NOTHINGS, ExpectedText, damage_of, surely_plain
from batcher.manifest.envelope import is_key
from batcher.manifest.rules import is_job_id
from tests.manifest.reading import LINES, entries, entry, read, texts

RUINED = [
    "8.1E+15",
    "9,48E+10",
    "1.23456789012346E+019",
    "8.1e+15",
    "8.1E15",
    "8.1e15",
    "1e+16",
    "94800607000.0",
    "94800607000,00",
    '="0123"',
    "#REF!",
    "#N/A",
    "#NAME?",
    "Err:502",
    "###",
    *KNOWN_NOTHINGS,
]
SOUND = [
    "8f4e0c1ajb101",
    "140a8ef1-d63e-4f58-9e11-0a1b2c3djb201",
    "0123",
    "12345678901234567890",
    "12e4567890123456",
    "1E15",
    "12e-45",
    "nano",
    "nullable",
    "None-1",
    "error",
    "job_1.5",
]


@pytest.mark.parametrize("text", RUINED)
@pytest.mark.parametrize("place", ExpectedText)
def test_what_no_one_means_is_damage_everywhere(text: str, place: ExpectedText) -> None:
    """With who writes it, and how to export without."""
    damage = damage_of(text, place)
    assert damage is not None
    assert damage.problem
    assert damage.mend


@pytest.mark.parametrize("text", SOUND)
@pytest.mark.parametrize("place", ExpectedText)
def test_what_may_be_right_is_none(text: str, place: ExpectedText) -> None:
    """Digits alone, hexadecimal digits that look like a number, words that only begin like one."""
    assert damage_of(text, place) is None


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (ExpectedText.LABEL, "NA"),
        (ExpectedText.LABEL, "1.0"),
        (ExpectedText.LABEL, "1.5e-3"),
        (ExpectedText.LABEL, "=>"),
        (ExpectedText.LABEL, "'quoted'"),
        (ExpectedText.LABEL, "1,200"),
        (ExpectedText.LABEL, "to be continued …"),
        (ExpectedText.KEY, "1.0"),
        (ExpectedText.KEY, "a…"),
        (ExpectedText.NAME, "NA"),
        (ExpectedText.NAME, "v1.0"),
    ],
)
def test_what_is_right_at_some_places(place: ExpectedText, text: str) -> None:
    """A label is anybody's text, and NA a region; an id is neither."""
    assert damage_of(text, place) is None


@pytest.mark.parametrize(
    ("text", "problem", "mend"),
    [
        ("NA", "is a word for nothing: R writes it", "Leave it empty"),
        ("-", "is a word for nothing", "Leave it empty"),
        ("0123…", "is cut short", "Write the whole id"),
        ("8f4e0c1a...", "is cut short", "Write the whole id"),
        ("94.800.607.000", "was made a number with separators of thousands", "Its digits are lost"),
        ("94 800 607", "was made a number with separators of thousands", "Its digits are lost"),
        ("'0123", "begins with the apostrophe by which spreadsheets mark text", "Write 0123"),
        ('"0123"', "stands in quotes of its own", "Write 0123"),
        ("`0123`", "stands in quotes of its own", "Write 0123"),
        ("=A1", "is a formula of a spreadsheet", "Write A1"),
        ("# wave 7", "begins with #, and a manifest has no comments", "Take the line out"),
    ],
)
def test_what_is_no_id(text: str, problem: str, mend: str) -> None:
    """Though it may be a label, or a key."""
    damage = damage_of(text, ExpectedText.ID)
    assert damage is not None
    assert damage.problem.startswith(problem)
    assert damage.mend.startswith(mend)


HEADER = [
    "job_id",
    "object_level_compare_type",
    "key",
    "project_id",
    "label.team",
    "conflict_policy",
    "compare_type",
    "compare_object_infos",
]


def row_of(*, number: int, **changes: str) -> str:
    """A sound row of a tab-separated file, but for *changes*."""
    cells = [f"j{number}", "objects", f"k{number}", "p1", "blue", "keep", "lines", "shop: orders"]
    cells = [changes.get(name.replace("label.", ""), cell) for name, cell in zip(HEADER, cells, strict=True)]
    return "\t".join('"' + cell.replace('"', '""') + '"' for cell in cells)


@pytest.mark.parametrize("text", RUINED)
@pytest.mark.parametrize("place", [0, 1])
def test_a_ruined_cell_of_csv_is_a_finding_in_every_column(text: str, place: int, tmp_path: Path) -> None:
    """Also in a row that is like a sound one before it."""
    changes = [{name: text} for name in ("job_id", "key", "project_id", "team")]
    if not set(text) & set("[,:"):  # these would be other forms
        for objects in (text, f"shop: {text}", f"shop: orders, {text}; hr", f"hr; {text}: orders"):
            changes.append({"compare_object_infos": objects})
    for changed in changes:
        rows = [row_of(number=1), row_of(number=2)]
        rows[place] = row_of(number=place + 1, **changed)
        (said,) = texts(read(tmp_path, "\n".join(["\t".join(HEADER), *rows]), "wave.csv"))
        name = next(iter(changed))
        assert f"index {place}: {'label.team' if name == 'team' else name} " in said


@pytest.mark.parametrize("name", ["wave.json", "wave.jsonl"])
@pytest.mark.parametrize("text", RUINED)
def test_a_ruined_text_of_json_is_a_finding(text: str, name: str, tmp_path: Path) -> None:
    """In job, key, project and labels; and in the names of the object lists, but for what may be called so."""
    changed: list[dict[str, Any]] = [
        entry(job_id=text),
        entry(job_id="job-2", key=text),
        entry(job_id="job-2", project_id=text),
        entry(job_id="job-2", labels={"team": text}),
    ]
    if any(sign in text for sign in "#=+\\"):
        for infos in ([{"db_name": text}], [{"db_name": "shop", "table_name": ["orders", text]}]):
            changed.append(entry(job_id="job-2", data_level_compare_info={**LINES, "compare_object_infos": infos}))
    for one in changed:
        both = [entry(labels={"team": "blue"}), one, entry(job_id="job-3")]
        said = texts(read(tmp_path, both if name == "wave.json" else "\n".join(map(json.dumps, both)), name))
        assert len(said) == 1, (one, said)
        assert "index 1: " in said[0]


def test_names_for_nothing_may_be_meant_in_json(tmp_path: Path) -> None:
    """It is the way to write a name that is really so; `check` counts them."""
    infos = [{"db_name": "None", "table_name": ["NULL", "`a`", "shop.*"]}]
    made = entries(read(tmp_path, [entry(data_level_compare_info={**LINES, "compare_object_infos": infos})] * 1))
    assert isinstance(made[0], Entry)


@pytest.mark.parametrize("word", ["NULL", "NA", "none", "N/A", "n/a", "Null", "-"])
def test_a_job_is_never_left_empty(word: str, tmp_path: Path) -> None:
    """An entry needs one, so that to leave it empty is no mend."""
    (said,) = texts(read(tmp_path, f"job_id;object_level_compare_type\n{word};objects\nj2;objects\n", "wave.csv"))
    assert f'job_id "{word}" is a word for nothing: ' in said
    assert said.endswith(
        " Give the id of the DRS job; of its subtask, where the job has several, or take the entry out."
    )


def test_words_for_nothing_where_only_some_words_are_taken(tmp_path: Path) -> None:
    """An optional field is left empty, another says what it needs."""
    content = (
        "job_id;object_level_compare_type;compare_mode;x_language;region;conflict_policy\nj;NULL;NULL;NULL;NULL;NULL\n"
    )
    said = texts(read(tmp_path, content, "wave.csv"))
    mends = {text.split(" ")[5]: text.rpartition("write it. ")[2] for text in said if "word for nothing" in text}
    assert mends == {
        "object_level_compare_type": "Leave it empty.",
        "compare_mode": "Leave it empty.",
        "x_language": "Leave it empty.",
        "region": "Leave it empty.",
        "conflict_policy": "Write cancel or keep.",
    }


@pytest.mark.parametrize("text", [text for text in RUINED if damage_of(text, ExpectedText.ID)])
def test_no_ruined_text_is_taken_for_plain(text: str) -> None:
    """Among others either."""
    assert not surely_plain([text])
    assert not surely_plain(["a", text, "b"])


@given(st.text("Err:50/N2A-_Eea1FALSnu", min_size=1, max_size=9))
def test_what_is_plain_is_an_id_and_a_key(text: str) -> None:
    """No second look is taken at it."""
    assert not surely_plain([text]) or (is_job_id(text) and is_key(text) and not damage_of(text, ExpectedText.ID))
