"""`batcher check`, as it is typed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.cli.commands.check import print_findings
from batcher.manifest import Finding
from batcher.manifest.grouped import GroupedFindings
from batcher.wave.opening import BadManifest

CSV = (
    "job_id;object_level_compare_type;conflict_policy;compare_type;compare_object_infos;label.team\n"
    "j1;objects;;;;blue\n"
    'j2;;keep;lines;"shop: orders, items; hr";blue\n'
    "j3;objects;cancel;lines;hr;red\n"
)
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHER_", "HW_", "OS_"))}


def check(folder: Path, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`batcher check WORDS` in *folder*."""
    return subprocess.run(
        [sys.executable, "-m", "batcher", "check", *words],
        cwd=folder,
        input=stdin,
        text=True,
        capture_output=True,
        env={**ENVIRONMENT, "NO_COLOR": "1", "XDG_CONFIG_HOME": str(folder)},
        timeout=90,
        check=False,
    )


SCOPE = ("--region", "eu-west-101", "--project-id", "p1")


def test_a_sound_manifest_is_summed_up(tmp_path: Path) -> None:
    """Scopes, what is asked for, labels, digest, time, and the line that runs exactly this."""
    (tmp_path / "wave.csv").write_text(CSV)
    done = check(tmp_path, "wave.csv", *SCOPE, "--rate", "6/min")
    digest = "sha256:" + __import__("hashlib").sha256(CSV.encode()).hexdigest()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "wave.csv  3 entries, all sound",
        "",
        "          3  project p1 at https://drs.eu-west-101.myhuaweicloud.eu",
        "",
        "          2  object-level comparisons",
        "          2  comparisons of row counts (lines)",
        "          1  leave an unfinished comparison of their job alone (keep)",
        "          1  end an unfinished comparison of their job (cancel)",
        "  label team: blue 2, red 1",
        "",
        f"  digest  {digest}",
        "  time    about 20s at 6/min in each project, if all goes well",
        "",
        "  To run exactly this:",
        "  batcher run wave.csv -o wave.results.jsonl --region eu-west-101 --project-id p1 --rate 6/min "
        f"--digest {digest}",
    ]


def test_the_summary_as_json(tmp_path: Path) -> None:
    """The same, for machines; a manifest on standard input."""
    done = check(tmp_path, "-", "--format", "csv", *SCOPE, "--json", stdin=CSV)
    said = json.loads(done.stdout)
    assert (done.returncode, said["sound"], said["entries"], said["findings"]) == (0, True, 3, [])
    assert said["scopes"] == [
        {"endpoint": "https://drs.eu-west-101.myhuaweicloud.eu", "project_id": "p1", "entries": 3, "seconds": 0.4}
    ]
    assert said["asked"]["lines"] == 2
    assert said["labels"] == {"team": {"blue": 2, "red": 1}}
    assert said["command"].startswith("batcher run - -o wave.results.jsonl --region eu-west-101")


def test_what_may_be_right_is_counted_and_said(tmp_path: Path) -> None:
    """Ids of digits alone, names that are words for nothing; the manifest is not called all sound."""
    infos = '[{"db_name": "shop", "table_name": ["nan"]}]'
    info = f'{{"conflict_policy": "keep", "compare_type": "lines", "compare_object_infos": {infos}}}'
    rows = [
        '{"job_id": "j1", "object_level_compare_type": "objects"}',
        '{"job_id": "0123", "object_level_compare_type": "objects"}',
        '{"job_id": "456", "object_level_compare_type": "objects"}',
        f'{{"job_id": "j2", "data_level_compare_info": {info}}}',
    ]
    (tmp_path / "wave.jsonl").write_text("\n".join(rows))
    done = check(tmp_path, "wave.jsonl", *SCOPE)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "wave.jsonl  4 entries, no findings, but something to look at"
    at = lines.index("The first is in line 2, index 1.")
    assert lines[at - 1].startswith("2  with a job id of digits alone. Compare it with the console: a sp")
    assert "1  with a database or table called NULL, None or nan. Is there one? " in done.stdout
    said = json.loads(check(tmp_path, "wave.jsonl", *SCOPE, "--json").stdout)
    assert said["remarks"] == [
        {"about": "digits", "line": 2, "index": 1, "count": 2},
        {"about": "nothings", "line": 4, "index": 3, "count": 1},
    ]


