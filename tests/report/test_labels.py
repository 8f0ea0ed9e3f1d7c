"""`gate --label` and `report --label`: what concerns one team, as if its entries were the wave, and it says so."""

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from batcher.journal.files import WaveFiles
from tests.cli.commands import lines_of
from tests.cli.conftest import Batcher
from tests.cli.conftest import _elsewhere as _elsewhere
from tests.cli.conftest import batcher as batcher
from tests.report.waves import write_wave

RESULTS, AGAIN = Path("r.jsonl"), Path("again.jsonl")
ENTRIES = 200
TEAMS = ("orders", "billing")


@pytest.fixture(autouse=True)
def wave(_elsewhere: None) -> None:
    """A wave with every kind of trouble, whose entries are of two teams, and one that has its first entries again."""
    write_wave(RESULTS, ENTRIES)
    write_wave(AGAIN, 40, seed=2, after=timedelta(days=1))


def of_team(team: str, path: Path = RESULTS) -> list[dict[str, Any]]:
    return [line for line in lines_of(path) if line["labels"]["team"] == team]


def cut(path: Path, lines: int) -> None:
    """Leave the first *lines* of its results, as a wave that was killed does."""
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    verdicts = WaveFiles.of(path).verdicts
    verdicts.write_text("".join(verdicts.read_text().splitlines(keepends=True)[:lines]))


def blockers(ended: Any) -> Iterator[str]:
    return (blocker["key"] for blocker in ended.json["blockers"])


def test_the_gate_speaks_of_one_teams_entries(batcher: Batcher) -> None:
    parts = [batcher("gate", RESULTS, "--label", f"team={team}", "--json") for team in TEAMS]
    for team, part in zip(TEAMS, parts, strict=True):
        assert part.json["entries"] == len(of_team(team))
        assert part.json["labels"] == {"team": [team]}
        assert set(blockers(part)) <= {line["key"] for line in of_team(team)}
    assert sorted([*blockers(parts[0]), *blockers(parts[1])]) == sorted(blockers(batcher("gate", RESULTS, "--json")))
    both = batcher("gate", RESULTS, "--label", "team=orders", "--label", "team=billing", "--json")
    assert both.json["entries"] == ENTRIES


def test_its_word_names_the_label(batcher: Batcher) -> None:
    good = next(
        line["labels"]["source"]
        for line in lines_of(RESULTS)
        if not set(blockers(batcher("gate", RESULTS, "--label", f"source={line['labels']['source']}", "--json")))
    )
    ended = batcher("gate", RESULTS, "--label", f"source={good}")
    count = sum(line["labels"]["source"] == good for line in lines_of(RESULTS))
    assert (ended.code, f"GO  {count} entries with label source={good}: nothing stands" in ended.out) == (0, True)
    assert batcher("gate", RESULTS).code == 1
    nobody = batcher("gate", RESULTS, "--label", "team=nobody")
    assert (nobody.code, "NO-GO  there are no entries with label team=nobody" in nobody.out) == (1, True)


def test_reruns_take_the_place_of_the_same_teams_entries(batcher: Batcher) -> None:
    whole = batcher("gate", RESULTS, AGAIN, "--json").json
    parts = [batcher("gate", RESULTS, AGAIN, "--label", f"team={team}", "--json").json for team in TEAMS]
    assert whole["superseded"] == 40
    assert 0 < parts[0]["superseded"] + parts[1]["superseded"] <= 40  # in the other wave an entry may be another team's
    assert {wave["entries"] for part in parts for wave in part["waves"]} == {ENTRIES, 40}


def test_entries_without_a_line_are_of_the_team_that_the_journal_says(batcher: Batcher) -> None:
    teams = {team: len(of_team(team)) for team in TEAMS}
    cut(RESULTS, 150)
    for team in TEAMS:
        ended = batcher("gate", RESULTS, "--label", f"team={team}", "--json")
        assert ended.json["entries"] == teams[team]
        assert ended.code == 1


def test_where_nobody_knows_whose_they_are_they_count(batcher: Batcher) -> None:
    cut(RESULTS, 150)
    WaveFiles.of(RESULTS).journal.unlink()
    ended = batcher("gate", RESULTS, "--label", "team=orders", "--entries", ENTRIES, "--json")
    assert ended.json["entries"] == len(of_team("orders")) + 50
    assert batcher("gate", RESULTS, "--label", "team=orders", "--json").code in (1, 2)


def test_the_acceptances_of_others_are_no_typing_errors(batcher: Batcher) -> None:
    accepted = Path("accepted.csv")
    accepted.write_text("job_id,database,table,reason,expires\njob-of-others,shop,orders,known,2099-12-31\n")
    told = batcher("gate", RESULTS, "--label", "team=orders", "--allow-inconsistent", accepted, "--json").json
    assert told["unused_acceptances"] == []


def test_the_report_counts_one_teams_lines(batcher: Batcher) -> None:
    mine = of_team("orders")
    told = batcher("report", RESULTS, "--label", "team=orders", "--json").json
    assert sum(told["by_status"].values()) == len(mine)
    assert told["gate"]["entries"] == len(mine)
    assert told["problems"] == []
    said = batcher("report", RESULTS, "--label", "team=orders").out
    assert f"Only entries with label team=orders are counted: {len(mine)} of {ENTRIES} result lines." in said


def test_tables_pages_and_tickets_have_no_other_teams_entries(batcher: Batcher) -> None:
    ended = batcher(
        "report", RESULTS, "--label", "team=orders", "--csv", "t.csv", "--html", "t.html", "--markdown", "t.md"
    )
    assert ended.code == 0
    with Path("t.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [line["key"] for line in of_team("orders")]
    with_verdicts = {line["key"]: line["verdict"] for line in lines_of(WaveFiles.of(RESULTS).verdicts)}
    assert [row["verdict"] for row in rows] == [with_verdicts[row["key"]] for row in rows]
    page = Path("t.html").read_text()
    assert all(f'"{line["key"]}"' in page for line in of_team("orders"))
    assert not any(f'"{line["key"]}"' in page for line in of_team("billing"))
    assert "Only entries with label team=orders" in page
    assert "Only entries with label team=orders" in Path("t.md").read_text()


def test_changes_between_two_waves_are_one_teams(batcher: Batcher) -> None:
    changes = batcher("report", RESULTS, AGAIN, "--label", "team=orders", "--json").json["changes"]
    theirs = {line["key"] for path in (RESULTS, AGAIN) for line in of_team("orders", path)}
    assert changes
    assert {change["key"] for change in changes} <= theirs
    assert json.dumps(changes) != json.dumps(batcher("report", RESULTS, AGAIN, "--json").json["changes"])
