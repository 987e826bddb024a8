"""End a task's work at an instant, and tell that end from every other cancellation.

What `asyncio.timeout` does for the loop's clock, for any `Clock`: the same care about who cancelled. A
cancellation from outside in the same tick wins, and `task.cancelling()` is afterwards what it was before.
"""

from asyncio import CancelledError, current_task
from collections.abc import Generator
from types import coroutine
from typing import Any, Final, cast

from bookstore.resilience.clock import Clock

_LATE: Final = 0.002  # seconds by which a timer may ring late before that says something of this process
_MOMENT: Final = 0.005  # seconds in which a reply that has come is read
_MOMENTS: Final = 5


class Cutoff:
    """Cancels the current task at `when`, unless it is lifted before."""

    __slots__ = ("_before", "_fired", "_handle", "_task")

    def __init__(self, clock: Clock, when: float) -> None:
        task = current_task()
        if task is None:
            msg = "a time limit needs a running task to cancel"
            raise RuntimeError(msg)
        self._task = task
        self._before = task.cancelling()
        self._fired = False
        self._handle = clock.call_at(when, self._fire)

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()

    def lift(self, error: BaseException | None) -> bool:
        """The work is over. True when `error` is the cancellation that this cutoff alone asked for."""
        self._handle.cancel()
        if not self._fired:
            return False
        return self._task.uncancel() <= self._before and isinstance(error, CancelledError)


class Patience(Cutoff):
    """Ends a round trip at its time; but for a process that was itself held up, a moment later.

    A timer that rings late says that this process had no turn meanwhile. The reply may lie in the socket
    already, and loops look at their timers first: Redis isn't away because we were.
    """

    __slots__ = ("_clock", "_moments", "_when")

    def __init__(self, clock: Clock, when: float) -> None:
        self._clock = clock
        self._when = when
        self._moments = _MOMENTS
        super().__init__(clock, when)

    def _fire(self) -> None:
        now = self._clock.now()
        if now - self._when > _LATE and self._moments:
            self._moments -= 1
            self._when = now + _MOMENT
            self._handle = self._clock.call_at(self._when, self._fire)
        else:
            super()._fire()


@coroutine
def rest(work: Any, waits_for: Any) -> Generator[Any, Any, Any]:
    """Await a coroutine that was begun by `work.send(None)`, and then waited for something.

    Most calls of a test, and many of a cache, end without waiting for anything: whoever begins a call by hand
    sets a timer only for those that wait. A timer costs as much as three policies.
    """
    while True:
        try:
            yield waits_for
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - a cancellation as a rule: the work is to see it first
            try:
                waits_for = work.throw(error)
            except StopIteration as done:
                return done.value
        else:
            return cast("Any", (yield from work))
