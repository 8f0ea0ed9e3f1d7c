"""Reading a wave: lines, entries, events, one entry, the gate, the report."""

import asyncio
import csv as csv_format
import io
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.service import readings
from batcher.service.kept.entry_index import EntryIndex, IndexWriter, ResultLimits
from batcher.service.kept.folders import Folder
from batcher.service.models import EntriesPage, Explained, ListEntries, State, WaveModel
from batcher.service.running.feed import KEPT, Feed
from batcher.simulator.faults import parse_profile
from batcher.simulator.ledger import creations
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.service.serving import Serving, csv, eventually, serving

MIXED = (
    b"job_id,object_level_compare_type,compare_type,conflict_policy,compare_object_infos,key,label.team\n"
    b"differs-1,,lines,cancel,shop,k0,blue\n"
    b"job-1,objects,,,,k1,red\n"
    b"gone-1,objects,,,,k2,blue\n"
    b"job-2,objects,,,,k3,\n"
)


async def followed(service: Serving, manifest: bytes = MIXED) -> dict[str, Any]:
    """A wave that was run to its verdicts."""
    wave = await service.submit(manifest, "wait=true&attempts=1")
    return await service.until(wave["id"], State.ENDED, State.STOPPED)


async def test_those_who_ask_for_much_hold_up_nobody_else(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, begun = threading.Event(), []
    report = readings.report

    def slow(*asked: Any) -> BinaryIO:
        begun.append(asked[-1])
        assert let_go.wait(60)
        return report(*asked)

    monkeypatch.setattr(readings, "report", slow)
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(5))
        path = f"/v1/waves/{wave['id']}"
        await service.until(wave["id"], State.ENDED)
        asked = [asyncio.create_task(service.get(f"{path}/report?format=json")) for _ in range(60)]
        try:
            await eventually(lambda: bool(begun))
            assert (await service.get(f"{path}/entries"))["total"] == 5
            assert len(await service.lines(f"{path}/results")) == 5
            assert (await service.get("/readyz"))["status"] == "ready"
            await service.until((await service.submit(csv(5, first=50)))["id"], State.ENDED)
            assert len(begun) <= 2
        finally:
            let_go.set()
        assert {told["by_status"]["created"] for told in await asyncio.gather(*asked)} == {5}


async def test_a_followed_wave_with_trouble_in_every_form(cloud: Simulator, tmp_path: Path) -> None:
    """One wave, read in each way; what differs is made a wave of its own, what failed is taken up again."""
    async with serving(tmp_path / "data") as service:
        wave = await followed(service)
        WaveModel.model_validate(wave)
        path = f"/v1/waves/{wave['id']}"
        assert (wave["exit_code"], wave["counts"]["created"], wave["counts"]["failed"]) == (1, 3, 1)
        assert (wave["verdicts"]["consistent"], wave["verdicts"]["inconsistent"]) == (2, 1)
        verdicts = {line["key"]: line["verdict"] for line in await service.lines(f"{path}/verdicts?follow=true")}
        assert verdicts["k0"] == "inconsistent"

        page = await service.get(f"{path}/entries?label.team=blue&sort=-status")
        EntriesPage.model_validate(page)
        assert [(entry["key"], entry["status"]) for entry in page["entries"]] == [("k2", "failed"), ("k0", "created")]
        (failed,) = (await service.get(f"{path}/entries?status=failed,partial"))["entries"]
        assert failed["error_code"]
        assert failed["error_msg"]
        assert (await service.get(f"{path}/entries?verdict=inconsistent&q=DIFFERS"))["total"] == 1
        assert (await service.get(f"{path}/entries?verdict=none"))["total"] == 0
        assert (await service.get(f"{path}/entries?verdict=unknown,consistent"))["total"] == 3

        entry = await service.get(f"{path}/entries/2")
        Explained.model_validate(entry)
        assert (entry["key"], entry["result"]["status"], entry["steps"][0]["what"]) == ("k2", "failed", "request")
        for index in ("4", "-1", "x", "99999999999"):
            await service.get(f"{path}/entries/{index}", status=404)
        gate = await service.get(f"{path}/gate")
        assert (gate["verdict"], len(gate["blockers"])) == ("NO-GO", 2)
        assert (await service.get(f"{path}/report?format=json"))["by_status"]["created"] == 3
        for format, begins in (("html", "<!doctype html>"), ("md", "## "), ("csv", "\ufeff")):
            async with service.client.get(f"{path}/report?format={format}") as answer:
                assert answer.status == 200
                assert (await answer.text()).lower().startswith(begins)
        await service.get(f"{path}/report?format=pdf", status=422)

        async def recheck(_: int) -> tuple[int, str]:
            headers = {"Idempotency-Key": "once"}
            async with service.client.post(f"{path}/recheck", headers=headers) as answer:
                return answer.status, (await answer.json())["id"]

        asked = await asyncio.gather(*map(recheck, range(3)))
        assert sorted(status for status, _ in asked) == [200, 200, 201]
        assert len({id for _, id in asked}) == 1
        again = await service.get(f"/v1/waves/{asked[0][1]}")
        await service.until(again["id"], State.ENDED)
        (line,) = await service.lines(f"/v1/waves/{again['id']}/results")
        assert (line["key"], line["job_id"]) == ("k0", "differs-1")

        async with service.client.get(f"{path}/results") as answer:
            tag, lines = answer.headers["ETag"], (await answer.read()).splitlines()
        assert (await service.post(f"{path}/retry-failed"))["state"] == "queued"
        ended = await service.until(wave["id"], State.ENDED)
        assert ended["counts"]["failed"] == 1
        async with service.client.get(f"{path}/results", headers={"If-Match": tag}) as answer:
            assert answer.status == 412
            assert answer.headers["ETag"] != tag
        assert len(await service.lines(f"{path}/results")) == len(lines) == 4
        assert (await service.get(f"{path}/entries/2"))["steps"][-1]["attempt"] == 2
        assert (await service.get(f"{path}/entries?status=failed"))["total"] == 1


