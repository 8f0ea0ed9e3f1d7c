"""One look-up for an entry in doubt: the job's comparisons are listed, and each half is judged by them."""

from msgspec.structs import replace

from batcher.drs.outcome import Comparison, Trouble
from batcher.wave.access import Access
from batcher.wave.agenda import Held
from batcher.wave.clocks import CloudClock
from batcher.wave.context import Context
from batcher.wave.course import Course
from batcher.wave.events import LookedUp
from batcher.wave.listing import Lister
from batcher.wave.pace import Closed
from batcher.wave.policy import Reconcile
from batcher.wave.reconcile import Look, judge, since


class LookUps:
    """Reconciles the doubtful entries of one scope with the cloud's own lists."""

    def __init__(
        self, context: Context, access: Access, course: Course, lister: Lister, cloud_clock: CloudClock
    ) -> None:
        self._context = context
        self._access = access
        self._course = course
        self._lister = lister
        self._cloud_clock = cloud_clock

    async def make(self, held: Held) -> None:
        """Look *held* up and lead it on; it stays in doubt where the scope may not ask."""
        async with self._access.first_alone():
            if not await self._access.ready():
                return
            try:
                listed = await self._lister.comparisons(held.entry.job_id)
            except Closed:
                return
        if listed is None:
            return
        held.began(self._context.clock.monotonic())
        base = LookedUp(at=self._context.clock.now(), http_status=listed.http_status, request_id=listed.request_id)
        if isinstance(listed.comparisons, Trouble):
            await self._course.next(held, replace(base, trouble=listed.comparisons))
            return
        look = await self._look(held, listed.comparisons)
        halves, blocked = judge(held.entry, held.state, look)
        found = replace(base, halves=halves, blocked=blocked, listed=len(listed.comparisons), since=look.since)
        await self._course.next(held, found)

    async def _look(self, held: Held, comparisons: tuple[Comparison, ...]) -> Look:
        policy, now = self._context.policy, self._context.clock.monotonic()
        others = await self._course.others(held.entry)
        created_since, set_back_s = self._since(held)
        return Look(
            comparisons=comparisons,
            since=created_since,
            set_back_s=set_back_s,
            cloud_now=self._cloud_clock.latest(now),
            others=others,
            landed=self._course.since_intent(held) >= policy.landing_s,
            slack_s=policy.slack_s,
            patient=policy.reconcile is Reconcile.SNAPSHOT,
        )

    def _since(self, held: Held) -> tuple[float | None, float]:
        """As `reconcile.since`, also for an intent from before we knew the cloud's clock; and by how many seconds
        that clock was set back since then, as far as we noticed."""
        state, intent = held.state, held.state.intent
        assert intent is not None  # noqa: S101 - a doubt follows an intent
        if held.sent_at is None:
            latest = self._cloud_clock.latest(self._context.clock.monotonic())
            was_set_back = intent.cloud_at is not None and latest is not None and latest < intent.cloud_at
            return None if was_set_back else since(state), 0.0
        sent_at = self._cloud_clock.earliest(held.sent_at)
        if intent.cloud_at is None:
            return since(replace(state, intent=replace(intent, cloud_at=sent_at))), 0.0
        return since(state), max(0.0, intent.cloud_at - sent_at) if sent_at is not None else 0.0
