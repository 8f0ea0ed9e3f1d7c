"""SIGINT and SIGTERM while a wave runs: the first stops it in order, the second leaves at once."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from batcher.api import Wave
from batcher.durations import rough_duration
from batcher.wave.stop import Stop, StopKind

_KINDS = {signal.SIGINT: StopKind.SIGINT, signal.SIGTERM: StopKind.SIGTERM}


@contextmanager
def stopping(wave: Wave, say: Callable[[str], None]) -> Iterator[None]:
    """Have signals stop *wave* while the context lasts; *say* tells the person what will happen.

    To be entered on the event loop that runs the wave.
    """
    loop = asyncio.get_running_loop()
    told = False

    def stop(number: signal.Signals) -> None:
        nonlocal told
        if told:
            say("leaving at once: what is in flight is looked up when the wave goes on")
            wave.abandon()
            return
        told = True
        say(_promise(wave, number))
        wave.stop(Stop(_KINDS[number], f"{number.name} received"))

    for number in _KINDS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in _KINDS:
            loop.remove_signal_handler(number)


def _promise(wave: Wave, number: signal.Signals) -> str:
    if wave.found is None:
        return f"{number.name}: nothing has been sent"
    in_flight = wave.status().in_flight
    if not in_flight:
        return f"{number.name}: nothing more is sent, and nothing is in flight"
    requests = "the request" if in_flight == 1 else f"the {in_flight} requests"
    return (
        f"{number.name}: nothing more is sent; {requests} in flight may take up to "
        f"{rough_duration(wave.settings.grace)} to settle. A second signal leaves at once."
    )
