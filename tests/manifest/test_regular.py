"""The short way for regular rows, and the long way for all others, come to the same."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.drs.v3.create_compare_task import CreateCompareTaskReq
from batcher.manifest import AlikeEntries, Entry, Finding, finding_line, open_manifest
from batcher.manifest.duplicates import DuplicateIndex
from batcher.manifest.entry import bodies_of, keys_of
from batcher.manifest.entry_templates import EntryTemplates
from batcher.manifest.formats import alike_lines, read_json, read_jsonl, source
from batcher.manifest.formats.alike_lines import AlikeLines
from batcher.manifest.formats.read_json import _SlidingWindow
from batcher.manifest.write import ManifestLine, write_manifest
from tests.manifest.reading import DEFAULTS, LINES, NOW, entries, entry, read, texts
from tests.manifest.strategies import NAMES, elements

relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@contextmanager
def the_long_way() -> Iterator[None]:
    """Nothing is judged by its likeness, elements are told by parsing alone, duplicates by where their firsts are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EntryTemplates, "entry_of", lambda *_, **__: None)
        patch.setattr(AlikeLines, "parts_of", lambda _, lines: [(lines, None)])
        patch.setattr(AlikeLines, "texts_of", lambda *_: None)
        patch.setattr(_SlidingWindow, "texts", lambda _: [])
        patch.setattr("batcher.manifest.manifest.finding_duplicates", lambda walk: walk(DuplicateIndex()))
        yield


def outcome(path: Path, *, allow_duplicates: bool) -> list[Any]:
    """All that reading *path* gives, with what is made of entries when they are planned."""
    found: list[Any] = []
    for judged in open_manifest(path).read_batches(DEFAULTS, now=NOW, allow_duplicates=allow_duplicates):
        if isinstance(judged, AlikeEntries):
            bodies = judged.bodies()
            found += zip(judged.entries(), judged.keys(bodies), bodies, strict=True)
        else:
            found += [(item, item.key, item.body) if isinstance(item, Entry) else item for item in judged]
    return [item for item in found if item != []]


def assert_both_ways_are_one(content: bytes, format: str) -> None:
    """For the manifest *content*."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"wave.{format}")
        path.write_bytes(content)
        for allowed in (False, True):
            short = outcome(path, allow_duplicates=allowed)
            with the_long_way():
                assert short == outcome(path, allow_duplicates=allowed)


_OWN = st.fixed_dictionaries(
    {"job_id": st.sampled_from(["job-1", "job-2", "job-3", "job-4", " j", "", "j\u00a0", 5])},
    optional={
        "key": st.sampled_from(["k-1", "k-2", "", None, " k", "k0123456789abcdef"]),
        "labels": st.dictionaries(st.sampled_from(["team", "", "a:b", "ü"]), st.sampled_from(["x", "", "{"])),
        "x_language": st.sampled_from(["en-us", "", None]),
    },
)
_OBJECTS = st.sampled_from(
    [[{"db_name": "shop"}], [{"db_name": "ü:", "table_name": ["a", "b"]}], [{"table_name": ["a"]}], [], None]
)


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Entries that are alike, as in most manifests, with odd ones among them."""
    kinds = draw(st.lists(elements(), min_size=1, max_size=2))
    made = []
    for own in draw(st.lists(_OWN, min_size=1, max_size=6)):
        row = {**draw(st.sampled_from(kinds)), **own}
        if "data_level_compare_info" in row and draw(st.booleans()):
            objects = {
                draw(st.sampled_from(["compare_object_infos", "compare_object_infos_with_token"])): draw(_OBJECTS)
            }
            row["data_level_compare_info"] = {**row["data_level_compare_info"], **objects}
        made.append(row)
    return made


_LAYOUTS: Any = st.sampled_from(
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False, "indent": "\t"}]
)
_SLIPS = st.sampled_from(['"', ":", "{", "}", "},{", ",", "\n", " ", "\\", "\\u003a", '"job_id":"x",', "null", "ü"])


