"""A limit for calls that run at the same time, so that one slow dependency can't take all of a process."""

from dataclasses import KW_ONLY, dataclass, field
from threading import Lock
from typing import Any, ClassVar, Final

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.errors import BulkheadFull
from bookstore.resilience.guard import Guard
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer, reject
from bookstore.resilience.settings import settings_of
from bookstore.resilience.slots import Slots

QUEUE: Final = 64
"""How many may wait where only a `wait` is given."""


class SlotPermit:
    """A place, given back once however the call ends."""

    __slots__ = ("_slots",)

    def __init__(self, slots: Slots) -> None:
        self._slots: Slots | None = slots

    def drop(self) -> None:
        """Give the place back."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.leave()

    def ok(self, *, elapsed: float | None = None) -> None:  # noqa: ARG002 - every permit takes it
        """Give the place back."""
        self.drop()

    def fail(self, error: BaseException | None = None, *, elapsed: float | None = None) -> None:  # noqa: ARG002
        """Give the place back."""
        self.drop()


@dataclass(frozen=True, eq=False)
class Bulkhead(Guard):
    """At most `limit` calls at a time; others wait in line, first come first served, or get `BulkheadFull`.

    Args:
        limit: calls at a time. 0 lets none in, for a dependency that is switched off.
        queue: how many may wait. By default none, or 64 where `wait` is given.
        wait: seconds that one may wait. By default as long as it takes, which a `Deadline` ends.
    """

    limit: int
    _: KW_ONLY
    queue: int | None = None
    wait: float | None = None

    _slots: Slots = field(default=LATER, init=False, repr=False, compare=False)
    _clock: Clock = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar[tuple[int, int]] = (70, 70)
    adaptable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("limit", self.limit, least=0)
        if self.wait is not None:
            checks.seconds("wait", self.wait, zero=True)
        if self.queue is not None:
            checks.count("queue", self.queue, least=0)
        assign(self, _slots=Slots(self.limit, self._places()), _clock=self.clock or SYSTEM)

    def _places(self) -> int:
        return (QUEUE if self.wait else 0) if self.queue is None else self.queue

    @property
    def in_flight(self) -> int:
        """How many calls run."""
        return self._slots.in_flight

    @property
    def waiting(self) -> int:
        """How many calls stand in line."""
        return self._slots.waiting

    def resize(self, limit: int) -> None:
        """Change the limit. Fewer places cancel nobody; more places let those in who wait."""
        checks.count("limit", limit, least=0)
        assign(self, limit=limit)
        self._slots.resize(limit)

    def acquire(self) -> SlotPermit:
        """Take a place now, or raise `BulkheadFull`."""
        if not self._slots.take():
            raise BulkheadFull(self.label)
        return SlotPermit(self._slots)

    async def admit(self) -> SlotPermit:
        """Take a place, waiting for it as the settings allow."""
        if not await self._slots.wait(self._clock, self.wait):
            raise BulkheadFull(self.label)
        return SlotPermit(self._slots)

    def adapt(self, new: Policy) -> None:
        """Take over the settings of another bulkhead; calls that run or wait go on."""
        assign(self, **settings_of(new))
        self._slots.queue = self._places()
        self._slots.resize(self.limit)

    def join(self, scope: Scope) -> None:
        """Take the pipeline's clock."""
        assign(self, _clock=self.time(scope))

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Hold a place for as long as the call runs."""
        slots, clock, label = self._slots, self.time(scope), self.label

        async def layer(call: Call) -> Any:
            if not slots.take() and not await slots.wait(clock, self.wait):
                raise reject(scope, label, BulkheadFull(label), call.attempt)
            try:
                return await inner(call)
            finally:
                slots.leave()

        return layer

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same around a plain function, which can't wait in line: with no free place it is refused."""
        slots, label = self._slots, self.label
        lock = Lock()  # plain functions may be called by threads

        def layer(call: Call) -> Any:
            with lock:
                admitted = slots.take()
            if not admitted:
                raise reject(scope, label, BulkheadFull(label), call.attempt)
            try:
                return inner(call)
            finally:
                with lock:
                    slots.leave()

        return layer
