"""What a scope's look-ups go through, for the engine's own and for whoever follows what it created."""

from msgspec import Struct

from batcher.channel.access import Access
from batcher.channel.governor import Meter
from batcher.drs.cloud import Cloud


class Reads(Struct, frozen=True, kw_only=True):
    """One scope: one credential's fate and one pace, shared by all who look."""

    cloud: Cloud
    access: Access
    meter: Meter
