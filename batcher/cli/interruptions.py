"""Ctrl-C where no command has a say yet, or any more: while Python loads batcher, and while it takes it down.

Loads next to nothing, so that it can be the first thing that is done.
"""

# What `signal` is made of: that one loads enumerations first, and an interruption would meet those.
import _signal  # type: ignore[import-not-found]
import _thread
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType


def end_at_once() -> None:
    """From now on an interruption ends the process there and then, with its exit code and without a word.

    Where whoever started us has it ignored (nohup, a script's background job), it stays so.
    """
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _end)


def raise_again() -> None:
    """From now on it is a `KeyboardInterrupt` again, where it would have ended the process at once."""
    if _signal.getsignal(_signal.SIGINT) is _end:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        sys.unraisablehook = _repeat


def is_one(error: BaseException | None) -> bool:
    """Whether *error* is an interruption, also one that came while a class was made: there Python makes it the cause of
    an error of another kind."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


def settle() -> None:
    """Have Python forget the interruption: one that came while it ran a text (`exec`, by which data classes are made)
    counts as unhandled until it runs another, and at its end it would die of the signal instead of exiting."""
    exec("")  # noqa: S102


def _end(number: int, _: "FrameType | None") -> None:
    os._exit(128 + number)


def _repeat(told: "UnraisableHookArgs") -> None:
    """An interruption that came where nothing can be raised, as in a callback of the import system, comes again: from a
    thread, as here it would be lost once more."""
    if told.exc_type is KeyboardInterrupt:
        _thread.start_new_thread(os.kill, (os.getpid(), _signal.SIGINT))
    else:
        sys.__unraisablehook__(told)