def spoilt(text: str, draw: st.DrawFn) -> str:
    """*text*, at times with a slip of the pen somewhere."""
    if draw(st.booleans()):
        return text
    place = draw(st.integers(0, len(text)))
    return text[:place] + draw(_SLIPS) + text[place + draw(st.integers(0, 3)) :]


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """JSON manifests of any layout, with and without defaults, sound and unsound."""
    content: Any = draw(rows())
    if draw(st.booleans()):
        shared = draw(elements())
        defaults = {name: shared[name] for name in shared if name not in ("job_id", "key")}
        own = ("job_id", "key", "labels")
        short = [{name: row[name] for name in own if name in row} for row in content]
        content = {"defaults": defaults, "entries": [*draw(st.permutations([*content, *short]))]}
    return spoilt(json.dumps(content, **draw(_LAYOUTS)), draw)


@st.composite
def line_texts(draw: st.DrawFn) -> str:
    """The same a line each."""
    layout = {name: value for name, value in draw(_LAYOUTS).items() if name != "indent"}
    lines = [
        json.dumps(row, **layout) + draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n", "\n \t\n"]))
        for row in draw(rows())
    ]
    return spoilt("".join(lines), draw)


@st.composite
def csv_texts(draw: st.DrawFn) -> str:
    """Rows under a header."""
    names = [
        "job_id",
        "key",
        "conflict_policy",
        "compare_type",
        "compare_object_infos",
        "label.team",
        "compare_mode",
        "",
    ]
    header = draw(st.permutations(names))
    cells = {
        "job_id": st.sampled_from(["job-1", " job-2 ", "job-3", "", "j 4"]),
        "key": st.sampled_from(["", "", "k-1", " k-2", "\x07"]),
        "conflict_policy": st.sampled_from(["keep", "keep", "kep"]),
        "compare_type": st.sampled_from(["lines", "lines", " contents"]),
        "compare_object_infos": st.sampled_from(
            ["shop", " a: b, c; d", "a: ,", "", '"[{""db_name"": ""x""}]"', '"[{""db_name"":""x"",""db_name"":""y""}]"']
        ),
        "label.team": st.sampled_from(["", " ", "blue", "ü"]),
        "compare_mode": st.sampled_from(["", "", "quick_comparison"]),
        "": st.sampled_from(["", "", "", "x"]),
    }
    end = draw(st.sampled_from(["\n", "\r\n", ";\n"]))
    lines = [[draw(cells[name]) for name in header] for _ in range(draw(st.integers(1, 6)))]
    return spoilt("".join(";".join(line) + end for line in [header, *lines]), draw)


@relaxed
@given(json_texts())
def test_json_of_any_layout(text: str) -> None:
    """A run of entries at a time, or one after the other."""
    assert_both_ways_are_one(text.encode(), "json")


@relaxed
@given(line_texts())
def test_json_lines(text: str) -> None:
    """With blank ones among them."""
    assert_both_ways_are_one(text.encode(), "jsonl")


_TEXTS: Any = st.sampled_from(
    [
        "x",
        "JOB",
        "OBJECTS",
        "job_id",
        "job-3",
        "z: ü",
        "NULL",
        "a=b",
        "",
        " ",
        'say "x"',
        "\\",
        "\u3000",
        "1.5E+10",
        "x" * 201,
    ]
)
_SOUND_LISTS: Any = st.lists(
    st.sampled_from(
        [
            {"db_name": "shop"},
            {"db_name": "ü:", "table_name": ["a", "b"]},
            {"db_name": "C#", "table_name": ["a=b"]},
            {"db_name": "#REF!"},
            {"db_name": "x", "table_name": None},
            {"db_name": ""},
        ]
    ),
    max_size=3,
)


