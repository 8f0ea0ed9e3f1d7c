"""From settings to the engine's policy."""

from batcher.life.policy import LEEWAY_S, MaxFailures, Policy
from batcher.settings.model import RunSettings


def policy_of(settings: RunSettings) -> Policy:
    """The engine's policy that *settings* ask for."""
    return Policy(
        attempts=settings.attempts,
        entry_deadline_s=settings.entry_deadline,
        landing_s=settings.landing_time,
        leave_s=settings.connect_timeout + LEEWAY_S,
        wait_ready_s=settings.wait_ready,
        reconcile=settings.reconcile,
        give_up_after_s=settings.give_up_after,
        max_failures=settings.max_failures or MaxFailures(),
        concurrency=settings.concurrency,
        grace_s=settings.grace,
    )