def test_findings_are_told_by_kind_and_all_of_them_in_json(tmp_path: Path) -> None:
    """One mistake in many rows is told once."""
    rows = "".join(f"j{number},keeep,lines,db\n" for number in range(9)) + "j9,keep,lines,\n"
    (tmp_path / "wave.csv").write_text(f"job_id,conflict_policy,compare_type,compare_object_infos\n{rows}")
    done = check(tmp_path, "wave.csv", *SCOPE)
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "wave.csv: 10 findings in 10 of 10 entries",
        "",
        "  conflict_policy must be cancel or keep. Did you mean keep?",
        '    line 2, index 0: "keeep"',
        '    line 3, index 1: "keeep"',
        '    line 4, index 2: "keeep"',
        '    line 5, index 3: "keeep"',
        '    line 6, index 4: "keeep"',
        "    … and 4 more like it; batcher check --json has all.",
        "",
        "  line 11, index 9: compare_object_infos is missing. Give compare_object_infos, or compare_mode "
        '"quick_comparison" where the account may use it.',
    ]
    said = json.loads(check(tmp_path, "wave.csv", *SCOPE, "--json").stdout)
    assert [said["sound"], said["count"], said["entries"], len(said["findings"])] == [False, 10, 0, 10]
    assert said["findings"][0] == {
        "file": "wave.csv",
        "line": 2,
        "column": None,
        "index": 0,
        "field": "conflict_policy",
        "value": "keeep",
        "problem": "must be cancel or keep",
        "mend": "Did you mean keep?",
        "job_id": "j0",
        "key": None,
    }


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("wave.csv", b"", "the file is empty"),
        ("wave.csv", b"job_id\n\xff\n", "line 2, column 1: the byte 0xff is not UTF-8"),
        ("wave.json", b'[{"job_id": "j"', "the file ends in the middle of an entry"),
        ("wave.json", b"[" * 100_000, "the value is nested too deep"),
        ("wave.csv", b"PK\x03\x04", "this is a spreadsheet or zip archive, not text"),
    ],
)
def test_ugly_files_end_in_one_clear_error(name: str, content: bytes, text: str, tmp_path: Path) -> None:
    """Exit code 2, and no traceback."""
    (tmp_path / name).write_bytes(content)
    done = check(tmp_path, name, *SCOPE)
    assert done.returncode == 2
    assert text in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_cannot_be_opened_is_a_finding_in_json(tmp_path: Path) -> None:
    """Machines find it where they find all others."""
    done = check(tmp_path, "none.csv", *SCOPE, "--json")
    said = json.loads(done.stdout)
    assert [done.returncode, said["sound"], len(said["findings"])] == [2, False, 1]


def test_a_project_that_nobody_names_is_for_iam_to_say(tmp_path: Path) -> None:
    """`run` asks for it; where entries lie in several regions each must say its own."""
    (tmp_path / "wave.csv").write_text(CSV)
    done = check(tmp_path, "wave.csv", "--region", "eu-west-101")
    assert "the project that IAM names for the user at https://drs.eu-west-101" in done.stdout
    both = '{"job_id": "j%s", "object_level_compare_type": "objects", "region": "%s"}\n'
    (tmp_path / "wave.jsonl").write_text(both % (1, "eu-west-101") + both % (2, "cn-north-4"))
    done = check(tmp_path, "wave.jsonl")
    assert done.returncode == 2
    assert "project_id is missing" in done.stdout


def test_a_region_that_nobody_names_is_one_finding(tmp_path: Path) -> None:
    """However many entries there are; what else is wrong is told beside it."""
    rows = "".join(f"j{number},objects\n" for number in range(119))
    (tmp_path / "wave.csv").write_text(f"job_id,object_level_compare_type\n{rows}j,object\n")
    done = check(tmp_path, "wave.csv", "--project-id", "p1")
    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "wave.csv: 2 findings",
        "",
        '  line 121, index 119: object_level_compare_type "object" must be objects. Write objects.',
        "",
        "  line 2: endpoint is missing, and so is region, in 120 entries. "
        "Give --region or --endpoint, or region or endpoint in the entry.",
    ]
    said = json.loads(check(tmp_path, "wave.csv", "--project-id", "p1", "--json").stdout)
    assert [(finding["field"], finding["index"]) for finding in said["findings"]] == [
        ("object_level_compare_type", 119),
        ("endpoint", None),
    ]


def test_check_does_without_the_way_to_the_cloud(tmp_path: Path) -> None:
    """It touches no network, and starts without what would."""
    (tmp_path / "wave.csv").write_text(CSV)
    words = ["batcher", "check", "wave.csv", *SCOPE]
    code = (
        "import sys; from batcher.cli.main import main\n"
        f"sys.argv = {words!r}\n"
        "try: main()\n"
        "finally: print('aiohttp' in sys.modules, 'pydantic' in sys.modules)"
    )
    environment = {**ENVIRONMENT, "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "False True", done.stderr


def findings(count: int) -> Iterator[Finding]:
    """Findings of as many entries."""
    for index in range(count):
        yield Finding(file="wave.csv", line=index + 2, index=index, field="job_id", value=None, problem="is", mend="Do")


def test_of_very_many_findings_the_first_thousand_are_kept_and_all_are_counted() -> None:
    """A wave's memory does not grow with what is wrong with its manifest."""
    found = GroupedFindings(findings(200_000))
    assert [found.count, found.entries, len(found.first), found.first[-1].index] == [200_000, 200_000, 1000, 999]
    assert [(group.count, len(group.examples)) for group in found.groups] == [(200_000, 5)]
    assert BadManifest(found, 3).findings == found.first


def test_what_is_left_out_of_a_list_of_findings_is_told(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """In text and in JSON."""
    found = GroupedFindings(findings(1500))
    print_findings(found, entries=3, as_json=True)
    said = json.loads(capsysbinary.readouterr().out)
    assert [said["count"], said["entries"], len(said["findings"])] == [1500, 3, 1000]
    print_findings(found, entries=3)
    told = capsysbinary.readouterr().err.decode()
    assert "1,500 findings in 1,500 of 1,503 entries" in told
    assert "and 1,495 more like it; batcher check --json has all" in told
