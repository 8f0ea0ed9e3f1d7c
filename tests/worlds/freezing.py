"""An event loop on which a machine can be frozen: its clocks go on, and nothing of it runs until it is thawed.

As SIGSTOP and SIGCONT do, or a host that stalls. All that a machine's code sets in motion bears its `Gate` in its
context; while that is shut, whatever comes due for the machine is kept, and runs in order once it opens.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar

from tests.virtual import VirtualLoop, libraries_on_loop_time

T = TypeVar("T")

_GATE: "ContextVar[Gate]" = ContextVar("gate")


class Gate:
    """What a machine's turns on the event loop go through."""

    def __init__(self) -> None:
        self.is_shut = False
        self._kept: list[Callable[[], object]] = []

    def start(self, main: Callable[[], Coroutine[Any, Any, T]], name: str) -> "asyncio.Task[T]":
        """Run *main* as the machine's own."""
        context = Context()
        context.run(_GATE.set, self)
        return context.run(lambda: asyncio.get_running_loop().create_task(main(), name=name))

    def shut(self) -> None:
        """Freeze the machine, from its next turn on."""
        self.is_shut = True

    def open(self) -> None:
        """Thaw it."""
        self.is_shut = False
        kept, self._kept = self._kept, []
        for go_on in kept:
            go_on()

    def keep(self, go_on: Callable[[], object]) -> None:
        """*go_on* once it is open."""
        self._kept.append(go_on)


class FreezingLoop(VirtualLoop):
    """See the module."""

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """As any loop does, unless it is a frozen machine's."""
        return self._through_gate(super().call_soon, callback, args, context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop does, unless it is a frozen machine's."""
        handle = self._through_gate(partial(super().call_at, when), callback, args, context)
        assert isinstance(handle, asyncio.TimerHandle)
        return handle

    def _through_gate(
        self,
        schedule: Callable[..., asyncio.Handle],
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: Context | None,
    ) -> asyncio.Handle:
        context = copy_context() if context is None else context
        gate = context.get(_GATE)
        if gate is None:
            return schedule(callback, *args, context=context)

        def run_or_keep() -> None:
            if gate.is_shut:
                gate.keep(lambda: schedule_soon(unless_cancelled, context=context))
            else:
                callback(*args)

        def unless_cancelled() -> None:
            if not handle.cancelled():
                run_or_keep()

        schedule_soon = super().call_soon
        handle = schedule(run_or_keep, context=context)
        return handle


def run_freezing(main: Callable[[], Coroutine[Any, Any, T]], *, turns: int) -> T:
    """Run *main* to its end in virtual time, on a loop whose machines can be frozen."""
    with libraries_on_loop_time(), asyncio.Runner(loop_factory=partial(FreezingLoop, turns)) as runner:
        return runner.run(main())
