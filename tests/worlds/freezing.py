"""An event loop on which a machine can be frozen: its clocks go on, and nothing of it runs until it is thawed.

As SIGSTOP and SIGCONT do, or a host that stalls. All that a machine's code sets in motion bears its `Gate` in its
context; while that is shut, whatever comes due for the machine is kept, and runs in order once it opens.

A machine can be suspended as well. Then its timers stand still with its monotonic clock, as Linux has it: what was to
come in ten seconds comes ten seconds of its own later.
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
        self.slept_s = 0.0  # for which the machine was suspended, in all
        self._kept: list[_Turn] = []
        loop = asyncio.get_running_loop()
        if isinstance(loop, FreezingLoop):
            loop.gates.append(self)

    def start(self, main: Callable[[], Coroutine[Any, Any, T]], name: str) -> "asyncio.Task[T]":
        """Run *main* as the machine's own."""
        context = Context()
        context.run(_GATE.set, self)
        return context.run(lambda: asyncio.get_running_loop().create_task(main(), name=name))

    def shut(self) -> None:
        """Freeze the machine, from its next turn on."""
        self.is_shut = True

    def open(self, slept_s: float = 0.0) -> None:
        """Thaw it; *slept_s*: it was suspended for so long, and not only frozen."""
        self.is_shut = False
        self.slept_s += slept_s
        kept, self._kept = self._kept, []
        for turn in kept:
            turn.go_on()

    def keep(self, turn: "_Turn") -> None:
        """*turn* once it is open."""
        self._kept.append(turn)


class _Turn:
    """One callback of a machine. Timers have *slept_s*: for how long it had been suspended when they were set."""

    __slots__ = ("_args", "_callback", "_gate", "_slept_s", "handle")

    def __init__(self, gate: Gate, callback: Callable[..., Any], args: tuple[Any, ...], slept_s: float | None) -> None:
        self._gate = gate
        self._callback = callback
        self._args = args
        self._slept_s = slept_s
        self.handle: asyncio.Handle | None = None

    def __call__(self) -> None:
        gate = self._gate
        if gate.is_shut:
            gate.keep(self)
        elif self._slept_s is not None and (late_s := gate.slept_s - self._slept_s) > 0:
            self._slept_s = gate.slept_s
            asyncio.get_running_loop().call_later(late_s, self._unless_cancelled, context=_outside())
        else:
            self._callback(*self._args)

    def go_on(self) -> None:
        """It was kept, and its machine runs again."""
        asyncio.get_running_loop().call_soon(self._unless_cancelled, context=_outside())

    def _unless_cancelled(self) -> None:
        assert self.handle is not None
        if not self.handle.cancelled():
            self.handle._context.run(self)  # type: ignore[attr-defined]


def _outside() -> Context:
    """No machine's."""
    return Context()


class FreezingLoop(VirtualLoop):
    """See the module. *gates* are those of all machines."""

    def __init__(self, turns: int = -1) -> None:
        super().__init__(turns)
        self.gates: list[Gate] = []

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        """As any loop does, unless it is a frozen machine's."""
        context = copy_context() if context is None else context
        gate = context.get(_GATE)
        if gate is None:
            return super().call_soon(callback, *args, context=context)
        turn = _Turn(gate, callback, args, None)
        turn.handle = handle = super().call_soon(turn, context=context)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop does, unless it is a frozen machine's."""
        context = copy_context() if context is None else context
        gate = context.get(_GATE)
        if gate is None:
            return super().call_at(when, callback, *args, context=context)
        turn = _Turn(gate, callback, args, gate.slept_s)
        turn.handle = handle = super().call_at(when, turn, context=context)
        return handle


def run_freezing(main: Callable[[], Coroutine[Any, Any, T]], *, turns: int) -> T:
    """Run *main* to its end in virtual time, on a loop whose machines can be frozen."""
    with libraries_on_loop_time(), asyncio.Runner(loop_factory=partial(FreezingLoop, turns)) as runner:
        try:
            return runner.run(main())
        finally:
            loop = runner.get_loop()
            assert isinstance(loop, FreezingLoop)
            for gate in loop.gates:  # so that what is cancelled comes to its end
                loop.call_soon(gate.open, context=_outside())
