"""`batcher discover`, as typed, against a simulated cloud over real sockets."""

import csv
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Script, parse_profile
from batcher.simulator.iam import DEMO_USER, IamConfig
from batcher.simulator.made_fleet import made_fleet
from batcher.simulator.server import ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.cli.commands import Program, wait_until
from tests.cli.conftest import Batcher, Cloud, environment_for
from tests.discover.jobs import fleet, job


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def report(path: Path) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in map(json.loads, path.read_text().splitlines())}


def test_the_manifest_is_sound_and_the_counts_add_up(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(
        fleet(
            job("b-migration", source_instance="src", target_instance="dst"),
            job("a-sync", kind="sync", tells=frozenset({"object-mappings"})),
            job("dr", kind="cloudDataGuard", engine="cloudDataGuard-mysql"),
            job("parent", children=("kid-1", "kid-2")),
            job("kid-1", parent_id="parent"),
            job("kid-2", parent_id="parent", status="PAUSING"),
            job("kafka", kind="sync", engine="mysql-to-kafka"),
            job("full", task_type="FULL_TRANS"),
            job("master", kind="sync", master_job_id="master"),
            job("standby", kind="sync", master_job_id="master"),
            job("blind", tells=frozenset()),
        )
    )
    wave, jobs = tmp_path / "wave.csv", tmp_path / "jobs.jsonl"
    ended = batcher("discover", "-o", wave, "--report", jobs)
    assert ended.code == 0, ended.err
    assert "11 jobs listed = 5 written + 6 left out" in ended.err
    told = report(jobs)
    assert len(told) == 11
    written = {name for name, row in told.items() if row["outcome"] == "written"}
    assert written == {"b-migration", "a-sync", "dr", "kid-1", "master"}
    assert {name: row["reason"] for name, row in told.items() if row["outcome"] == "left_out"} == {
        "parent": "parent",
        "kid-2": "status",
        "kafka": "target_without_tables",
        "full": "full_only",
        "standby": "standby",
        "blind": "no_objects",
    }
    assert told["a-sync"]["objects_from"] == "object-mappings"
    assert told["b-migration"]["objects_from"] == "db-object"
    with wave.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["job_id"] for row in rows] == sorted(written)
    assert rows[1]["label.source_instance"] == "src"
    assert rows[1]["compare_object_infos"] == "shop: items, orders"
    assert batcher("check", wave).code == 0


