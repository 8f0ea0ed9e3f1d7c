"""Questions that go through a large wave, answered in steps: between two, something else may be asked and written."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

Steps = Iterator[T | None]
"""The answer to a question, after some times None."""


def steps_of(question: Callable[..., T], *args: Any, **more: Any) -> Steps[T] | None:
    """The answer to *question*, a method of a record, in steps; None: it is answered in one."""
    record = getattr(question, "__self__", None)
    in_steps = getattr(record, f"_{question.__name__}_steps", None)
    return None if in_steps is None else in_steps(*args, **more)


def whole(steps: Steps[T]) -> T:
    """The answer, all steps in one."""
    return next(answer for answer in steps if answer is not None)
