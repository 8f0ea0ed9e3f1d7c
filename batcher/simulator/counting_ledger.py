"""A running summary of a ledger, in memory that does not grow with the number of requests."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from batcher.drs.outcome import Half
from batcher.drs.v3.create_compare_task import CREATE_COMPARE_TASK
from batcher.simulator.ledger import AnswerSent, Effect, Event, Ledger, NoLedger, RequestSeen


@dataclass(slots=True)
class CountingLedger:
    """Counts what it is told, and hands it on to *inner*. *window_s* is the period of the busiest window."""

    inner: Ledger = field(default_factory=NoLedger)
    window_s: float = 1.0
    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    created: int = 0
    cancelled: int = 0
    busiest: Counter[str] = field(default_factory=Counter)
    _asked: dict[str, float] = field(default_factory=dict)  # create requests without an answer yet: when they came
    _answers_s: float = 0.0  # that all answered ones took
    _answered: int = 0
    _halves: Counter[tuple[str, str, Half]] = field(default_factory=Counter)
    _recent: dict[str, deque[float]] = field(default_factory=dict)

    def record(self, event: Event) -> None:
        """Count *event*, and hand it on."""
        match event:
            case RequestSeen():
                self.requests[event.call] += 1
                if event.call == CREATE_COMPARE_TASK:
                    self._asked[event.request_id] = event.at
                    self._count_window(event)
            case Effect():
                if event.request_id:
                    self.created += len(event.created)
                    self.cancelled += len(event.cancelled)
                    self._halves.update((event.project_id, event.job_id, half) for half in event.created)
            case AnswerSent():
                asked_at = self._asked.pop(event.request_id, None)
                if asked_at is not None and event.http_status is not None:
                    self._answers_s += event.at - asked_at
                    self._answered += 1
                status = "no answer" if event.http_status is None else str(event.http_status)
                self.answers[f"{status} {event.error_code}" if event.error_code else status] += 1
                if event.fault is not None:
                    self.faults[event.fault] += 1
        self.inner.record(event)

    @property
    def answer_s(self) -> float | None:
        """How long the answer to a create request took, on average; None: none was answered."""
        return self._answers_s / self._answered if self._answered else None

    @property
    def repeated(self) -> int:
        """How many halves of a job were created more than once. A client that means to do so is free to."""
        return sum(count > 1 for count in self._halves.values())

    def as_json(self) -> dict[str, Any]:
        """The summary, for scripts."""
        return {
            "requests": dict(self.requests),
            "answers": dict(self.answers),
            "faults": dict(self.faults),
            "created": self.created,
            "cancelled": self.cancelled,
            "repeated": self.repeated,
            "busiest_window": {"seconds": self.window_s, "create_requests": dict(self.busiest)},
        }

    def _count_window(self, event: RequestSeen) -> None:
        recent = self._recent.setdefault(event.project_id, deque())
        recent.append(event.at)
        while event.at - recent[0] >= self.window_s:
            recent.popleft()
        self.busiest[event.project_id] = max(self.busiest[event.project_id], len(recent))
