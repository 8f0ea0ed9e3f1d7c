"""The feeds of a service's waves: each is told what is new of it, and those that nobody needs are forgotten."""

from collections.abc import Container, Mapping
from typing import Any

from batcher.service.running.feed import Feed

_KEPT = 64  # feeds of waves of which there is nothing new, and to which nobody listens


class Feeds:
    """The feed of each wave, by its id."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._told: dict[str, Mapping[str, Any]] = {}

    def of(self, id: str) -> Feed:
        """The events of a wave."""
        return self._feeds.setdefault(id, Feed())

    def tell(self, id: str, told: Mapping[str, Any], *, goes_on: bool) -> None:
        """The wave is *told* so now: tell of it, if that is new. *goes_on*: it will be told again."""
        if self._told.get(id) != told:
            if goes_on:
                self._told[id] = told
            else:
                self._told.pop(id, None)
            self.of(id).publish("wave", told)

    def wake(self) -> None:
        """Let everybody who listens look at what there is."""
        for feed in self._feeds.values():
            feed.wake()

    def tidy(self, needed: Container[str]) -> None:
        """Forget what nobody listens to, but for waves that are *needed*."""
        if len(self._feeds) > _KEPT:
            idle = [id for id, feed in self._feeds.items() if not feed.listeners and id not in needed]
            for id in idle[: len(self._feeds) - _KEPT]:
                del self._feeds[id]
