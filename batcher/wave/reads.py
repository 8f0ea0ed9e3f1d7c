"""What a scope's look-ups go through, for the engine's own and for whoever follows what it created."""

from dataclasses import dataclass

from batcher.drs.cloud import Cloud
from batcher.wave.access import Access
from batcher.wave.governor import Meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """One scope: one credential's fate and one pace, shared by all who look."""

    cloud: Cloud
    access: Access
    meter: Meter
