"""A scope under its governor, in virtual time: unknown limits, outages, and other scopes that notice nothing."""

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field

from msgspec.structs import replace
from structlog.testing import capture_logs

from batcher.channel.governor import Governor, Limit
from batcher.drs.outcome import ErrorKind, Fate, Foreign, Made, Trouble
from batcher.pace.pacer import Turn
from batcher.rates import Rate
from tests.pace.server import CountingServer, virtual_clock
from tests.virtual import VirtualClock, run

DOWN = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.NETWORK, error_msg="no connection")
THROTTLED = Trouble(fate=Fate.TURNED_AWAY, kind=ErrorKind.THROTTLED, error_code="APIGW.0308")


@dataclass(slots=True)
class Scope:
    """A scope that sends *entries* until each is made, to a cloud that is down between two moments."""

    limit: Limit
    cloud: CountingServer
    entries: int
    down: tuple[float, float] = (0.0, 0.0)
    give_up_after_s: float | None = None
    given_up: list[Trouble] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    spared: int = 0
    took_s: float = 0.0

    async def run(self, workers: int = 16) -> "Scope":
        clock = virtual_clock()
        began, rng = clock.monotonic(), random.Random(1)
        governor = Governor(
            clock,
            rng,
            limit=self.limit,
            read_limit=None,
            give_up_after_s=self.give_up_after_s,
            on_give_up=self.given_up.append,
        )
        to_do = deque(range(self.entries))

        async def attempt() -> Made | Trouble:
            async with governor.creates.pacer.turn() as turn:
                await turn.due()
            sent_at = clock.monotonic()
            turn.sent()
            await asyncio.sleep(rng.uniform(0.02, 0.025))
            now = clock.monotonic() - began
            verdict: Made | Trouble = DOWN
            if not self.down[0] <= now < self.down[1]:
                verdict = Made("task") if self.cloud.arrive(clock.monotonic()) else THROTTLED
            await asyncio.sleep(rng.uniform(0.01, 0.1))
            turn.ended(sent=True, answered=verdict is not DOWN)
            governor.create_answered("job", sent_at, [verdict])
            return verdict

        async def work() -> None:
            while to_do and not self.given_up:
                entry = to_do.popleft()
                verdict = await attempt()
                if verdict is DOWN:
                    self.failed_at.append(clock.monotonic() - began)
                    self.spared += governor.out
                if not isinstance(verdict, Made):
                    to_do.append(entry)

        await asyncio.gather(*(work() for _ in range(workers)))
        self.took_s = clock.monotonic() - began
        return self


def _run(*scopes: Scope) -> None:
    async def main() -> None:
        await asyncio.gather(*(scope.run() for scope in scopes))

    with capture_logs():
        run(main)


def test_an_unknown_limit_through_the_real_pacer() -> None:
    """As in the pure simulation: close to a client that knew, and hardly ever turned away."""
    for limit, entries in ((Rate(10, 1.0), 600), (Rate(10, 60.0), 100)):
        knew, found = (Scope(told, CountingServer(limit), entries) for told in (limit, "auto"))
        _run(knew)
        _run(found)
        assert knew.cloud.turned_away == 0
        assert found.took_s - limit.period_s <= 1.15 * knew.took_s
        assert found.cloud.turned_away < 0.03 * entries + limit.period_s


def test_a_throttled_scope_leaves_another_at_full_speed() -> None:
    """Each scope has its own limit and its own fate."""
    alone = Scope(Rate(20, 1.0), CountingServer(None), 400)
    _run(alone)
    throttled = Scope(Rate(20, 1.0), CountingServer(Rate(10, 60.0)), 40)
    beside = Scope(Rate(20, 1.0), CountingServer(None), 400)
    _run(throttled, beside)
    assert throttled.cloud.turned_away > 0
    assert abs(beside.took_s - alone.took_s) < 0.1


def test_an_outage_is_waited_out_without_a_storm() -> None:
    """Ten minutes without the cloud cost a few probes; it goes on by itself within a minute of its return."""
    scope = Scope(Rate(20, 1.0), CountingServer(Rate(20, 1.0)), 400, down=(5.0, 605.0))
    _run(scope)
    during = [at for at in scope.failed_at if at < 605]
    assert len(during) < 30  # those that found the outage, and one probe after each silence
    assert 605 + 280 / 20 < scope.took_s < 605 + 60 + 400 / 20
    assert len(during) - scope.spared < 12  # all others are charged to nobody
    assert scope.cloud.turned_away == 0


