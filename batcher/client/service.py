"""The service from Python: hand a wave in, iterate over its results, read how it ended.

    async with Service("https://batcher.example.com") as service:
        wave = await service.submit("jobs.csv", region="eu-west-101", rate="5/s")
        async for result in wave:
            print(result.key, result.status)
        print(wave.end.status.created)

The token is `token`, or in `token_file`, or where `BATCHER_SERVICE_TOKEN_FILE` or `BATCHER_SERVICE_TOKEN` say. Lost
connections and a service that is started again go unnoticed; the wave is the service's, and goes on without us.
"""

import asyncio
import re
import uuid
from collections import deque
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

from batcher.client.access import access
from batcher.client.errors import ServiceRefused
from batcher.client.followed_wave import FollowedWave
from batcher.client.http import PATIENCE_S, ServiceClient
from batcher.client.lines import OVER
from batcher.client.places import GivenPlace, provisional_result
from batcher.client.problems import findings_of
from batcher.client.told import end_of
from batcher.clock import SystemClock
from batcher.errors import UserError
from batcher.gate.told import ToldGate
from batcher.life.result import Result
from batcher.manifest.manifest import format_of
from batcher.text import printable
from batcher.wave.engine import WaveEnd
from batcher.wave.opening import BadManifest
from batcher.wave.status import WaveStatus

_TYPES = {"csv": "text/csv", "json": "application/json", "jsonl": "application/x-ndjson"}
_PIECE = 256 * 1024
_ID = re.compile("[a-z0-9]{12}")
MOST_AT_ONCE = 500  # of a list, which the service gives in one answer
_PAGE = str(MOST_AT_ONCE)
_UNREAD = 1000  # results that wait for whoever iterates
# What a verb makes of a wave: where a repeat of it is refused, the first one may have done it.
_GOALS: Mapping[str, frozenset[str]] = {
    "pause": frozenset({"paused"}),
    "resume": frozenset({"queued", "running"}),
    "start": frozenset({"queued", "running"}),
    "stop": frozenset({"stopping", "stopped"}),
    "approve": frozenset({"queued", "running"}),
    "retry-failed": frozenset({"queued", "running"}),
}


class Service:
    """A service at *url* (by default where `BATCHER_SERVICE` says): an async context manager.

    *ca_bundle* and *proxy* are as for `run`; *insecure_http* allows http elsewhere than on this machine, where the
    token travels in the clear. *patience_s* is how long it may not answer. Raises `UserError`; calls raise
    `ServiceRefused` and `ServiceLost`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        token_file: Path | str | None = None,
        ca_bundle: Path | str | None = None,
        proxy: str | None = None,
        insecure_http: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        found = access(
            url, token=token, token_file=token_file, ca_bundle=ca_bundle, proxy=proxy, insecure_http=insecure_http
        )
        self.client = ServiceClient(found, patience_s=patience_s)

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, error, trace)

    async def submit(
        self,
        manifest: Path | str,
        *,
        name: str | None = None,
        priority: int = 0,
        start: bool = True,
        profile: str | None = None,
        key: str | None = None,
        format: str | None = None,
        encoding: str | None = None,
        **settings: Any,
    ) -> "ServiceWave":
        """Hand in the file *manifest*, under the `Idempotency-Key` *key* (by default one of its own).

        *profile* is one of the service's, *settings* are those of `run` that the service takes. With *start* False the
        wave is held until it is started. Raises `BadManifest`, `ServiceRefused`, `ServiceLost` and other `UserError`s.
        """
        path = Path(manifest)
        content_type = _TYPES[format_of(path, format)]
        headers = {
            "Content-Type": f"{content_type}; charset={encoding}" if encoding else content_type,
            "Idempotency-Key": key or str(uuid.uuid4()),
        }
        query = {name: _text(value) for name, value in settings.items() if value is not None}
        query |= {"name": name} if name is not None else {}
        query |= {"profile": profile} if profile is not None else {}
        query |= {"priority": str(priority)} if priority else {}
        query |= {} if start else {"start": "false"}
        await asyncio.to_thread(_require_readable, path)
        try:
            told = await self.client.upload("/v1/waves", query, lambda: _pieces(path), headers)
        except ServiceRefused as error:
            if not error.findings:
                raise
            raise BadManifest(findings_of(error, str(manifest)), error.sound or 0) from error
        return ServiceWave(self.client, told)

    async def wave(self, wave: str) -> "ServiceWave":
        """The wave with this id, or, where no other has it, this name. Raises `UserError`."""
        if _ID.fullmatch(wave):
            try:
                return ServiceWave(self.client, await self.client.get(f"/v1/waves/{wave}"))
            except ServiceRefused as error:
                if error.status != 404:
                    raise
        named = [told async for told in self.waves() if told["name"] == wave]
        if len(named) == 1:
            return ServiceWave(self.client, named[0])
        where, shown = f"the service at {self.client.access.url}", repr(printable(wave, 100))
        if not named:
            raise UserError(f"{where} has no wave {shown}: batcher waves lists them.")
        ids = ", ".join(f"{told['id']} ({told['state']}, of {told['created_at'][:19]}Z)" for told in named[:5])
        raise UserError(f"{where} has {len(named)} waves named {shown}: say which by its id, {ids}.")

    async def waves(self, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """The waves as the service tells them, the newest first; only those in *state* where that is given."""
        query = {"limit": _PAGE, **({"state": state} if state is not None else {})}
        while True:
            page = await self.client.get("/v1/waves", query)
            for told in page["waves"]:
                yield told
            if page["next"] is None:
                return
            query["after"] = page["next"]

    async def workers(self) -> list[dict[str, Any]]:
        """The workers that run the service's waves, as it tells them: each with its scopes, and what it cannot take."""
        answer = await self.client.get("/v1/workers", {})
        workers: list[dict[str, Any]] = answer["workers"]
        return workers


