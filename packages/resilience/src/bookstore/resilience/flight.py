"""One call for all who ask for the same at the same time."""

from asyncio import CancelledError, Task, create_task, wait
from collections.abc import Hashable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bookstore.resilience import checks
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.deadline import forget_deadline
from bookstore.resilience.errors import Rejected, fresh
from bookstore.resilience.keys import KeyOf, key_of
from bookstore.resilience.policy import Call, Layer, Policy, Scope
from bookstore.resilience.tasks import abandon, reap

if TYPE_CHECKING:
    from types import TracebackType


class Flight:
    """A call that runs, and those who wait for it."""

    __slots__ = ("origin", "task", "waiters")

    task: "Task[Any]"

    def __init__(self) -> None:
        self.waiters = 0
        self.origin: TracebackType | None = None

    def answer(self) -> Any:
        """The value, or the error without the frames of others who wait."""
        error = None if self.task.cancelled() else self.task.exception()
        if error is None:
            return self.task.result()
        self.origin = self.origin or error.__traceback__
        try:
            raise fresh(error) if isinstance(error, Rejected) else error.with_traceback(self.origin)
        finally:
            error = None


@dataclass(frozen=True, eq=False)
class SingleFlight(Policy):
    """Calls with the same key share one run, and its answer or error; nothing is kept once it has ended.

    The run goes on for as long as one of them waits, whoever came first, and under no deadline but its own:
    put a `Deadline` inside.

    Args:
        key: what makes calls the same, from their arguments; by default the function and all arguments.
    """

    _: KW_ONLY
    key: KeyOf | None = None

    _flights: dict[Hashable, Flight] = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar = (20, 20)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.function("key", self.key)
        assign(self, _flights={})

    @property
    def in_flight(self) -> int:
        """How many different calls run."""
        return len(self._flights)

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Run `inner` once for all who ask meanwhile."""
        flights = self._flights

        async def fly(call: Call, key: Hashable, flight: Flight) -> Any:
            forget_deadline()  # the first caller's; others may have more time
            try:
                return await inner(call)
            finally:
                self._land(key, flight)

        async def layer(call: Call) -> Any:
            key = key_of(self.key, call, self.label)
            flight = flights.get(key)
            if flight is None:
                flight = flights[key] = Flight()
                flight.task = create_task(fly(call, key, flight))
            else:
                scope.emit("coalesced", self.label, attempt=call.attempt)
            await self._ride(flight, key)
            return flight.answer()

        return layer

    def _land(self, key: Hashable, flight: Flight) -> None:
        """Whoever comes from now on begins anew, even before all have heard how this one ended."""
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _ride(self, flight: Flight, key: Hashable) -> None:
        flight.waiters += 1
        try:
            await wait((flight.task,))
        except CancelledError:
            if flight.waiters == 1:
                self._land(key, flight)
                await reap((flight.task,))
            raise
        except GeneratorExit:
            if flight.waiters == 1:
                self._land(key, flight)
                abandon((flight.task,))
            raise
        finally:
            flight.waiters -= 1
