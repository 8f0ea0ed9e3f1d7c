"""SIGINT, SIGTERM and SIGHUP while something runs: the first stops it in order, the second leaves at once.

A third one ends the process there and then, as it would without us. What the parent has set to be ignored (nohup, a
shell script's background job) stays ignored.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

from msgspec import Struct

from batcher import streams
from batcher.cli.show.running_wave import RunningWave
from batcher.durations import rough_duration
from batcher.wave.stop import Stop, StopKind

T = TypeVar("T")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Detached(Struct, frozen=True):
    """A signal has ended the following; the wave goes on."""

    signal: signal.Signals


@contextmanager
def caught(handle: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have *handle* called on the running event loop for each signal that stops, while the context lasts."""
    loop = asyncio.get_running_loop()
    count = 0

    def came(number: int, _: FrameType | None) -> None:
        nonlocal count
        count += 1
        streams.end_soon()
        if count > 2:  # the loop may be stuck, in a write that nobody reads
            _die_of(number)
        loop.call_soon_threadsafe(handle, signal.Signals(number))

    before = {number: signal.getsignal(number) for number in STOPPING}
    caught_here = [number for number in STOPPING if before[number] is not signal.SIG_IGN]
    for number in caught_here:
        signal.signal(number, came)
    try:
        yield
    finally:
        for number in caught_here:
            # Whoever was told to end is at it: one more signal need not be put into words.
            signal.signal(number, signal.SIG_DFL if count else before[number])


async def until_signal(work: Awaitable[T]) -> T | Detached:
    """What *work* gives, unless a signal ends it first."""
    task = asyncio.ensure_future(work)
    came: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        came.append(number)
        task.cancel()

    with caught(end):
        await asyncio.wait({task})
    if came and task.cancelled():
        return Detached(came[0])
    return await task


def _die_of(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def received(number: signal.Signals) -> Stop:
    """The reason to stop that the signal *number* is."""
    return Stop(StopKind[number.name], f"{number.name} received")


@contextmanager
def stopping(wave: RunningWave, say: Callable[[str], None]) -> Iterator[None]:
    """Have signals stop *wave* while the context lasts; *say* tells the person what will happen, after it has begun.

    To be entered on the event loop that runs the wave.
    """
    told = False

    def stop(number: signal.Signals) -> None:
        nonlocal told
        if told:
            if not wave.is_open:  # nothing was sent, and a manifest or a secret from a pipe may never end
                _die_of(number)
            wave.abandon()
            say("leaving at once: what is in flight is looked up when the wave goes on")
            return
        told = True
        wave.stop(received(number))
        say(_promise(wave, number))

    with caught(stop):
        yield


def _promise(wave: RunningWave, number: signal.Signals) -> str:
    if not wave.is_open:
        return f"{number.name}: nothing has been sent"
    in_flight = wave.status().in_flight
    if not in_flight:
        return f"{number.name}: nothing more is sent, and nothing is in flight"
    requests = "the request" if in_flight == 1 else f"the {in_flight} requests"
    return (
        f"{number.name}: nothing more is sent; {requests} in flight may take up to "
        f"{rough_duration(wave.settings.grace)} to settle. A second signal leaves at once."
    )
