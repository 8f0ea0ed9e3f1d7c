"""A wave, and what lies between it and the cloud: what is not the cloud's word costs no entry."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from batcher.api import Wave
from batcher.channel import governor
from batcher.drs import guesses
from batcher.drs.auth.sources import CredentialSources
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Script
from batcher.simulator.ledger import Effect
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.engine import WaveEnd
from tests.cli.commands import write_manifest
from tests.cli.conftest import Batcher, Cloud
from tests.drs.raw_server import Peer, serve
from tests.follow.cloud import loop_clock
from tests.middleman import pages
from tests.middleman.conftest import Gateway
from tests.middleman.middleman import Middleman

CREATE, QUERY = "create-compare-task", "query-compare-result"
ENTRIES = 12
SILENT = {
    "bare 404": pages.BARE_404,
    "nginx's 404": pages.NGINX_404,
    "bare 405": pages.BARE_405,
    "bare 403": pages.BARE_403,
    "bare 401": pages.BARE_401,
    "a login page": pages.LOGIN_PAGE,
    "a login elsewhere": pages.LOGIN_REDIRECT,
    "an empty 200": pages.EMPTY_200,
    "an ingress without its route": pages.INGRESS,
    "JSON of somebody": pages.page(404, '{"message": "no Route matched"}', content_type="application/json"),
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
}


async def wave(folder: Path, url: str, *, entries: int = ENTRIES, **settings: Any) -> WaveEnd:
    """A wave of so many *entries*, at *url*."""
    folder.mkdir()
    lines = [{"job_id": f"job-{number}", "object_level_compare_type": "objects"} for number in range(entries)]
    (folder / "wave.jsonl").write_text("\n".join(map(json.dumps, lines)))
    given: dict[str, Any] = {"endpoint": url, "project_id": "p", "rate": "off", "concurrency": 4, "landing_time": 1}
    async with Wave(
        folder / "wave.jsonl",
        folder / "results.jsonl",
        credentials=CredentialSources(environ={"BATCHER_TOKEN": "t"}, home=folder),
        **{**given, **settings},
    ) as opened:
        return await opened.run()


def made(simulator: Simulator) -> Counter[str]:
    """How many comparisons each job has."""
    return Counter(event.job_id for event in simulator.ledger if isinstance(event, Effect))


async def test_a_while_of_what_others_say_costs_no_entry(tmp_path: Path) -> None:
    """The scope pauses, what had left is looked up, and it goes on by itself; each way of being answered alike."""

    async def one(name: str, page: bytes) -> None:
        async with Simulator() as simulator, Middleman(simulator.url) as middleman:
            middleman.show(page, times=4, after=4)
            end = await wave(tmp_path / name, middleman.url)
            assert end.status.created == ENTRIES, name
            assert not end.halted, name
            assert made(simulator) == Counter({f"job-{number}": 1 for number in range(ENTRIES)}), name

    async with asyncio.TaskGroup() as group:
        for name, page in SILENT.items():
            group.create_task(one(name, page))


async def test_what_could_not_be_passed_on_is_sent_again_without_a_look(tmp_path: Path) -> None:
    """Squid says which requests reached nobody: no doubt, so nothing is waited for."""
    for error in ("ERR_CONNECT_FAIL", "ERR_CANNOT_FORWARD"):
        async with Simulator() as simulator, Middleman(simulator.url) as middleman:
            middleman.show(pages.squid(503, error), times=2, after=4, only=CREATE)
            end = await wave(tmp_path / error, middleman.url, landing_time=600)
            assert end.status.created == ENTRIES
            assert len(middleman.asked(QUERY)) == 1, "the look before the first request"


async def test_an_answer_that_hides_what_was_made_is_looked_up(tmp_path: Path) -> None:
    """A page in place of an answer says nothing of what the cloud did."""
    config = ServiceConfig(faults=Script(creates=("reset-after",)))
    async with Simulator(config) as simulator, Middleman(simulator.url, lost=pages.NGINX_404) as middleman:
        end = await wave(tmp_path / "hidden", middleman.url, entries=3)
        assert end.status.created == 3
        assert sorted(made(simulator).values()) == [1, 1, 1]


def test_before_the_cloud_has_answered_nothing_is_created_and_the_scope_stops_soon(
    batcher: Batcher, cloud: Cloud, gateway: Gateway, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governor, "_NEVER_WORKED_S", 1.0)
    middleman = gateway(cloud())
    middleman.show(pages.INGRESS)
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 3
    assert "default backend - 404" in ended.err
    assert "Check that the endpoint is that of DRS" in " ".join(ended.err.split())
    assert middleman.asked(CREATE) == []
    middleman.clear()
    assert batcher("run", manifest, "-o", "results.jsonl").code == 0


@pytest.mark.virtual_time
async def test_a_connection_that_opens_and_never_answers_is_given_up_in_a_minute(tmp_path: Path) -> None:
    """A firewall that swallows what it lets in: no create request leaves, and nobody waits for long."""

    async def swallow(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read()

    began = loop_clock().monotonic()
    async with serve(swallow) as server:
        end = await wave(tmp_path / "swallowed", server.url, clock=loop_clock(), timeout=60)
    assert 45 <= loop_clock().monotonic() - began < 75
    (halted,) = end.halted.values()
    assert "has not answered once" in (halted.error_msg or "")
    assert "no answer within 30 s" in (halted.error_msg or "")
    assert len(server.requests) == 3
    assert not [asked for asked in server.requests if CREATE.encode() in asked]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [(pages.PROXY_LOGIN, "the proxy wants a user name and password"), (pages.PROXY_DENIES, "its own rule")],
)
def test_a_proxy_that_refuses_is_asked_once_and_it_is_told_that_it_was_the_proxy(
    batcher: Batcher,
    cloud: Cloud,
    gateway: Gateway,
    manifest: Path,
    refusal: bytes,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = gateway(cloud(), connect=refusal)
    monkeypatch.setenv("BATCHER_ENDPOINT", "https://drs.example.com")
    ended = batcher("run", manifest, "-o", "results.jsonl", "--proxy", proxy.url)
    assert ended.code == 3
    assert len(proxy.asked()) == 1
    said = " ".join(ended.err.split())
    assert told in said
    assert "squid/5.7" in said
    assert "DRS permission" not in said
    assert "licence" not in said
    assert "batcher auth" not in said, "it would ask the proxy again, and finds nothing wrong with the credential"


def test_a_proxy_that_forbids_plain_http_is_asked_once(
    batcher: Batcher, cloud: Cloud, gateway: Gateway, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers in the cloud's place, where for https it would not open the way: the same rule, told the same way."""
    monkeypatch.setattr(governor, "_NEVER_WORKED_S", 0.0)
    simulator = cloud()
    proxy = gateway(simulator)
    proxy.show(pages.PROXY_DENIES)
    ended = batcher("run", manifest, "-o", "results.jsonl")
    assert ended.code == 3
    assert len(proxy.asked()) == 1
    said = " ".join(ended.err.split())
    assert "the proxy does not allow requests to this address" in said
    assert "squid/5.7" in said
    assert "its own rule" in said


def test_a_proxy_that_begins_to_refuse_stops_the_scope(
    batcher: Batcher, cloud: Cloud, gateway: Gateway, tmp_path: Path
) -> None:
    simulator = cloud()
    proxy = gateway(simulator)
    proxy.show(pages.PROXY_LOGIN, after=2)
    manifest = write_manifest(tmp_path / "w.csv", [f"job-{number}" for number in range(8)])
    ended = batcher("run", manifest, "-o", "results.jsonl", "--concurrency", "1")
    assert ended.code == 3
    assert len([asked for asked in proxy.asked() if not asked.passed_on]) == 1
    proxy.clear()
    assert batcher("run", manifest, "-o", "results.jsonl").code == 0
    assert Counter(event.job_id for event in simulator.ledger if isinstance(event, Effect)).most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    ("variables", "arguments", "told"),
    [
        ({"ALL_PROXY": "socks5://u:hunter2@127.0.0.1:1"}, (), "ALL_PROXY names a socks5 proxy"),
        ({"HTTPS_PROXY": "http://127.0.0.1:99999"}, (), "HTTPS_PROXY names no proxy that can be used"),
        ({}, ("--proxy", "http://127.0.0.1:99999"), "has no usable port"),
        ({}, ("--ca-bundle", "wave.csv"), "wave.csv"),
        ({}, ("--ca-bundle", "nowhere.pem"), "nowhere.pem"),
    ],
)
def test_a_way_that_is_not_one_is_bad_usage(
    batcher: Batcher,
    cloud: Cloud,
    manifest: Path,
    variables: dict[str, str],
    arguments: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud()
    monkeypatch.setenv("BATCHER_ENDPOINT", "https://drs.example.com")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ended = batcher("run", manifest, "-o", "results.jsonl", *arguments)
    assert ended.code == 2
    assert told in ended.err
    assert "hunter2" not in ended.err
    assert not Path("results.jsonl.journal").exists()


def test_connections_are_given_up_before_the_usual_proxies_close_them() -> None:
    """Apache, Varnish, Privoxy, Node and uvicorn close what is idle for 5 s: a request sent just then is in doubt."""
    assert guesses.KEEP_ALIVE_S < 5.0


def test_look_ups_and_login_know_the_page_too(
    batcher: Batcher, cloud: Cloud, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`batcher auth` does not call a credential refused because of what somebody on the way says."""
    middleman = gateway(cloud())
    for page in (pages.BARE_401, pages.BARE_403, pages.NGINX_404):
        middleman.clear()
        middleman.show(page)
        ended = batcher("auth", "--json")
        assert ended.code == 1
        (scope,) = ended.json["scopes"]
        assert scope["standing"] == "unknown"
        assert "something on the way" in scope["why"]
        assert "permission" not in scope["why"]
    for name, value in {"BATCHER_USERNAME": "ann", "BATCHER_PASSWORD": "pass-word", "BATCHER_DOMAIN": "acme"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BATCHER_TOKEN")
    middleman.clear()
    middleman.show(pages.BARE_401)
    ended = batcher("auth", "--json")
    assert "something on the way" in ended.json["scopes"][0]["why"]
    assert len(middleman.asked("nocatalog=true")) == 1, "a login that is refused is not tried again"


@pytest.mark.parametrize("page", [pages.BARE_403, pages.NGINX_404, pages.LOGIN_PAGE], ids=["403", "404", "login"])
def test_a_page_is_no_verdict_and_no_state_of_a_job(
    batcher: Batcher, cloud: Cloud, gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: bytes
) -> None:
    """Following a wave waits it out: it says neither that the job is gone nor that its results cannot be read."""
    monkeypatch.setenv("BATCHER_POLL", "50ms")
    middleman = gateway(cloud(ServiceConfig(cloud=CloudConfig(speed=1000.0))))
    manifest = write_manifest(tmp_path / "w.csv", ["job-1"])
    assert batcher("run", manifest, "-o", "results.jsonl").code == 0
    middleman.show(page, times=7)
    ended = batcher("watch", "results.jsonl")
    assert ended.code == 0, ended.err
    middleman.show(page, times=1, only="batch-status")
    assert batcher("preflight", manifest).code == 0
