"""How many retries a service may add to the calls that it makes anyway.

Retries on each of three layers turn one failure into 27 calls, just when the dependency can bear them least.
A budget bounds the sum: a share of the first tries, and a small reserve so that a quiet service may still
retry.
"""

from dataclasses import dataclass, field

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import SLACK, SYSTEM, Clock
from bookstore.resilience.window import TimeWindow


@dataclass(frozen=True, eq=False)
class Budget:
    """A shared allowance for retries and hedges.

    Args:
        ratio: retries for each first try: 0.2 lets one in five be retried. 0 leaves the reserve alone.
        reserve: retries a second that are always there, whatever the traffic. With 0 and 0 there are none.
        ttl: seconds after which a first try, and a retry, no longer counts.
        clock: where time comes from; a pipeline hands its own down.
    """

    ratio: float = 0.2
    reserve: float = 10.0
    ttl: float = 10.0
    clock: Clock | None = field(default=None, repr=False, compare=False)

    _deposits: TimeWindow = field(default=LATER, init=False, repr=False, compare=False)
    _spent: TimeWindow = field(default=LATER, init=False, repr=False, compare=False)
    _clock: Clock = field(default=LATER, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checks.positive("ratio", self.ratio, zero=True)
        checks.positive("reserve", self.reserve, zero=True)
        checks.seconds("ttl", self.ttl)
        checks.clock(self.clock)
        assign(self, _deposits=TimeWindow(self.ttl), _spent=TimeWindow(self.ttl), _clock=self.clock or SYSTEM)

    def join(self, clock: Clock) -> None:
        """Take the clock of a pipeline, unless one was given."""
        if self.clock is None:
            assign(self, _clock=clock)

    def deposit(self) -> None:
        """A call was made for the first time."""
        self._deposits.add(self._clock.now())

    def withdraw(self) -> bool:
        """Take leave for one more try. False when the budget is spent: then let the error stand."""
        if self.balance < 1.0 - SLACK:
            return False
        self._spent.add(self._clock.now())
        return True

    @property
    def balance(self) -> float:
        """How many retries there are."""
        now = self._clock.now()
        self._deposits.expire(now)
        self._spent.expire(now)
        return self._deposits.calls * self.ratio + self.reserve * self.ttl - self._spent.calls