def test_an_outage_has_a_bound() -> None:
    """--give-up-after ends the scope, and says what it last heard."""
    scope = Scope(Rate(20, 1.0), CountingServer(None), 400, down=(1.0, 1e9), give_up_after_s=300.0)
    _run(scope)
    (trouble,) = scope.given_up[:1]
    assert 300 <= scope.failed_at[-1] <= 310
    assert "5m" in (trouble.error_msg or "")
    assert "no connection" in (trouble.error_msg or "")


def test_a_few_failures_do_not_pause_a_scope() -> None:
    """Half a second without the cloud is no outage."""
    scope = Scope(Rate(10, 1.0), CountingServer(None), 100, down=(1.0, 1.5))
    _run(scope)
    assert scope.failed_at
    assert scope.spared == 0
    assert scope.took_s < 12


def test_what_it_says_about_itself() -> None:
    """The pace and the reason for waiting, as the progress line shows them."""

    async def main() -> None:
        clock = virtual_clock()
        governor = Governor(
            clock,
            random.Random(1),
            limit="auto",
            read_limit=None,
            give_up_after_s=None,
            on_give_up=lambda _: None,
        )
        assert governor.creates.rate_text == "2/s, searching"
        assert governor.reason is None
        assert governor.paused_until_s is None
        governor.create_answered("job", clock.monotonic(), [THROTTLED])
        assert governor.reason == "turned away by the cloud's limit"
        assert governor.paused_until_s is not None
        governor.set_limit(Rate(5, 1.0))
        assert governor.creates.rate_text == "5/s"
        governor.set_limit(None)
        assert governor.creates.rate_text == "off"
        for _ in range(20):
            governor.create_answered("job", clock.monotonic(), [DOWN])
        assert governor.out
        assert "no connection" in (governor.reason or "")

    with capture_logs():
        run(main)


def five_a_second(clock: VirtualClock) -> Governor:
    return Governor(
        clock,
        random.Random(1),
        limit=Rate(5, 1.0),
        read_limit=None,
        give_up_after_s=None,
        on_give_up=lambda _: None,
    )


def test_a_probe_without_an_answer_holds_up_nobody() -> None:
    """Turned away while a request hangs, and with a probe that hangs as well, the scope goes on within seconds."""

    async def main() -> None:
        clock = virtual_clock()
        governor = five_a_second(clock)

        async def leave() -> tuple[Turn, float]:
            async with governor.creates.pacer.turn() as turn:
                await turn.due()
            turn.sent()
            return turn, clock.monotonic()

        began = clock.monotonic()
        await leave()  # and no answer comes
        turn, sent_at = await leave()
        turn.ended(sent=True, answered=True)
        governor.create_answered("job", sent_at, [THROTTLED])
        await leave()  # the probe, and no answer comes
        turn, sent_at = await leave()
        turn.ended(sent=True, answered=True)
        governor.create_answered("job", sent_at, [Made("task")])
        await leave()
        assert clock.monotonic() - began < 10

    with capture_logs():
        run(main)


def test_short_pauses_are_logged_once_in_a_while() -> None:
    """Each stray is no news; a long pause always is."""

    async def main() -> None:
        clock = virtual_clock()
        governor = five_a_second(clock)
        for _ in range(20):
            await asyncio.sleep(2.0)
            governor.create_answered("job", clock.monotonic(), [THROTTLED])
            await asyncio.sleep(0.1)
            governor.create_answered("job", clock.monotonic(), [Made("task")])
        governor.create_answered("job", clock.monotonic(), [replace(THROTTLED, retry_after_s=30.0)])

    with capture_logs() as logged:
        run(main)
    assert [line["wait_s"] > 5 for line in logged] == [False, True]


# --- the way to the cloud -----------------------------------------------------------------------------------------

PAGE = Trouble(fate=Fate.MAYBE, kind=ErrorKind.PROTOCOL, error_msg="a login page", foreign=Foreign.PAGE)
BARRED = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.PROTOCOL, error_msg="a login", foreign=Foreign.BARRED)
FAULTY = Trouble(fate=Fate.MAYBE, kind=ErrorKind.SERVER, error_code="DRS.M00004")
REFUSED = Trouble(fate=Fate.NOT_LET_IN, kind=ErrorKind.AUTH)


