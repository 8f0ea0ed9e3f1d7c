"""A promise that was broken."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken: its *name*, and how."""

    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"
