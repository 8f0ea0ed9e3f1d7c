"""How many results and verdicts of each wave were told of: what is new goes to its feed and into the metrics."""

from collections.abc import Mapping

from batcher.life.result import Status
from batcher.machines.standing import SharedStanding
from batcher.service.meters import Meters
from batcher.service.running.feeds import Feeds


class ToldLines:
    """What was told of the lines of waves, by the wave's id."""

    def __init__(self, feeds: Feeds, meters: Meters) -> None:
        self._feeds = feeds
        self._meters = meters
        self._results: dict[str, Mapping[Status, int]] = {}
        self._verdicts: dict[str, int] = {}

    def see(self, id: str, standing: SharedStanding) -> None:
        """The wave stands so now. What was there at the first look was counted by whoever looked before."""
        before = self._results.get(id)
        if before is not None:
            for status, count in standing.by_status.items():
                self._meters.settled[status.value] += max(0, count - before.get(status, 0))
        if before is None or sum(before.values()) != standing.settled:
            self._feeds.of(id).publish("results", {"sequence": standing.settled})
        self._results[id] = standing.by_status
        decided = sum(standing.verdicts.values())
        if standing.wanted and self._verdicts.get(id) != decided:
            self._verdicts[id] = decided
            self._feeds.of(id).publish("verdicts", {"sequence": decided})

    def forget(self, id: str) -> None:
        """Nothing more comes of it."""
        self._results.pop(id, None)
        self._verdicts.pop(id, None)