@dataclass(slots=True)
class Heard:
    """A governor that is told how requests ended, in virtual time: each after so many seconds."""

    verdicts: list[tuple[float, Made | Trouble]]
    out: bool = False
    given_up: list[Trouble] = field(default_factory=list)
    given_up_at: float = 0.0

    def __post_init__(self) -> None:
        with capture_logs():
            run(self._hear)

    async def _hear(self) -> None:
        clock, rng = virtual_clock(), random.Random(1)
        began = clock.monotonic()
        governor = Governor(
            clock, rng, limit=None, read_limit=None, give_up_after_s=3600.0, on_give_up=self.given_up.append
        )
        for after_s, verdict in self.verdicts:
            sent_at = clock.monotonic()
            await asyncio.sleep(after_s)
            governor.create_answered("job-1", sent_at, [verdict])
            self.out = governor.out
            if self.given_up:
                self.given_up_at = clock.monotonic() - began
                return


def test_a_few_pages_in_a_row_are_an_outage() -> None:
    sound: tuple[float, Made | Trouble] = (0.1, Made("task"))
    page: tuple[float, Made | Trouble] = (0.1, PAGE)
    assert Heard([sound, page, page, page]).out
    assert not Heard([sound, page, page]).out
    assert not Heard([sound, page] * 15).out, "an entry that a firewall refuses stops no scope"


def test_before_anything_has_worked_the_first_failure_is_an_outage_that_ends_soon() -> None:
    for trouble in (DOWN, PAGE):
        assert Heard([(0.0, trouble)]).out
        heard = Heard([(8.0, trouble)] * 20)
        assert 45.0 <= heard.given_up_at < 60.0
        told = heard.given_up[0].error_msg or ""
        assert (trouble.error_msg or "") in told
        assert "has not answered once" in told


def test_two_requests_without_an_answer_are_not_enough_to_stop_for_good() -> None:
    assert Heard([(60.0, DOWN)] * 2).given_up == []


def test_a_way_that_has_worked_is_waited_for() -> None:
    """Whatever the cloud itself has said: also that it has a fault."""
    for before in (Made("task"), FAULTY, THROTTLED, REFUSED):
        assert Heard([(0.1, before), *[(8.0, PAGE)] * 40]).given_up == []


def test_refusals_alone_have_the_same_bound() -> None:
    """Nothing but 429 for an hour; what is let in between begins the hour anew."""
    refused: list[tuple[float, Made | Trouble]] = [(60.0, THROTTLED)] * 70
    heard = Heard(refused)
    assert round(heard.given_up_at) == 60 + 3600
    assert "turned every request away for 1h" in (heard.given_up[0].error_msg or "")
    assert Heard([*refused[:59], (60.0, Made("task")), *refused[:59]]).given_up == []


def test_a_wait_that_the_cloud_asks_for_is_waited_for_twice() -> None:
    asked: tuple[float, Made | Trouble] = (60.0, replace(THROTTLED, retry_after_s=3000.0))
    assert round(Heard([asked] * 200).given_up_at) == 60 + 6000


def test_a_time_in_which_nothing_was_sent_is_none_of_refusals() -> None:
    """An operator's pause, or that between two waves of a service: one refusal before, and one after it."""
    idle: tuple[float, Made | Trouble] = (7200.0, THROTTLED)
    assert Heard([(1.0, THROTTLED), *[idle] * 3]).given_up == []
    heard = Heard([(60.0, THROTTLED)] * 30 + [idle] + [(60.0, THROTTLED)] * 40)
    assert 30 * 60 + 7200 < heard.given_up_at < 7200 + 60 + 3600, "what was refused before it counts"
    slow: tuple[float, Made | Trouble] = (1200.0, replace(THROTTLED, retry_after_s=1190.0))
    assert round(Heard([slow] * 10).given_up_at) == 1200 + 3600, "what the cloud asks for is no such time"


def test_refused_look_ups_alone_stop_nothing_while_requests_are_let_in() -> None:
    for lets_in, stops in ((True, False), (False, True)):
        assert bool(hours_of_refused_look_ups(lets_in=lets_in)) is stops


def hours_of_refused_look_ups(*, lets_in: bool) -> list[Trouble]:
    """What the scope was given up for."""
    given_up: list[Trouble] = []

    async def main() -> None:
        clock = virtual_clock()
        governor = Governor(
            clock, random.Random(1), limit=None, read_limit=None, give_up_after_s=3600.0, on_give_up=given_up.append
        )
        for _ in range(120):
            await asyncio.sleep(60.0)
            governor.read_answered(clock.monotonic(), THROTTLED)
            if lets_in:
                governor.create_answered("job-1", clock.monotonic(), [Made("task")])

    with capture_logs():
        run(main)
    return given_up


def test_who_does_not_let_us_through_is_not_asked_again() -> None:
    assert Heard([(0.1, Made("task")), (0.1, BARRED)]).given_up == [BARRED]
