"""Whether there is an outage, told by a budget of failures, so that an outage does not become a storm: a pure object
over moments.

After gRPC's retry throttling (proposal A6): each failure takes a token, each sound answer gives some back, and with
half of them gone most attempts are failing. Then the scope is *out*: nothing is sent but one request at a time, a
probe, each after a longer silence, until one brings a sound answer. What fails meanwhile says nothing about its entry.

    sound ──most attempts fail──▶ out ──a probe is answered──▶ sound, with little credit

A failure is a request that did not reach the cloud, or brought no sound answer: network, time-out, 5xx, the page of
something on the way. An answer that refuses the entry is sound: the cloud is there. A few pages in a row are an outage
at once, as what shows them goes on doing so; before anything has ever worked, so is the first failure of all.
"""

FULL = 20.0
_LOW = 10.0
_BACK = 0.5  # for each sound answer: with two of three failing, the tokens go down
_PAGES = 3  # in a row, with nothing sound between them
_CREDIT = 3.0  # above the low mark after an outage: it is soon over if it goes on
_FIRST_SILENCE_S = 2.0
_LONGER = 2.0
_LONGEST_S = 60.0


class OutageDetector:
    """Whether one scope is in an outage. Moments are monotonic seconds."""

    def __init__(self) -> None:
        self.tokens = FULL
        self.out_since: float | None = None  # since when every answer was a failure; None: no outage
        self.said = ""  # the last failure, for people
        self.probes = 0  # that failed in this outage, the failure that found it included
        self._pages = 0
        self._failing_since: float | None = None
        self._since = float("-inf")  # what left before says nothing new
        self._silence_s = 0.0

    @property
    def out(self) -> bool:
        """Whether the scope is in an outage."""
        return self.out_since is not None

    def sound(self, sent_at: float) -> bool:
        """A sound answer came to a request that left at *sent_at*; True: it ends an outage."""
        self._failing_since = None
        self._pages = 0
        if self.out_since is None:
            self.tokens = min(FULL, self.tokens + _BACK)
            return False
        if sent_at < self._since:
            return False
        self.out_since = None
        self.tokens = _LOW + _CREDIT
        return True

    def failed(self, sent_at: float, now: float, said: str, *, page: bool = False, worked: bool = True) -> float | None:
        """A request failed: for how many seconds nothing may leave now. None: nothing changes.

        *page*: something on the way answered it. *worked*: something has worked before.
        """
        self.said = said
        if self._failing_since is None:
            self._failing_since = sent_at
        if self.out_since is None:
            self.tokens -= 1
            self._pages += page
            if self.tokens > _LOW and self._pages < _PAGES and worked:
                return None
            self.out_since, self.probes = self._failing_since, 1
            self._silence_s = _FIRST_SILENCE_S
        elif sent_at < self._since:
            return None  # it was under way when the outage was found
        else:
            self.probes += 1
            self._silence_s = min(self._silence_s * _LONGER, _LONGEST_S)
        self._since = now
        return self._silence_s

    def out_for(self, now: float) -> float:
        """Seconds since the outage began; 0 where there is none."""
        return 0.0 if self.out_since is None else now - self.out_since
