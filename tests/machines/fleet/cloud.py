"""The simulated cloud of a fleet, which notes who sent each request, and how that is judged."""

import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakValueDictionary

from aiohttp import web

from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Fault, FaultProfile
from batcher.simulator.model import CREATES, READS
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.simulator.signatures import SignedRequest
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


_TIMESTAMPNS = 35  # SO_TIMESTAMPNS and SCM_TIMESTAMPNS of Linux, which Python does not name


class StampedSocket(socket.socket):
    """Knows when the system got what was read from it last: `arrived_at`, Unix seconds. So it is also for each
    connection that it accepts; these are in `opened`, by the other side's address."""

    arrived_at = 0.0
    opened: "WeakValueDictionary[object, StampedSocket]"

    def accept(self) -> "tuple[StampedSocket, object]":
        """The next connection."""
        plain, address = super().accept()
        one = StampedSocket(fileno=plain.detach())
        self.opened[address] = one
        return one, address

    def recv(self, size: int, flags: int = 0) -> bytes:
        """What came, *size* bytes at most."""
        data, notes, _, _ = self.recvmsg(size, 64, flags)
        for _, kind, note in notes:
            if kind == _TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq", note)
                self.arrived_at = seconds + nanoseconds / 1e9
        return data


def stamped_server() -> StampedSocket:
    """Listens on loopback."""
    listening = StampedSocket()
    listening.opened = WeakValueDictionary()
    listening.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
    listening.bind(("127.0.0.1", 0))
    return listening


class FleetCloud(Simulator):
    """A simulator that notes in `sent` who asked it to create.

    A request came when the system got its last bytes: the simulator may come to it much later, where processes wait for
    two cores, and that is neither the sender's doing nor the way's. By that moment the limit is counted too.
    """

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
        self._listening = stamped_server()

    def _site(self, runner: web.ServerRunner) -> web.BaseSite:
        return web.SockSite(runner, self._listening, backlog=1024)

    async def _drs(
        self, request: web.BaseRequest, signed: SignedRequest, project_id: str, call: str
    ) -> web.StreamResponse:
        assert request.transport is not None
        arrived_at = self._listening.opened[request.transport.get_extra_info("peername")].arrived_at
        if call in CREATES:
            worker, _, epoch = request.headers.get(SENDER, "nobody/0").partition("/")
            self.sent.append(Sent(arrived_at, project_id, worker, int(epoch)))
        return await self._deliver(request, self.service.drs(arrived_at, project_id, call, signed))


def out_of_order(sent: Iterable[Sent]) -> Iterator[str]:
    """Requests that came by an older epoch after one by a newer."""
    newest: dict[str, Sent] = {}
    for one in sorted(sent, key=lambda one: one.at):
        before = newest.get(one.project_id)
        if before is not None and one.epoch < before.epoch:
            yield (
                f"project {one.project_id[:6]}: {one.worker} sent by epoch {one.epoch}, {one.at - before.at:.1f} s "
                f"after {before.worker} had sent by {before.epoch}"
            )
        else:
            newest[one.project_id] = one