def assert_any_way_is_one(lines: list[str], together: int, few: int = 16) -> None:
    """For *lines* as JSONL and as JSON, about *together* characters of which are read at a time.

    From *few* on, lines between odd ones are taken together.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alike_lines, "_FEW", few)
        patch.setattr(read_jsonl, "_FEW", 3 * few)
        patch.setattr(source, "_PIECE", together)
        patch.setattr(read_json, "_RUN", together)
        assert_both_ways_are_one("\n".join(lines).encode(), "jsonl")
        assert_both_ways_are_one(("[" + ",\n".join(lines) + "]").encode(), "json")


@st.composite
def rows_alike(draw: st.DrawFn) -> list[str]:
    """Lines as programs write them, each the same but for some texts; at times with a slip of the pen in one."""
    like = draw(elements())
    numbered = draw(st.booleans())
    odd = draw(st.sampled_from([0, 0, 1, 9]))  # how many of thirty values are drawn
    lists = draw(st.sampled_from(["compare_object_infos", "compare_object_infos_with_token", None]))
    made = []
    for number in range(draw(st.integers(4, 24))):

        def own(usual: str, drawn: Any = _TEXTS, number: int = number) -> Any:
            return draw(drawn) if draw(st.integers(0, 29)) < odd else f"{usual}{number}"

        row = {**like, "job_id": own("job-")}
        if "key" in like or numbered:
            row["key"] = own("key:")
        if "labels" in like:
            row["labels"] = {name: own("label ") if numbered else value for name, value in like["labels"].items()}
        if "data_level_compare_info" in like and lists:
            objects = [{"db_name": own("db")}, *draw(_SOUND_LISTS)] if odd else [{"db_name": f"db{number}"}]
            row["data_level_compare_info"] = {**like["data_level_compare_info"], lists: objects}
        made.append(row)
    layout = {name: value for name, value in draw(_LAYOUTS).items() if name != "indent"}
    end = draw(st.sampled_from(["", "", " \r"]))
    return spoilt("\n".join(json.dumps(row, **layout) + end for row in made), draw).split("\n")


@settings(relaxed, max_examples=50)
@given(rows_alike(), st.integers(200, 2000), st.integers(1, 6))
def test_lines_that_are_alike(lines: list[str], together: int, few: int) -> None:
    """However many of them are read together, and taken together between odd ones."""
    assert_any_way_is_one(lines, together, few)


_ROW = {"job_id": "JOB", "data_level_compare_info": LINES, "labels": {"team": "blue", "n": "N"}, "key": "KEY"}
_FORMS: list[Any] = [{}, {"separators": (",", ":")}, {"sort_keys": True}, {"indent": 1}]


@pytest.mark.parametrize("row", [_ROW, {"object_level_compare_type": "objects", "job_id": "JOB"}])
@pytest.mark.parametrize("form", _FORMS)
@pytest.mark.parametrize("content", ["LINES", "[LINES]", '{"defaults": {"labels": {"all": "x"}}, "entries": [LINES]}'])
def test_lines_that_are_alike_are_taken_together(row: dict[str, Any], form: Any, content: str, tmp_path: Path) -> None:
    """All but those of the first reading, whose shape is learnt, and the last of a JSON file."""
    line = json.dumps(row, **form)
    if content == "LINES":
        line = line.replace("\n", "")
    lines = [line.replace("JOB", f"job-{n}").replace("KEY", f"key {n}").replace("N", f"{n}") for n in range(9000)]
    path = tmp_path / ("wave.jsonl" if content == "LINES" else "wave.json")
    path.write_text(content.replace("LINES", ("\n" if content == "LINES" else ",\n").join(lines)))
    together = one_by_one = 0
    for judged in open_manifest(path).read_batches(DEFAULTS, now=NOW):
        if isinstance(judged, AlikeEntries):
            together += len(judged)
            made = [*judged.entries()]
            bodies = judged.bodies()
            assert bodies == [one.body for one in made]
            assert judged.keys(bodies) == [one.key for one in made]
        else:
            one_by_one += sum(item != [] for item in judged)
    assert together + one_by_one == 9000
    assert one_by_one <= source._PIECE / len(lines[0]) + 2


_RAW = [
    'x","y":"z',
    'x","key":"z',
    "x\\u003ay",
    "x\\\\",
    "x\\",
    "x\ty",
    "x\u2028y",
    "x: y",
    "",
    "x" * 201,
    "NULL",
    "1.5E+10",
    "\\ud800",
]


@pytest.mark.parametrize("raw", _RAW)
@pytest.mark.parametrize("place", ["job_id", "key", "label", "team"])
def test_what_stands_between_quotes_is_read_as_what_it_is(raw: str, place: str) -> None:
    """Be it in one of many lines that are alike."""
    lines = []
    for number in range(12):
        own = {name: raw if name == place and number == 9 else f"{name}{number}" for name in ("job_id", "key", "label")}
        last = raw if place == "team" and number == 9 else "blue"
        info = f'{{"conflict_policy":"keep","compare_type":"lines","compare_object_infos":[{{"db_name":"{number}"}}]}}'
        labels = f'"labels":{{"n":"{own["label"]}","team":"{last}"}}'
        lines.append(f'{{{labels},"data_level_compare_info":{info},"key":"{own["key"]}","job_id":"{own["job_id"]}"}}')
        by_key = f'"job_id":"{own["job_id"]}","key":"{own["key"]}"'
        lines.append(f'{{"object_level_compare_type":"objects",{labels},{by_key}}}')
    assert_any_way_is_one(lines[0::2], 700)
    assert_any_way_is_one(lines[1::2], 700)


@pytest.mark.parametrize(
    "raw",
    [
        '[{"db_name":"a"}],"compare_object_infos":[{"db_name":"b"}]',
        '[{"db_name":"a","db_name":"b"}]',
        '[{"db_name":"b","db_name":"a\\u003a"}]',
        '[{"db_name": "a"} ]',
        '[{"db_name":"#REF!"}]',
        '[{"db_name":""}]',
        '[{"db_name":"a","x":"b"}]',
        '[{"db_name":"a","table_name":[]}]',
        '[{"db_name":"a","table_name":null}]',
        '[{"db_name":"a:"}]},"labels":{"compare_object_infos":[{"db_name":"a"}]',
        "[]",
        "[{}",
    ],
)
def test_objects_are_read_as_what_they_are(raw: str) -> None:
    """Be they in one of many lines that are alike."""
    info = '{"conflict_policy":"keep","compare_type":"lines","compare_object_infos":OBJECTS}'
    line = f'{{"job_id":"JOB","data_level_compare_info":{info}}}'
    lines = [line.replace("JOB", f"j{number}") for number in range(12)]
    lines = [text.replace("OBJECTS", raw if number == 9 else '[{"db_name":"a"}]') for number, text in enumerate(lines)]
    assert_any_way_is_one(lines, 700)


@pytest.mark.parametrize("odd", ['"job_id": "jöb 1"', '"job_id": ""', '"job_id": "j", "job_id": "k"', '"job_id": 7'])
def test_an_odd_line_is_told_among_those_that_are_alike(odd: str, tmp_path: Path) -> None:
    """And those behind it are taken together again."""
    lines = [json.dumps(entry(job_id=f"job-{number}")) for number in range(5000)]
    lines[3000] = lines[3000].replace('"job_id": "job-3000"', odd)
    (tmp_path / "wave.jsonl").write_text("\n".join(lines))
    judged = [*open_manifest(tmp_path / "wave.jsonl").read_batches(DEFAULTS, now=NOW)]
    assert sum(map(len, judged)) == 5000
    assert isinstance(judged[-1], AlikeEntries)
    found = [item for item in open_manifest(tmp_path / "wave.jsonl").read(DEFAULTS, now=NOW)]
    assert [item.index for item in found if isinstance(item, Finding)] == [3000]
    assert [item.index for item in found] == [*range(5000)]


def test_a_label_that_is_called_like_a_field_is_a_label(tmp_path: Path) -> None:
    """Where the field itself is written with an escape."""
    lines = [
        f'{{"job_\\u0069d":"j{n}","object_level_compare_type":"objects","labels":{{"job_id":"x"}}}}' for n in (0, 1)
    ]
    odd = '{"job_\\u0069d":"x","object_level_compare_type":"objects","labels":{"job_id":"LABEL"}}'
    assert_any_way_is_one([*lines, *(odd.replace("LABEL", label) for label in "xxxxxxxxxxxxxyxxxxxxxxxxxxx")], 400)


@pytest.mark.parametrize("own", ["job_id", "key"])
def test_a_duplicate_is_told_among_lines_that_are_alike(own: str, tmp_path: Path) -> None:
    """With the line of the first, however far apart they are."""
    names = {"job_id", own}
    rows = [{name: f"{name}-{n % 2500 if name == own else n}" for name in names} for n in range(2501)]
    lines = [json.dumps(entry(**row)) for row in rows]
    found = read(tmp_path, "\n".join(lines), "wave.jsonl")
    assert [item.index for item in found if isinstance(item, Finding)] == [2500]
    assert "line 1" in texts(found)[0]


@relaxed
@given(csv_texts())
def test_csv(text: str) -> None:
    """With columns in any order."""
    assert_both_ways_are_one(text.encode(), "csv")


@relaxed
@given(elements())
def test_the_body_is_that_of_the_model(element: dict[str, Any]) -> None:
    """Byte for byte: keys are made of it."""
    with tempfile.TemporaryDirectory() as folder:
        (made,) = entries(read(Path(folder), [element]))
    assert made.body == CreateCompareTaskReq.model_validate_json(made.body).to_wire()


@relaxed
@given(st.lists(elements(), min_size=1, max_size=4, unique_by=lambda element: element["job_id"]))
def test_many_bodies_and_keys_are_those_of_each(elements: list[dict[str, Any]]) -> None:
    """Those of a plan are made together."""
    with tempfile.TemporaryDirectory() as folder:
        made = entries(read(Path(folder), elements))
    bodies = bodies_of(made)
    assert bodies == [one.body for one in made]
    for scope in {one.terms.scope for one in made}:
        own = [one for one in made if one.terms.scope == scope]
        assert keys_of(own, bodies_of(own)) == [one.key for one in own]
    digests = [sha256(b"\0".join((one.endpoint.encode(), one.project_id.encode(), one.body))) for one in made]
    assert [one.key for one in made] == [
        one.own_key or f"k{digest.hexdigest()[:16]}" for one, digest in zip(made, digests, strict=True)
    ]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_what_is_like_a_sound_entry_takes_the_short_way(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the first of a kind, and the last of a JSON file, behind which no other stands."""
    as_it_is, taken = EntryTemplates.entry_of, list[bool]()

    def entry_of(self: EntryTemplates, *arguments: Any, plain: bool) -> Entry | None:
        made = as_it_is(self, *arguments, plain=plain)
        taken.append(made is not None)
        return made

    monkeypatch.setattr(EntryTemplates, "entry_of", entry_of)
    sound = entries(read(tmp_path, [entry(job_id=f"j{number}", labels={"n": f"{number}"}) for number in range(50)]))
    taken.clear()
    path = tmp_path / f"next.{format}"
    write_manifest(path, map(ManifestLine.of, sound))
    again = entries(read(tmp_path, path.read_bytes(), path.name))
    assert [(made.key, made.body, made.labels) for made in again] == [(e.key, e.body, e.labels) for e in sound]
    assert taken == [False] + [True] * (48 if format == "json" else 49)


