"""The simulated cloud of a fleet, which notes who sent each request, and how that is judged."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aiohttp import web

from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Fault, FaultProfile
from batcher.simulator.model import CREATES, READS
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.machines.fleet.member import SENDER


class LossyCreates(FaultProfile):
    """Loses answers to create requests; look-ups get theirs."""

    def choose(self, seed: int, *, call: str, job_id: str, nth: int, elapsed_s: float) -> Fault | None:
        """See `FaultProfile.choose`."""
        if call in READS:
            return None
        return super().choose(seed, call=call, job_id=job_id, nth=nth, elapsed_s=elapsed_s)


TENTH_LOST = LossyCreates(
    name="a tenth lost",
    description="a tenth of the answers is lost after the effect",
    chances={"reset-after": 0.06, "silent-after": 0.02, "504-after": 0.02},
)


@dataclass(frozen=True)
class Sent:
    """A create request that came: when, for which project, by which worker, with which epoch of the lease."""

    at: float
    project_id: str
    worker: str
    epoch: int


class FleetCloud(Simulator):
    """A simulator that notes in `sent` who asked it to create."""

    def __init__(self, limit: int, seed: int, *, latency_s: float = 0.02) -> None:
        super().__init__(
            ServiceConfig(
                cloud=CloudConfig(limit=Rate(limit, 1.0)),
                faults=TENTH_LOST,
                seed=seed,
                latency_s=(latency_s, latency_s),
            )
        )
        self.sent: list[Sent] = []

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = request.rel_url.raw_path.split("/")
        if parts[-1] in CREATES:
            worker, _, epoch = request.headers.get(SENDER, "nobody/0").partition("/")
            self.sent.append(Sent(self.now, parts[2], worker, int(epoch)))
        return await super()._answer(request)


def out_of_order(sent: Iterable[Sent]) -> Iterator[str]:
    """Requests that came by an older epoch after one by a newer."""
    newest: dict[str, Sent] = {}
    for one in sent:
        before = newest.get(one.project_id)
        if before is not None and one.epoch < before.epoch:
            yield (
                f"project {one.project_id[:6]}: {one.worker} sent by epoch {one.epoch}, {one.at - before.at:.1f} s "
                f"after {before.worker} had sent by {before.epoch}"
            )
        else:
            newest[one.project_id] = one
