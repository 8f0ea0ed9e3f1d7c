"""What a scope's look-ups go through, for the engine's own and for whoever follows what it created."""

from msgspec import Struct

from batcher.drs.cloud import Cloud
from batcher.wave.access import Access
from batcher.wave.governor import Meter


class Reads(Struct, frozen=True, kw_only=True):
    """One scope: one credential's fate and one pace, shared by all who look."""

    cloud: Cloud
    access: Access
    meter: Meter