def test_no_address_and_no_user_gets_out(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(fleet(job("one", source_instance="src"), job("two", tells=frozenset())))
    ended = batcher("discover", "-o", "wave.jsonl", "--report", "jobs.csv", "--json")
    assert ended.code == 0
    texts = (tmp_path / "wave.jsonl").read_text() + (tmp_path / "jobs.csv").read_text() + ended.out + ended.err
    assert "192.0.2.1" not in texts
    assert "repl" not in texts


def test_two_discoveries_of_a_fleet_at_rest_are_the_same_file(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(ServiceConfig(cloud=CloudConfig(jobs=made_fleet(120, 3))))
    for name in ("one.csv", "two.csv"):
        assert batcher("discover", "-o", name, "--read-rate", "off").code == 0
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()


def test_a_job_with_many_tables_is_split_into_waves(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    many = (("shop", None, tuple(f"t{number}" for number in range(5))),)
    cloud(fleet(job("big", objects=many), job("small")))
    ended = batcher("discover", "-o", "wave.jsonl", "--max-tables", 2)
    assert ended.code == 0
    files = ["wave.jsonl", "wave.part-2.jsonl", "wave.part-3.jsonl"]
    assert [name for name in files if (tmp_path / name).exists()] == files
    found = [entries(tmp_path / name) for name in files]
    assert [[entry["job_id"] for entry in part] for part in found] == [["big", "small"], ["big"], ["big"]]
    assert [part[0]["labels"]["part"] for part in found] == ["1 of 3", "2 of 3", "3 of 3"]
    for name in files:
        assert batcher("check", name).code == 0
    ended = batcher("discover", "-o", "-", "--max-tables", 2)
    assert "1  too_many_tables" in ended.err
    assert [json.loads(line)["job_id"] for line in ended.out.splitlines()] == ["small"]


def test_filters_and_files(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(
        fleet(
            job("a", name="pay-1", tags={"team": "pay"}),
            job("b", name="web-1", tags={"team": "web"}),
            job("c", name="pay-2", kind="sync", engine="postgresql", tags={"team": "pay"}),
        )
    )

    def found(*options: object) -> list[str]:
        ended = batcher("discover", "-o", "-", "--format", "jsonl", *options)
        assert ended.code in (0, 1), ended.err
        return [json.loads(line)["job_id"] for line in ended.out.splitlines()]

    assert found() == ["a", "b", "c"]
    assert found("--kind", "sync") == ["c"]
    assert found("--engine", "mysql*") == ["a", "b"]
    assert found("--name", "pay-*") == ["a", "c"]
    assert found("--tag", "team=web") == ["b"]
    (tmp_path / "ids").write_text("# the night's\na\nnobody\n")
    ended = batcher("discover", "-o", "-", "--job-id", "ids")
    assert ended.code == 1
    assert "nobody" in ended.err
    assert found("--exclude", "ids") == ["b", "c"]
    assert found("--status", "PAUSING") == []


def test_an_existing_file_is_not_replaced_unasked(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(fleet(job("a")))
    (tmp_path / "wave.csv").write_text("mine")
    ended = batcher("discover", "-o", "wave.csv")
    assert ended.code == 2
    assert (tmp_path / "wave.csv").read_text() == "mine"
    assert batcher("discover", "-o", "wave.csv", "--force").code == 0


def test_since_tells_what_came_went_and_changed(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(fleet(job("stays"), job("goes"), job("grows")))
    assert batcher("discover", "-o", "old.csv").code == 0
    more = (("shop", None, ("orders", "items", "new")),)
    cloud(fleet(job("stays"), job("comes"), job("grows", objects=more)))
    moved = (tmp_path / "old.csv").read_text()
    (tmp_path / "old.csv").write_text(re.sub(r"http://127\.0\.0\.1:\d+", os.environ["BATCHER_ENDPOINT"], moved))
    ended = batcher("discover", "-o", "new.csv", "--since", "old.csv", "--json")
    assert ended.code == 0, ended.err
    told = {change["job_id"]: change for change in ended.json["changes"]}
    assert {name: change["what"] for name, change in told.items()} == {
        "comes": "came",
        "goes": "went",
        "grows": "changed",
    }
    assert told["grows"]["tables_came"] == ["shop.new"]
    against = batcher("check", "new.csv", "--against", "old.csv")
    assert against.code == 1
    assert "+1: shop.new" in against.out
    assert batcher("check", "new.csv", "--against", "new.csv").code == 0


def test_one_project_of_several_that_shuts_us_out_is_named_and_the_others_go_on(
    batcher: Batcher, cloud: Cloud, tmp_path: Path
) -> None:
    config = ServiceConfig(cloud=CloudConfig(jobs=(job("a"),), projects=frozenset({"project-a", "project-b"})))
    cloud(config)
    ended = batcher(
        *("discover", "-o", "wave.jsonl", "--report", "jobs.jsonl", "--project-id", "project-a"),
        *("--project-id", "shut", "--project-id", "project-b"),
    )
    assert ended.code == 1
    assert "project shut" in ended.err
    assert [entry["project_id"] for entry in entries(tmp_path / "wave.jsonl")] == ["project-a", "project-b"]
    rows = [json.loads(line) for line in (tmp_path / "jobs.jsonl").read_text().splitlines()]
    assert [row["project_id"] for row in rows if row["outcome"] == "not_seen"] == ["shut"]


def test_shut_out_everywhere_nothing_is_written(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(ServiceConfig(cloud=CloudConfig(jobs=(job("a"),), projects=frozenset())))
    ended = batcher("discover", "-o", "wave.jsonl")
    assert ended.code == 3
    assert not (tmp_path / "wave.jsonl").exists()


def test_all_projects_are_asked_of_iam(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    iam = IamConfig(project_ids={"one": ("p1",), "two": ("p2",)})
    cloud(fleet(job("a", project_id="p1"), job("b", project_id="p2"), iam=iam))
    ended = batcher("discover", "-o", "wave.jsonl", "--all-projects", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["listed"] == ended.json["written"] == 2


def test_what_passes_is_waited_out(batcher: Batcher, cloud: Cloud) -> None:
    faults = parse_profile("reads:throttled=20%,500-before=5%,garbage=5%,reset-before=5%")
    cloud(ServiceConfig(cloud=CloudConfig(jobs=made_fleet(20, 1)), faults=faults))
    ended = batcher("discover", "-o", "wave.jsonl", "--json", "--read-rate", "200/s", "--timeout", "0.5")
    assert ended.code == 0, ended.err
    assert ended.json["listed"] == 20


@pytest.mark.parametrize(
    "wrong",
    [
        ("--max-tables", "0"),
        ("--tag", "team"),
        ("--status", "PAUSING", "--any-status"),
        ("--tables", "missing.txt"),
        ("--tables", "database", "--exclude-tables", "x"),
        ("--report", "jobs.xlsx"),
        ("--report", "nowhere/jobs.csv"),
        ("--report", "wave.csv"),
        ("--format", "xml"),
        ("--project-id", "p", "--all-projects"),
        ("--region", "nowhere-1", "--region", "eu-west-101"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_is_asked(
    batcher: Batcher, cloud: Cloud, wrong: tuple[str, ...]
) -> None:
    simulator = cloud(fleet(job("a")))
    ended = batcher("discover", "-o", "wave.csv", *wrong)
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert simulator.ledger == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_discovery_that_is_interrupted_leaves_no_file(tmp_path: Path, number: signal.Signals) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:  # in the background of a shell, which a child would inherit
        signal.signal(number, signal.SIG_DFL)
    with ThreadedSimulator(fleet(*(job(f"{one:03}") for one in range(100)))) as simulator:
        environment = {**environment_for(simulator), "BATCHER_READ_RATE": "20/s"}
        before = {path.name for path in tmp_path.iterdir()}
        words = ("discover", "-o", "wave.csv", "--report", "jobs.csv")
        program = Program(words, folder=tmp_path, environment=environment)
        wait_until(lambda: any(getattr(event, "call", "") == "db-object" for event in list(simulator.ledger)))
        program.signal(number)
        ended = program.end()
    assert ended.code in (128 + number, -number), ended.err
    assert "Traceback" not in ended.err
    left = {path.name for path in tmp_path.iterdir()} - before
    assert {name for name in left if not name.startswith("stderr-")} == set()


IN_THE_MIDDLE = Script(reads=("", "", "unauthorized"))  # the third call for a page of the list


def test_a_token_that_ends_in_the_middle_is_made_anew(
    batcher: Batcher, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = cloud(fleet(job("a"), job("b", kind="sync"), faults=IN_THE_MIDDLE, iam=IamConfig(mode="token")))
    monkeypatch.delenv("BATCHER_TOKEN")
    for name, value in (("USERNAME", DEMO_USER), ("PASSWORD", "simulated-password"), ("DOMAIN", "simulated-domain")):
        monkeypatch.setenv(f"BATCHER_{name}", value)
    monkeypatch.setenv("BATCHER_IAM_ENDPOINT", simulator.url)
    ended = batcher("discover", "-o", "wave.jsonl")
    assert ended.code == 0, ended.err
    assert [entry["job_id"] for entry in entries(tmp_path / "wave.jsonl")] == ["a", "b"]
    refused = [event for event in simulator.ledger if getattr(event, "fault", None) == "unauthorized"]
    assert len(refused) == 1


def test_a_token_that_nobody_can_renew_ends_it_and_no_manifest_pretends_to_be_one(
    batcher: Batcher, cloud: Cloud, tmp_path: Path
) -> None:
    simulator = cloud(fleet(job("a"), job("b", kind="sync"), faults=IN_THE_MIDDLE))
    ended = batcher("discover", "-o", "wave.jsonl", "--report", "jobs.jsonl")
    assert ended.code == 3, ended.err
    assert "APIGW.0301" in ended.err
    assert not (tmp_path / "wave.jsonl").exists()
    assert len(simulator.ledger) == 6  # three requests and their answers: nothing is asked after the refusal


def test_older_parts_go_when_they_are_replaced_and_count_when_they_are_compared_with(
    batcher: Batcher, cloud: Cloud, tmp_path: Path
) -> None:
    cloud(fleet(job("big", objects=(("shop", None, tuple("abcde")),))))
    assert batcher("discover", "-o", "wave.csv", "--max-tables", 2).code == 0
    assert (tmp_path / "wave.part-3.csv").exists()
    (tmp_path / "wave.csv").unlink()
    ended = batcher("discover", "-o", "wave.csv", "--max-tables", 2)
    assert ended.code == 2
    assert "wave.part-2.csv exists" in ended.err
    ended = batcher("discover", "-o", "other.csv", "--max-tables", 2)
    assert ended.code == 0
    ended = batcher("discover", "-o", "other.csv", "--max-tables", 2, "--since", "other.csv", "--force")
    assert "Nothing changed since other.csv" in ended.err
    ended = batcher("discover", "-o", "other.csv", "--max-tables", 3, "--force")
    assert ended.code == 0
    assert "other.part-3.csv: removed" in ended.err
    assert sorted(path.name for path in tmp_path.glob("other*")) == ["other.csv", "other.part-2.csv"]


def test_a_table_that_moves_from_one_part_to_the_next_has_not_gone(batcher: Batcher, cloud: Cloud) -> None:
    cloud(fleet(job("big", objects=(("shop", None, tuple("bcdef")),))))
    assert batcher("discover", "-o", "old.csv", "--max-tables", 2).code == 0
    for old in Path().glob("old*.csv"):
        old.write_text(old.read_text().replace(os.environ["BATCHER_ENDPOINT"], "ENDPOINT"))
    cloud(fleet(job("big", objects=(("shop", None, tuple("abcdef")),))))
    for old in Path().glob("old*.csv"):
        old.write_text(old.read_text().replace("ENDPOINT", os.environ["BATCHER_ENDPOINT"]))
    ended = batcher("discover", "-o", "new.csv", "--max-tables", 2, "--since", "old.csv", "--json")
    (change,) = ended.json["changes"]
    assert (change["what"], change["tables_came"], change["tables_went"]) == ("changed", ["shop.a"], [])
    assert [field["name"] for field in change["fields"]] == ["label.tables"]


def test_an_enterprise_project_that_shows_nothing_is_named(batcher: Batcher, cloud: Cloud) -> None:
    cloud(fleet(job("a", enterprise_project_id="e1"), job("b")))
    ended = batcher("discover", "-o", "-", "--enterprise-project-id", "e1", "--enterprise-project-id", "e2")
    assert ended.code == 1
    assert [json.loads(line)["job_id"] for line in ended.out.splitlines()] == ["a"]
    assert "enterprise project e2 shows no jobs" in ended.err


def test_quiet_says_only_what_is_wrong(batcher: Batcher, cloud: Cloud) -> None:
    cloud(ServiceConfig(cloud=CloudConfig(jobs=(job("a"), job("p", status="PAUSING")), projects=frozenset({"one"}))))
    assert batcher("discover", "-o", "wave.csv", "--project-id", "one", "--quiet").err == ""
    ended = batcher("discover", "-o", "-", "--project-id", "one", "--project-id", "shut", "--quiet")
    assert ended.code == 1
    assert [line.partition(":")[0].partition(" at ")[0] for line in ended.err.splitlines()][-1] == "project shut"
    assert "listed" not in ended.err


def test_where_no_job_is_to_be_compared_there_is_no_manifest(batcher: Batcher, cloud: Cloud, tmp_path: Path) -> None:
    cloud(fleet(job("p", status="PAUSING")))
    (tmp_path / "wave.csv").write_text("job_id\n")
    ended = batcher("discover", "-o", "wave.csv", "--force", "--report", "jobs.jsonl")
    assert ended.code == 1
    assert "1 job listed = 0 written + 1 left out" in ended.err
    assert "No job is to be compared: wave.csv is not written." in ended.err
    assert "right region" not in ended.err
    assert (tmp_path / "wave.csv").read_text() == "job_id\n"
    assert report(tmp_path / "jobs.jsonl")["p"]["reason"] == "status"
    cloud(fleet())
    ended = batcher("discover", "-o", "-", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "is it the right region and project" in ended.err