async def test_lines_are_followed_to_the_end_also_from_before_the_beginning(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(30), "start=false")
        path = f"/v1/waves/{wave['id']}"
        assert await service.lines(f"{path}/results") == []
        for what in ("gate", "report"):
            assert "no results yet" in (await service.get(f"{path}/{what}", status=409))["detail"]
        entry = await service.get(f"{path}/entries/1")
        Explained.model_validate(entry)
        assert (entry["key"], entry["steps"], entry["result"]) == ("k1", [], None)
        assert entry["request"] == {"job_id": "job-1", "object_level_compare_type": "objects"}
        await service.get(f"{path}/entries/30", status=404)
        assert (await service.get(f"{path}/entries"))["total"] == 30
        async with (
            service.client.get(f"{path}/results?follow=true") as all_of_it,
            service.client.get(f"{path}/results?follow=true&after=11") as rest,
        ):
            await service.post(f"{path}/start")
            lines = (await all_of_it.read()).splitlines()
            assert len(lines) == 30
            assert (await rest.read()).splitlines() == lines[11:]
        assert await service.lines(f"{path}/results?after=31&follow=true") == []


async def test_a_reader_that_reads_nothing_holds_nobody_up(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(40))
        host, port = "127.0.0.1", int(service.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection(host, port, limit=1024)
        writer.write(f"GET /v1/waves/{wave['id']}/results?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await writer.drain()
        assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
        writer.close()


class Events:
    """Server-sent events as a browser reads them."""

    def __init__(self, service: Serving, id: str, seen: str | None = None) -> None:
        self._service = service
        self._path = f"/v1/waves/{id}/events"
        self._headers = {} if seen is None else {"Last-Event-ID": seen}

    async def until(self, name: str, holds: Any = lambda _: True) -> list[tuple[str, str, Any]]:
        """(id, event, data) of each, up to the first of that *name* for which it *holds*."""
        found: list[tuple[str, str, Any]] = []
        async with asyncio.timeout(90), self._service.client.get(self._path, headers=self._headers) as answer:
            assert answer.content_type == "text/event-stream"
            event: dict[str, str] = {}
            async for raw in answer.content:
                line = raw.decode().rstrip("\n")
                if line:
                    field, _, value = line.partition(": ")
                    event[field] = value
                elif "event" in event:
                    found.append((event["id"], event["event"], orjson.loads(event["data"])))
                    event = {}
                    if found[-1][1] == name and holds(found[-1][2]):
                        return found
        raise AssertionError(found)


async def test_events_tell_of_a_wave_and_are_resumed(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(12), "rate=40/s&start=false")
        told = asyncio.create_task(Events(service, wave["id"]).until("wave", lambda told: told["state"] == "ended"))
        await asyncio.sleep(0)
        await service.post(f"/v1/waves/{wave['id']}/start")
        found = await told
        states = [data["state"] for _, event, data in found if event == "wave"]
        assert states[0] in ("held", "queued")
        assert states[-1] == "ended"
        assert "running" in states
        assert max(data["sequence"] for _, event, data in found if event == "results") <= 12
        middle = found[len(found) // 2]
        rest = await Events(service, wave["id"], middle[0]).until("wave", lambda told: told["state"] == "ended")
        assert rest == [one for one in found[found.index(middle) + 1 :]]
        (reset, snapshot) = (await Events(service, wave["id"], "elsewhere-3").until("reset"))[-2:]
        assert (snapshot[1], reset[1]) == ("reset", "wave")


async def test_a_feed_keeps_its_last_events_and_tells_who_missed_some() -> None:
    feed = Feed()
    for number in range(KEPT + 10):
        feed.publish("n", number)
    first = feed.last_id.partition("-")[0]
    seen: list[bytes] = [block async for block in feed.since(f"{first}-{KEPT}", lambda: True)]
    assert [block.split(b"data: ")[1].strip() for block in seen] == [b"%d" % n for n in range(KEPT, KEPT + 10)]
    missed = [block async for block in feed.since(f"{first}-3", lambda: True)]
    assert [block.split(b"\n")[1] for block in missed] == [b"event: reset"]
    assert feed.knows(f"{first}-{KEPT}")
    assert not feed.knows(f"{first}-3")
    assert not feed.knows("other-3")


async def test_an_index_that_is_lost_or_damaged_is_made_anew(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await followed(service)
        path = f"/v1/waves/{wave['id']}/entries?sort=key"
        before = await service.get(path)
    index = tmp_path / "data" / "waves" / wave["id"] / "entries.sqlite"
    for damage in (None, b"no database at all"):
        index.unlink() if damage is None else index.write_bytes(damage)
        async with serving(tmp_path / "data") as service:
            assert await service.get(path) == before


async def test_an_entry_in_doubt_is_settled(cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lossy = ServiceConfig(faults=parse_profile("creates:reset-after=100%"))
    async with Simulator(lossy) as simulator, serving(tmp_path / "data") as service:
        monkeypatch.setenv("BATCHER_ENDPOINT", simulator.url)
        wave = await service.submit(csv(2), "reconcile=off")
        ended = await service.until(wave["id"], State.ENDED)
        assert (ended["exit_code"], ended["counts"]["unsettled"]) == (4, 2)
        path = f"/v1/waves/{wave['id']}"
        task_id = next(creations(simulator.ledger)).compare_task_id
        settled = await service.post(f"{path}/entries/0/settle", {"as": f"created={task_id}"})
        assert (settled["result"]["status"], settled["steps"][-1]["what"]) == ("created", "settled by the operator")
        said = await service.post(f"{path}/entries/0/settle", {"as": "failed"}, status=409)
        assert "created, not unsettled" in said["detail"]
        assert (await service.post(f"{path}/entries/1/settle", {"as": "nonsense"}, 422))["findings"][0]["field"] == "as"
        assert (await service.post(f"{path}/entries/1/settle", {"ruling": "failed"}, 422))["findings"]
        await service.post(f"{path}/entries/7/settle", {"as": "failed"}, 404)
        assert (await service.get(path))["counts"]["unsettled"] == 1
        lines = await service.lines(f"{path}/results")
        assert sorted(line["status"] for line in lines) == ["created", "unsettled"]
        outcomes = [(line["action"], line["outcome"]) for line in (await service.get("/v1/audit"))["lines"]]
        assert outcomes[-2:] == [("settle", "begun"), ("settle", "failed")]


ENTRY = st.fixed_dictionaries(
    {
        "key": st.text("ab_%\\é", min_size=1, max_size=4),
        "status": st.sampled_from(["", "created", "failed", "partial"]),
        "error_code": st.sampled_from(["", "DRS.M1", "DRS.M2"]),
        "error_kind": st.sampled_from(["", "state", "server"]),
        "attempts": st.integers(0, 3),
        "team": st.sampled_from([None, "blue", "red"]),
    }
)


@given(
    entries=st.lists(ENTRY, min_size=1, max_size=25),
    sort=st.sampled_from(["index", "key", "status", "error_code", "attempts", "finished_at"]),
    down=st.booleans(),
    limit=st.integers(1, 9),
    status=st.sampled_from([None, "created", "failed,partial", "open"]),
    kind=st.sampled_from([None, "state", "none,server"]),
    q=st.sampled_from([None, "a", "%", "_", "\\", "É"]),
    team=st.sampled_from([None, "blue"]),
)
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_put_together_are_what_was_asked_for_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[dict[str, Any]],
    sort: str,
    down: bool,
    limit: int,
    status: str | None,
    kind: str | None,
    q: str | None,
    team: str | None,
) -> None:
    from batcher.manifest.entry import Entry, Terms

    folder = Folder(tmp_path_factory.mktemp("wave"), "csv")
    terms = Terms(scope=("https://e", "p"), x_language=None, object_level_compare_type="objects")
    writer = IndexWriter(folder.entries)
    lines = []
    for index, entry in enumerate(entries):
        labels = {"team": entry["team"]} if entry["team"] else {}
        writer.add(Entry(index, index + 2, terms, f"job-{index}", entry["key"], labels), "p")
        if entry["status"]:
            line = {name: entry[name] for name in ("key", "status", "error_code", "error_kind", "attempts")}
            lines.append(orjson.dumps({**line, "index": index, "finished_at": f"2026-01-01T00:00:0{index % 7}Z"}))
    writer.close(keep=True)
    folder.results.write_bytes(b"".join(line + b"\n" for line in lines))
    index_ = EntryIndex(folder)
    index_.refresh(ResultLimits(None, 1))
    found, after = [], None
    order = f"-{sort}" if down else sort
    while True:
        label = {"team": team} if team else {}
        given = {"sort": order, "limit": limit, "after": after, "status": status, "q": q, "error_kind": kind}
        given["label"] = label
        page = index_.page(ListEntries.model_validate(given))
        assert len(page["entries"]) <= limit
        found += page["entries"]
        after = page["next"]
        if after is None:
            break
    causes = Counter({(c["status"], c["error_kind"], c["error_code"]): c["count"] for c in index_.causes()})
    index_.close()
    troubled = [entry for entry in entries if entry["status"] not in ("", "created")]
    assert causes == Counter((e["status"], e["error_kind"] or None, e["error_code"] or None) for e in troubled)

    def chosen(entry: dict[str, Any]) -> bool:
        wanted = None if status is None else ["" if word == "open" else word for word in status.split(",")]
        return (
            (wanted is None or entry["status"] in wanted)
            and (kind is None or _kind(entry) in kind.split(","))
            and (q is None or q in entry["key"])  # SQLite folds the case of ASCII alone, and none of these has any
            and (team is None or entry["team"] == team)
        )

    def place(number: int) -> tuple[Any, int]:
        entry = entries[number]
        known = {"index": 0, "key": entry["key"], "status": "", "error_code": "", "attempts": 0, "finished_at": ""}
        if entry["status"]:
            known |= {**entry, "finished_at": f"2026-01-01T00:00:0{number % 7}Z"}
        return known[sort], number

    expected = sorted((n for n, entry in enumerate(entries) if chosen(entry)), key=place, reverse=down)
    assert [entry["index"] for entry in found] == expected
    assert page["total"] == len(expected)


def _kind(entry: dict[str, Any]) -> str:
    return (entry["error_kind"] if entry["status"] else "") or "none"


async def test_a_csv_report_has_a_row_for_each_entry(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(3))
        await service.until(wave["id"], State.ENDED)
        async with service.client.get(f"/v1/waves/{wave['id']}/report?format=csv") as answer:
            rows = list(csv_format.DictReader(io.StringIO((await answer.text()).removeprefix("\ufeff"))))
        assert sorted(row["key"] for row in rows) == ["k0", "k1", "k2"]
    assert sum(1 for _ in creations(cloud.ledger)) == 3


def test_requests_deep_in_a_wave_are_found_without_those_before(tmp_path: Path) -> None:
    from batcher.manifest.entry import Entry, Terms

    folder = Folder(tmp_path, "csv")
    terms = Terms(scope=("https://e", "p"), x_language=None, object_level_compare_type="objects")
    writer = IndexWriter(folder.entries)
    made = [
        Entry(index, index + 2, terms, f"job-{index}", None, {}) for index in range(0, 1200, 2)
    ]  # the rest is invalid
    for entry in made:
        writer.add(entry, "" if entry.index < 600 else "p")
    writer.close(keep=True)
    with closing(EntryIndex(folder)) as index:
        read: list[str] = []
        index._db.set_trace_callback(read.append)
        pages = [index.requests(first, 100) for first in (0, 101, 1101, 1199)]
    told = [[request["index"] for request in page["requests"]] for page in pages]
    assert told == [[*range(0, 200, 2)], [*range(102, 302, 2)], [*range(1102, 1200, 2)], []]
    assert [page["next"] for page in pages] == [199, 301, None, None]
    first, last = pages[0]["requests"][0], pages[2]["requests"][-1]
    assert first == {
        "index": 0, "line": 2, "key": made[0].key, "endpoint": "https://e", "project_id": None,
        "body": orjson.loads(made[0].body),
    }  # fmt: skip
    assert (last["line"], last["project_id"]) == (1200, "p")
    assert len(read) <= 2 + 2 + 2 + 1  # a page of the index or two for each, wherever it is