@pytest.mark.parametrize("odd", [LINES | {"start_time": "1"}, LINES | {"compare_object_infos": []}, {**LINES, "x": 1}])
def test_an_odd_one_is_told_among_its_likes(odd: dict[str, Any], tmp_path: Path) -> None:
    """Where it is, and the others are not touched by it."""
    content = [entry(job_id=f"j{number}") for number in range(9)]
    content[5]["data_level_compare_info"] = odd
    lines = ",\n".join(map(json.dumps, content))
    found = read(tmp_path, f"[{lines}]")
    assert [item.index for item in found] == [*range(9)]
    assert texts(found)[0].startswith("wave.json, line 6, column 1, index 5: data_level_compare_info.")


def test_a_key_that_is_the_default_one_of_another_is_a_duplicate(tmp_path: Path) -> None:
    """Although only one of the two names a key; whichever comes first."""
    (first,) = entries(read(tmp_path, [entry()]))
    objects = {"job_id": "job-2", "object_level_compare_type": "objects", "key": first.key}
    for content in ([entry(), objects], [objects, entry()]):
        found = read(tmp_path, content)
        assert [type(item) for item in found] == [Entry, Finding]


def test_all_before_an_undecodable_byte_is_judged(tmp_path: Path) -> None:
    """And the byte is told last."""
    line = json.dumps(entry(job_id="j", key="k")) + "\n"
    content = line.encode() + b'{"job_id": "j2"}\n' + b"\xff\n"
    found = texts(read(tmp_path, content, "wave.jsonl"))
    assert [text.partition(":")[0] for text in found] == [
        "wave.jsonl, line 2, index 1",
        "wave.jsonl, line 3, column 1",
    ]


