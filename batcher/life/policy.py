"""The numbers and choices that steer a wave, as one value. All times are seconds.

They are made of what was typed, in `batcher.settings.policy`, and do not change while the wave runs.
"""

from enum import StrEnum

from msgspec import Struct

from batcher.drs import guesses

LEEWAY_S = 20.0  # from an intent to its request, beside connecting: the slot that it waits for, a busy machine


class Reconcile(StrEnum):
    """How an entry in doubt is looked up."""

    WINDOW = "window"  # by type and the cloud's own creation time
    SNAPSHOT = "snapshot"  # that, and the job's comparisons are listed before the first attempt as well
    OFF = "off"  # not at all (the credential may not query): every doubt is unsettled


class LookFirst(StrEnum):
    """Whether a resumed wave looks an entry up before it sends it, in case another run has sent it already."""

    AUTO = "auto"  # the first few; all of them, where these or the journal's place give reason to
    ALWAYS = "always"  # all of them: the newest journal is lost
    NEVER = "never"  # none: the operator knows that no other run went on with the wave


class MaxFailures(Struct, frozen=True, kw_only=True):
    """When the wave stops because too much fails: a count, or a share of the manifest's entries."""

    count: int | None = None
    percent: float | None = None

    def reached(self, failures: int, entries: int) -> bool:
        """Whether *failures* of *entries* is too many."""
        if self.count is not None:
            return failures >= self.count
        return self.percent is not None and failures > 0 and failures >= entries * self.percent / 100


class Policy(Struct, frozen=True, kw_only=True):
    """How often, how long and how patiently. Defaults are those of `batcher run`."""

    attempts: int = 5  # charged attempts an entry; throttled ones are not charged
    entry_deadline_s: float = 900.0  # from an entry's first attempt to the last one begun; waiting for the scope aside
    backoff_base_s: float = 1.0
    backoff_cap_s: float = 60.0
    give_up_after_s: float | None = None  # of an outage; None: the scope waits for as long as it lasts
    landing_s: float = guesses.LANDING_TIME_S  # a request on its way can still land this long
    leave_s: float = 10.0 + LEEWAY_S  # a request leaves at most this long after its intent: its connection, its slot
    looks_s: tuple[float, ...] = (2.0, 15.0, 60.0)  # looks before the last, which comes after landing_s
    own_looks_s: tuple[float, ...] = (0.0, 5.0, 20.0)  # before each look at what is in an entry's way, if it is its own
    failed_looks: int = 8  # look-ups one after the other that may fail, until after landing_s a doubt is unsettled
    look_again_s: float = 20.0  # between those at most: after 1, 2, 4, … s
    wait_ready_s: float = 0.0  # a job that is not ready is asked again for so long
    wait_ready_poll_s: float = 30.0
    reconcile: Reconcile = Reconcile.WINDOW
    max_failures: MaxFailures = MaxFailures()
    concurrency: int = 16  # requests in flight, each scope
    grace_s: float = 30.0  # for what is in flight when the wave is told to stop
    slack_s: float = guesses.CLOCK_SLACK_S  # create_time may lie so much before the intent by the cloud's clock
    learn_s: float = 300.0  # after landing_s, for something to be created that tells the cloud's time
    held: int = 4096  # entries a scope holds in memory: waiting, in doubt, parked behind their job
    probes: int = 5  # entries of a resumed wave that are looked up before they are sent, whatever its journal says
    set_aside: int = 16_384  # and so many more that the admission holds back: the rest may go ahead of them
    held_bytes: int = 64 * 1024 * 1024  # that all of these take, in all scopes, where entries are large
