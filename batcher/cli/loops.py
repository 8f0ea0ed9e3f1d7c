"""The event loop that a wave runs on."""

import asyncio
from collections.abc import Callable


def quickest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes uvloop's, where the extra of that name is installed; None for asyncio's own."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
