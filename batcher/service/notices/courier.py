"""Takes what is in the outbox to those it is for: one task for each, so that none waits for another."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from batcher.clock import Clock
from batcher.drs.answer import Answer
from batcher.drs.cloud import HttpRequest, Transport
from batcher.errors import BatcherError
from batcher.logger import get_logger
from batcher.masking import mask_text
from batcher.notify import chat
from batcher.notify.standard import headers_of, key_of
from batcher.service.notices import outbox
from batcher.service.notices.outbox import Message
from batcher.service.notices.targets import Target

log = get_logger("batcher.service")
T = TypeVar("T")

_AT_ONCE = 20  # messages read for one target at a time
_REST_S = 10.0  # at least, where the outbox cannot be used
_ANSWER_LIMIT = 64 * 1024
_GONE = 410  # by the specification: this receiver wants no more


class Outbox(Protocol):
    """What is still to be told, whoever keeps it. *look_s*: it is looked into at least so often. Every method raises
    `BatcherError` where it cannot be used."""

    look_s: float

    async def begin(self, targets: Sequence[Target]) -> None:
        """These are told from here."""
        ...

    async def due(self, target: Target, most: int) -> tuple[Sequence[Message], float | None]:
        """Up to *most* messages to *target* whose time has come, which nobody else takes meanwhile, and seconds until
        the next one's; None: there is none."""
        ...

    async def sent(self, message: Message) -> None:
        """The message was taken."""
        ...

    async def failed(self, message: Message, said: str, *, for_good: bool, asked_s: float | None) -> str:
        """The message was not taken, for what *said* says: it is tried again, or given up. The state it is in then.

        *asked_s* is how long its receiver asks us to wait.
        """
        ...

    async def counts(self) -> Mapping[tuple[str, str], int]:
        """How many messages there are, by target and state."""
        ...


class NotTaken(BatcherError):
    """A message was not taken. *asked_s*: how long the receiver asks us to wait; *for_good*: it wants no more."""

    def __init__(self, said: str, *, for_good: bool = False, asked_s: float | None = None) -> None:
        super().__init__(said)
        self.said = said
        self.for_good = for_good
        self.asked_s = asked_s


class Courier:
    """Delivers to *targets* until it is cancelled; `wake` after something was put into the outbox."""

    def __init__(self, box: Outbox, targets: Sequence[Target], transport: Transport, clock: Clock) -> None:
        self._box = box
        self._targets = targets
        self._transport = transport
        self._clock = clock
        self._woken = {target.name: asyncio.Event() for target in targets}

    def wake(self) -> None:
        """There may be something new."""
        for event in self._woken.values():
            event.set()

    async def run(self) -> None:
        """Deliver, for ever."""
        try:
            await self._box.begin(self._targets)
        except BatcherError as error:
            log.warning("notice.postponed", target=None, reason=mask_text(str(error)))
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._serve(target), name=f"courier-{target.name}")

    async def _serve(self, target: Target) -> None:
        while True:
            try:
                await self._round(target)
            except BatcherError as error:  # the disk is full, say; what was put there stays there
                await self._postponed(target, error)
            except Exception as error:  # the top of this task: whatever it is, the others are told, and this one later
                log.error("notice.defect", target=target.name, exc_info=error)
                await self._clock.sleep(max(self._box.look_s, _REST_S))

    async def _postponed(self, target: Target, error: BatcherError) -> None:
        log.warning("notice.postponed", target=target.name, reason=mask_text(str(error)))
        await self._clock.sleep(max(self._box.look_s, _REST_S))

    async def _round(self, target: Target) -> None:
        """Deliver what is due; where nothing is, wait until something may be."""
        woken = self._woken[target.name]
        woken.clear()
        messages, later_s = await self._box.due(target, _AT_ONCE)
        for message in messages:
            await self._deliver(target, message)
        if not messages:
            look_s = self._box.look_s
            await _first(woken.wait(), self._clock.sleep(look_s if later_s is None else min(later_s, look_s)))

    async def _deliver(self, target: Target, message: Message) -> None:
        try:
            if target.url is not None:
                await self._post(target, message)
            else:
                await self._chat(target, message)
        except NotTaken as error:
            await self._try_again(target, message, error)
        else:
            await self._note_sent(target, message)

    async def _note_sent(self, target: Target, message: Message) -> None:
        """Note that it was taken; as often as it takes, for it would be told once more otherwise."""
        while True:
            try:
                return await self._box.sent(message)
            except BatcherError as error:
                await self._postponed(target, error)

    async def _try_again(self, target: Target, message: Message, failure: NotTaken) -> None:
        said = mask_text(failure.said)
        state = await self._box.failed(message, said, for_good=failure.for_good, asked_s=failure.asked_s)
        if state == outbox.GIVEN_UP:
            log.error("notice.given_up", target=target.name, message=message.id, told=message.event, reason=said)
        else:
            log.warning("notice.failed", target=target.name, message=message.id, told=message.event, reason=said)

    async def _post(self, target: Target, message: Message) -> None:
        assert target.url is not None  # noqa: S101 - a webhook has both
        assert target.key is not None  # noqa: S101
        url = target.url
        headers = headers_of(message.id, self._clock.now(), message.body, key_of(target.key))
        request = HttpRequest(method="POST", url=url, headers=headers, body=message.body, answer_limit=_ANSWER_LIMIT)
        answer = await self._transport.send(request)
        if answer.http_status is None:
            raise NotTaken(f"{urlsplit(url).hostname}: {answer.error}")
        if not 200 <= answer.http_status < 300:
            raise NotTaken(
                f"{urlsplit(url).hostname} answered {answer.http_status}",
                for_good=answer.http_status == _GONE,
                asked_s=_retry_after_s(answer),
            )

    async def _chat(self, target: Target, message: Message) -> None:
        assert target.apprise is not None  # noqa: S101 - else it is a webhook
        title = f"batcher: {message.event}"
        try:
            said = await _beside(partial(chat.send, target.apprise, title, message.text))
        except Exception as error:
            raise NotTaken(f"apprise failed: {error!r}") from error
        if said is not None:
            raise NotTaken(said)


def _retry_after_s(answer: Answer) -> float | None:
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isdecimal() and len(asked) < 10:
        return float(asked)
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - answer.answered_at)
    except (ValueError, TypeError, OverflowError):
        return None


async def _beside(work: Callable[[], T]) -> T:
    """What *work* answers, from a thread that nobody waits for at the end: a chat may take its time."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if answer.done() else settle())

    def run() -> None:
        try:
            found = work()
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            tell(partial(answer.set_exception, error))
        else:
            tell(partial(answer.set_result, found))

    threading.Thread(target=run, name="chat", daemon=True).start()
    return await answer


async def _first(*waiting: Coroutine[Any, Any, object]) -> None:
    """Until the first of *waiting* is done; the others are cancelled."""
    tasks = [asyncio.create_task(each) for each in waiting]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