@relaxed
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_labels_are_merged_over_the_defaults_by_the_short_way_too(names: list[str]) -> None:
    """What an entry says beats what all say."""
    content = {
        "defaults": {"labels": {"team": "a", names[0]: "b"}, "data_level_compare_info": LINES},
        "entries": [{"job_id": f"j{n}", "labels": {name: str(n) for name in names}} for n in range(4)]
        + [{"job_id": "j"}],
    }
    with tempfile.TemporaryDirectory() as folder:
        made = entries(read(Path(folder), content))
    for number, item in enumerate(made[:-1]):
        assert item.labels == {"team": "a", **{name: str(number) for name in names}}
    assert made[-1].labels == {"team": "a", names[0]: "b"}


_LIKE = '{"job_id": "job-1", "object_level_compare_type": "objects"}'
_ODD = {
    "a field twice": '{"job_id": "job-2", "job_id": "job-3", "object_level_compare_type": "objects"}',
    "a field twice, behind a colon that is written as an escape": (
        '{"job_id": "job-2", "object_level_compare_type": "objects", "key": "a", "key": "a\\u003ab"}'
    ),
    "a bad key": '{"job_id": "job-2", "object_level_compare_type": "objects", "key": " k"}',
    "a job with a space": '{"job_id": "job 2", "object_level_compare_type": "objects"}',
    "a nameless label": '{"job_id": "job-2", "object_level_compare_type": "objects", "labels": {"": "x"}}',
    "half a pair": '{"job_id": "job-2", "object_level_compare_type": "objects", "labels": {"x": "\\ud800"}}',
    "a number for a text": '{"job_id": 2, "object_level_compare_type": "objects"}',
}


