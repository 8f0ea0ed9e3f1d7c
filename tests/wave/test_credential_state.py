"""A scope's credential while IAM cannot be asked, in virtual time."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from structlog.testing import capture_logs

from batcher.channel.credential_state import CredentialState
from batcher.drs.cloud import Cloud, Refusal
from tests.pace.server import virtual_clock
from tests.virtual import run
from tests.wave.made import entered

SILENT = Refusal("IAM could not be reached: a login page", passing=True)
WRONG = Refusal("wrong password", http_status=401)


@dataclass(slots=True)
class Iam:
    """A cloud whose credential cannot be had between two moments, and then only as *after* says."""

    out_from_s: float = 100.0
    out_until_s: float = 100.0
    after: Refusal | None = None
    asked: list[float] = field(default_factory=list)

    async def prepare(self) -> Refusal | None:
        now = virtual_clock().monotonic() - 1000.0
        self.asked.append(now)
        if self.out_from_s <= now < self.out_until_s:
            return SILENT
        return self.after if now >= self.out_until_s else None


def attend(
    iam: Iam, *, let_in: bool = True, give_up_after_s: float | None = None, stop_after_s: float | None = None
) -> tuple[bool, CredentialState, float]:
    """Whether the scope may send after all, once IAM is out, and when that is known."""
    found: list[tuple[bool, CredentialState, float]] = []

    async def main() -> None:
        clock = virtual_clock()
        way = entered(cast(Cloud, iam), clock, give_up_after_s=give_up_after_s)
        credential = way.channel.credential
        assert await way.ready()
        if let_in:
            credential.let_in()
        await clock.sleep(100.0)
        if stop_after_s is not None:
            asyncio.get_running_loop().call_later(stop_after_s, way.stop)
        ready = await way.ready()
        found.append((ready, credential, clock.monotonic() - 1100.0))

    with capture_logs():
        run(main)
    return found[0]


def test_an_iam_that_has_worked_is_waited_for_without_a_storm() -> None:
    iam = Iam(out_until_s=700.0)
    ready, credential, after_s = attend(iam)
    assert ready
    assert credential.halted is None
    assert 600.0 <= after_s <= 661.0
    assert len(iam.asked) < 20


def test_one_that_has_never_worked_stops_the_scope() -> None:
    ready, credential, after_s = attend(Iam(out_until_s=700.0), let_in=False)
    assert not ready
    assert after_s < 1.0
    assert credential.halted is not None
    assert "login page" in (credential.halted.error_msg or "")


def test_the_wait_has_a_bound_and_ends_with_a_refusal_and_with_the_wave() -> None:
    ready, credential, after_s = attend(Iam(out_until_s=1e9), give_up_after_s=300.0)
    assert not ready
    assert credential.halted is not None
    assert 300.0 <= after_s <= 361.0
    ready, credential, _ = attend(Iam(out_until_s=150.0, after=WRONG))
    assert credential.halted is not None
    assert credential.halted.error_msg == "wrong password"
    ready, credential, after_s = attend(Iam(out_until_s=1e9), stop_after_s=10.0)
    assert (ready, credential.halted) == (False, None)
    assert after_s <= 12.0
