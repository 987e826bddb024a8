"""Where rate limits are counted: what a store has to offer, and the one of this process."""

from threading import Lock
from typing import NamedTuple, Protocol, TypeVar

from bookstore.resilience.clock import SLACK, SYSTEM, Clock
from bookstore.resilience.line import Line
from bookstore.resilience.policy import Scope
from bookstore.resilience.quota import Meter, Quota

R_co = TypeVar("R_co", covariant=True)


class Decision(NamedTuple):
    """The answer to one request for room.

    Attributes:
        allowed: whether it was granted, and charged.
        remaining: what could still be spent right now.
        retry_after: seconds until the same request would be granted; 0 when it was.
        reset_after: seconds until the whole quota is there again.
    """

    allowed: bool
    remaining: int
    retry_after: float
    reset_after: float

    @property
    def degraded(self) -> bool:
        """Whether the shared store was away, and what to do without it decided. No fifth value."""
        return False


class Makeshift(Decision):
    """The answer of an outage policy."""

    __slots__ = ()

    @property
    def degraded(self) -> bool:
        """The store was away."""
        return True


class Desk(Protocol[R_co]):
    """Where one limit asks for room in its store."""

    def take(self, key: str, cost: int) -> R_co:
        """Room now, or none."""
        ...

    def take_now(self, key: str, cost: int) -> Decision | None:
        """Room now, or none, if that is known without asking anybody; else `None`, and nothing is spent."""
        ...

    async def enter(self, key: str, cost: int, wait: float) -> Decision:
        """Take room, standing in line for it as long as `wait`."""
        ...

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, and tell its sinks what happens."""


class Store(Protocol[R_co]):
    """Where the counts live: `Local()` or `RedisLimits`."""

    def open(self, quota: Quota, name: str, clock: Clock | None) -> Desk[R_co]:
        """The counts of this quota. Limits of the same name and quota share them."""
        ...


class LocalDesk:
    """The counts of one quota in this process, and the lines of those who wait."""

    def __init__(self, meter: Meter, clock: Clock | None) -> None:
        self.meter = meter
        self.line = Line(meter, clock or SYSTEM)
        self.lock = Lock()  # for plain functions, that several threads may call
        self._own_clock = clock is not None

    def join(self, scope: Scope) -> None:
        """Use the clock of this scope, unless the limit brought one."""
        if not self._own_clock:
            self.line.clock = scope.clock

    def take(self, key: str, cost: int, wait: float = 0.0) -> Decision:
        """Room now, or reserved for later, or none."""
        meter, now = self.meter, self.line.clock.now()
        delay = meter.reserve(key, cost, now, wait)
        return Decision(
            allowed=delay <= wait + SLACK,
            remaining=meter.remaining(key, now),
            retry_after=round(delay, 9),
            reset_after=round(meter.reset_after(key, now), 9),
        )

    def take_now(self, key: str, cost: int) -> Decision:
        """Room now, or none: it is always known here."""
        return self.take(key, cost)

    async def enter(self, key: str, cost: int, wait: float) -> Decision:
        """Take room, standing in line for it as long as `wait`."""
        decision = self.take(key, cost, wait)
        if decision.allowed and decision.retry_after:
            await self.line.stand(key, cost, decision.retry_after)
        return decision


class Local:
    """Counts in this process. Limits that were given the same object, name and quota share their counts."""

    __slots__ = ("_desks",)

    def __init__(self) -> None:
        self._desks: dict[tuple[Quota, str], LocalDesk] = {}

    def open(self, quota: Quota, name: str, clock: Clock | None) -> LocalDesk:
        """The counts of this quota under this name."""
        desk = self._desks.get((quota, name))
        if desk is None:
            desk = self._desks[quota, name] = LocalDesk(quota.meter(), clock)
        return desk

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Local)  # as a setting: what was counted is state

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Local()"