@pytest.mark.parametrize("odd", _ODD)
@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_what_is_odd_is_never_taken_for_regular(odd: str, format: str, tmp_path: Path) -> None:
    """Although it is like the sound entries before and behind it in all else."""
    lines = [_LIKE, _LIKE.replace("-1", "-8"), _ODD[odd], _LIKE.replace("-1", "-9"), _LIKE.replace("-1", "-7")]
    content = "\n".join(lines) if format == "jsonl" else f"[{','.join(lines)}]"
    found = read(tmp_path, content, f"wave.{format}")
    assert [type(item) for item in found] == [Entry, Entry, Finding, Entry, Entry]
    assert_both_ways_are_one(content.encode(), format)


def test_csv_cells_are_judged_by_what_they_mean(tmp_path: Path) -> None:
    """Spaces around a key are none of it; a row that lacks its objects is not like one that has them."""
    header = "job_id,key,compare_object_infos,conflict_policy,compare_type"
    rows = ["j1,,shop,keep,lines", "j2,  k2 ,shop,keep,lines", "j3,,,keep,lines", "j4,, shop: a ,keep,lines"]
    content = "\n".join([header, *rows])
    made = read(tmp_path, content, "wave.csv")
    assert [type(item) for item in made] == [Entry, Entry, Finding, Entry]
    assert [item.key for item in made][1] == "k2"
    assert_both_ways_are_one(content.encode(), "csv")


def test_half_a_pair_in_csv_is_told(tmp_path: Path) -> None:
    """UTF-7 can hold one."""
    rows = "job_id,object_level_compare_type,label.a\nj1,objects,x\nj2,objects,y\nj3,objects,+2AA-\n"
    found = read(tmp_path, rows, "wave.csv", encoding="utf-7")
    assert [type(item) for item in found] == [Entry, Entry, Finding]
    assert "label.a holds half of a surrogate pair" in texts(found)[0]


def test_entries_over_unsound_defaults_are_judged_in_full() -> None:
    """What comes from these defaults cannot be told from an entry's own text."""
    content = {
        "defaults": {"key": "k", "object_level_compare_type": "objects"},
        "entries": [{"job_id": f"j{number}"} for number in range(3)],
    }
    assert_both_ways_are_one(json.dumps(content).encode(), "json")


def test_only_so_many_kinds_of_entries_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest in which each is of its own kind does not fill the memory."""
    monkeypatch.setattr("batcher.manifest.entry_templates._MOST", 3)
    kept: list[int] = []
    as_it_is = EntryTemplates.learn

    def learn(self: EntryTemplates, *arguments: Any) -> None:
        as_it_is(self, *arguments)
        kept.append(len(self._known))

    monkeypatch.setattr(EntryTemplates, "learn", learn)
    entries(read(tmp_path, [entry(job_id="j", project_id=f"p{number}") for number in range(8)]))
    assert kept[:7] == [1, 2, 3, 1, 2, 3, 1]


def test_a_line_beyond_all_measure_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a finding, and the line behind it has its number."""
    monkeypatch.setattr("batcher.manifest.formats.read_jsonl.LONGEST", 100_000)
    content = f'{_LIKE}\n{{"job_id": "{"x" * 500_000}"}}\n{_LIKE.replace("-1", "-2")}\n'
    first, long, last = read(tmp_path, content, "wave.jsonl")
    assert [type(item) for item in (first, long, last)] == [Entry, Finding, Entry]
    assert (long.line, last.line, last.index) == (2, 3, 2)
    assert "the line is longer than" in finding_line(long)  # type: ignore[arg-type]
