"""A limit for each try."""

from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

from bookstore.resilience import checks
from bookstore.resilience.clock import SYSTEM
from bookstore.resilience.cutoff import Cutoff, rest
from bookstore.resilience.errors import TimedOut
from bookstore.resilience.guard import hold, release
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer


@dataclass(frozen=True, eq=False)
class Timeout(Policy):
    """Cancel a try that takes longer than `seconds`, and raise `TimedOut`.

    It works by cancellation, so a try that never awaits can't be cut off, and one that swallows its
    cancellation and returns a value has returned a value. A plain function can't be cut off at all: it runs
    to its end, and has timed out if that came too late. A `TimeoutError` of the call's own stays what it is.

    `async with Timeout(0.4):` limits a block; one object serves any number of tasks at once. There is no way
    to write "no limit": leave the policy out.
    """

    seconds: float

    place: ClassVar[tuple[int, int]] = (80, 80)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.seconds("seconds", self.seconds)

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Set a timer for each call that waits."""
        clock, seconds, label = self.time(scope), self.seconds, self.label
        now = clock.now

        async def layer(call: Call) -> Any:
            when = now() + seconds
            work = inner(call)
            try:
                waits_for = work.send(None)
            except StopIteration as done:
                return done.value
            cutoff = Cutoff(clock, when)
            try:
                value = await rest(work, waits_for)
            except BaseException as error:
                if not cutoff.lift(error):
                    raise
                scope.emit("timeout", label, attempt=call.attempt, elapsed=seconds, verdict="fail")
                raise TimedOut(label, seconds) from error
            cutoff.lift(None)
            return value

        return layer

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same for a plain function, told at its end."""
        clock, seconds, label = self.time(scope), self.seconds, self.label

        def layer(call: Call) -> Any:
            started = clock.now()
            value = inner(call)
            elapsed = clock.now() - started
            if elapsed > seconds:
                scope.emit("timeout", label, attempt=call.attempt, elapsed=elapsed, verdict="fail")
                raise TimedOut(label, seconds)
            return value

        return layer

    async def __aenter__(self) -> Self:
        clock = self.clock or SYSTEM
        hold(self, Cutoff(clock, clock.now() + self.seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if release(self).lift(error):
            raise TimedOut(self.label, self.seconds) from error