class ServiceWave:
    """A wave of a service: an async iterator over its results, of which each comes as it settles.

    Results of before are given as well. One whose entry was taken up again meanwhile is given anew.
    """

    def __init__(self, client: ServiceClient, told: Mapping[str, Any]) -> None:
        self.client = client
        self.told = told
        self.id = str(told["id"])

    @property
    def path(self) -> str:
        """The path of the wave at the service."""
        return f"/v1/waves/{quote(self.id, safe='')}"

    @property
    def is_over(self) -> bool:
        """Whether the wave has ended or was stopped, as far as is known."""
        return self.told["state"] in OVER

    @property
    def end(self) -> WaveEnd:
        """The end of the wave. Raises `RuntimeError` before that."""
        if not self.is_over:
            raise RuntimeError("the wave has not ended")
        return end_of(self.told, SystemClock.now())

    @property
    def exit_code(self) -> int | None:
        """What `batcher run` would have ended with; None: it has not ended."""
        code: int | None = self.told["exit_code"]
        return code

    def status(self) -> WaveStatus:
        """The wave's status when it was looked at last; see `look`."""
        from batcher.client.told import status_of

        return status_of(self.told, SystemClock.now())

    async def look(self) -> Mapping[str, Any]:
        """The wave as the service tells it now; `told` from then on."""
        self.told = await self.client.get(self.path)
        return self.told

    async def __aiter__(self) -> AsyncIterator[Result]:
        """Each result as it settles, until the wave has ended or was stopped. Raises `ServiceLost`."""
        place = _Unread()
        task = asyncio.create_task(FollowedWave(self.client, self.told, place, None).run(), name="wave")
        task.add_done_callback(lambda _: place.came.set())
        try:
            while True:
                while place.results:
                    yield place.results.popleft()
                    place.read.set()
                if task.done():
                    break
                place.came.clear()
                await place.came.wait()
            self.told = await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- steering it ------------------------------------------------------------------------------------

    async def do(self, verb: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """`pause`, `resume`, `start`, `stop`, `retry-failed`, or `approve` with `{"digest": …}`; the wave then.

        Safe to repeat: where the answer to the first request was lost, the wave's state says whether it was done.
        """

        async def already() -> Mapping[str, Any] | None:
            told = await self.look()
            return told if told["state"] in _GOALS[verb] else None

        self.told = await self.client.send("POST", f"{self.path}/{verb}", body, repeatable=True, already=already)
        return self.told

    async def change(self, **changes: Any) -> Mapping[str, Any]:
        """Change its `rate`, `read_rate`, `concurrency` or `priority`; the wave then."""
        self.told = await self.client.send("PATCH", self.path, changes, repeatable=True)
        return self.told

    async def recheck(self) -> "ServiceWave":
        """A new wave of the comparisons that did not come out consistent."""
        return ServiceWave(self.client, await self.client.send("POST", f"{self.path}/recheck", repeatable=False))

    async def entries(self, **query: str) -> AsyncIterator[dict[str, Any]]:
        """The entries as the service tells them, those that *query* asks for."""
        asked = {"limit": _PAGE, **query}
        while True:
            page = await self.client.get(f"{self.path}/entries", asked)
            for told in page["entries"]:
                yield told
            if page["next"] is None:
                return
            asked["after"] = page["next"]

    async def entry(self, index: int) -> dict[str, Any]:
        """Every attempt made for an entry and why, as `batcher explain --json` has it."""
        found: dict[str, Any] = await self.client.get(f"{self.path}/entries/{index}")
        return found

    async def gate(self, *, most: int | None = None) -> ToldGate:
        """GO or NO-GO over the wave, in the service's own words; at most *most* of each of its long lists.

        Raises `ServiceRefused` where it cannot be told: the wave has no results yet, say.
        """
        query = {} if most is None else {"limit": str(most)}
        return ToldGate(await self.client.get(f"{self.path}/gate", query))

    async def report(self, out: BinaryIO, format: str = "html") -> None:
        """Write the service's report on the wave, in one of the formats `html`, `json`, `csv` and `md`, to *out*."""
        await self.client.download(f"{self.path}/report", {"format": format}, out)

    async def settle(self, index: int, ruling: str) -> dict[str, Any]:
        """Decide what became of an unsettled entry, as `batcher settle --as` has it; the entry then."""
        told: dict[str, Any] = await self.client.send(
            "POST", f"{self.path}/entries/{index}/settle", {"as": ruling}, repeatable=False
        )
        return told


class _Unread(GivenPlace):
    """Results that wait for whoever iterates; where there are many, those that come wait, too."""

    def __init__(self) -> None:
        super().__init__(self._add, provisional_result)
        self.results: deque[Result] = deque()
        self.came, self.read = asyncio.Event(), asyncio.Event()

    def _add(self, line: bytes) -> None:
        self.results.append(Result.model_validate_json(line))
        self.came.set()

    async def room(self) -> None:
        """Wait until there is room for more results."""
        while len(self.results) >= _UNREAD:
            self.read.clear()
            await self.read.wait()


def _text(value: Any) -> str:
    """A setting as it stands in an address."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _require_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from None


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece
