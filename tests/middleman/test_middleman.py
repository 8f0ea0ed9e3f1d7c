"""The middleman itself: it does what it is told, so that a test that leans on it means something."""

from email.utils import parsedate_to_datetime

from batcher.drs.answer import Answer
from batcher.drs.cloud import HttpRequest
from batcher.drs.transport import AiohttpTransport
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import Simulator
from tests.middleman import pages
from tests.middleman.middleman import Middleman

CREATE = "create-compare-task"
BODY = b'{"job_id":"job-1","object_level_compare_type":"objects"}'


async def post(url: str, *, proxy: str | None = None, times: int = 1, call: str = CREATE) -> Answer:
    async with AiohttpTransport(connect_timeout_s=5, total_timeout_s=5, proxy=proxy) as transport:
        for _ in range(times):
            request = HttpRequest(
                method="POST",
                url=f"{url}/v3/p/jobs/{call}",
                headers={"Content-Type": "application/json", "X-Auth-Token": "t"},
                body=BODY,
            )
            answer = await transport.send(request)
    return answer


async def test_it_passes_on_and_back() -> None:
    async with Simulator() as sim, Middleman(sim.url, adds={"Via": "1.1 gate"}) as man:
        answer = await post(man.url, times=3)
        assert answer.http_status == 200
        assert answer.headers["via"] == "1.1 gate"
        assert [asked.passed_on for asked in man.asked(CREATE)] == [1, 1, 1]
        assert man.connections == 1
        assert len([event for event in sim.ledger if isinstance(event, RequestSeen)]) == 3


async def test_its_own_clock() -> None:
    async with Simulator() as sim, Middleman(sim.url, date=lambda: 1_000_000_000.0) as man:
        answer = await post(man.url)
        assert parsedate_to_datetime(answer.headers["date"]).timestamp() == 1_000_000_000


async def test_it_repeats_what_it_is_told_to() -> None:
    async with Simulator() as sim, Middleman(sim.url, repeats=lambda asked: asked.target.endswith(CREATE)) as man:
        await post(man.url)
        assert len([event for event in sim.ledger if isinstance(event, RequestSeen)]) == 2


async def test_it_answers_in_the_clouds_place_so_many_times_after_so_many() -> None:
    async with Simulator() as sim, Middleman(sim.url) as man:
        man.show(pages.BARE_404, times=2, after=1, only=CREATE)
        said = [(await post(man.url)).http_status for _ in range(4)]
        assert said == [200, 404, 404, 200]
        man.show(pages.HANG_UP)
        assert (await post(man.url)).http_status is None
        man.clear()
        assert (await post(man.url)).http_status == 200


async def test_it_closes_idle_connections() -> None:
    async with Simulator() as sim, Middleman(sim.url, idle_s=0.0) as man:
        answer = await post(man.url)
        assert answer.http_status is None
        assert sim.ledger == []


async def test_it_is_a_proxy_too_and_can_refuse_the_tunnel() -> None:
    async with Simulator() as sim, Middleman(sim.url, connect=pages.PROXY_LOGIN) as man:
        assert (await post("http://drs.example.com", proxy=man.url)).http_status == 200
        assert (await post("https://drs.example.com", proxy=man.url)).http_status is None
        assert man.asked()[-1].method == "CONNECT"


async def test_without_upstream_it_says_so() -> None:
    async with Simulator() as sim:
        url = sim.url
    async with Middleman(url) as man:
        assert (await post(man.url)).http_status == 502
