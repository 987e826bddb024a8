"""Tools for tests of code that uses this library: virtual time, and proof that nothing leaks.

Nothing here is imported by the library itself.
"""

from asyncio import CancelledError, current_task, get_running_loop
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any

from bookstore.resilience._fakeclock import FakeClock, settle_loop
from bookstore.resilience.pipeline import Pipeline

__all__ = ["FakeClock", "cancel_everywhere", "permits_at_rest", "settle_loop"]


def permits_at_rest(*things: object) -> None:
    """Assert that nobody holds a permit, waits for one, or has left a timer behind.

    Takes policies, pipelines (then all of their policies are meant) and fake clocks.
    """
    for thing in things:
        if isinstance(thing, Pipeline):
            permits_at_rest(*thing.policies)
        for what in ("in_flight", "waiting", "pending"):
            left = getattr(thing, what, 0)
            assert left == 0, f"{what} is {left} at rest: {thing!r}"  # noqa: S101 - this is for tests


async def cancel_everywhere(
    scenario: Callable[[FakeClock], Coroutine[Any, Any, object]],
    at_rest: Callable[[FakeClock], object] = permits_at_rest,
) -> int:
    """Run a scenario again and again, and cancel it at its first await, its second, and so on to its last.

    Each run gets a clock of its own, which moves by itself, and should make its policies anew or leave them
    as they were. A run is cancelled in two ways: in the moment that it suspends, and after everybody else had
    a turn, when what it waits for may just have come. After each run `at_rest` is asked whether anything
    leaked.

    Returns at how many awaits it was cancelled. A scenario that goes on after its cancellation is an
    `AssertionError`.
    """
    for late in (False, True):
        at = 1
        while await _cancel_once(scenario, at_rest, at, late=late):
            at += 1
    return at - 1


async def _cancel_once(
    scenario: Callable[[FakeClock], Coroutine[Any, Any, object]],
    at_rest: Callable[[FakeClock], object],
    at: int,
    *,
    late: bool,
) -> bool:
    clock = FakeClock()
    interruption = _Interruption(at, late=late)
    task = get_running_loop().create_task(interruption.run(scenario(clock)))
    try:
        await clock.finish(task)
    except CancelledError:
        assert interruption.happened, "cancelled before its time"  # noqa: S101 - this is for tests
    else:
        # In the last turn of its work a task may be done before a late cancellation reaches it.
        assert late or not interruption.happened, f"swallowed the cancellation at await {at}"  # noqa: S101 - as above
    at_rest(clock)
    return interruption.happened


class _Interruption:
    """Drives a coroutine, counts how often it suspends, and cancels its task at one of these points."""

    def __init__(self, at: int, *, late: bool) -> None:
        self._left = at
        self._late = late
        self.happened = False

    async def run(self, work: Coroutine[Any, Any, object]) -> None:
        await self._drive(work)

    @coroutine
    def _drive(self, work: Coroutine[Any, Any, object]) -> Generator[Any, Any, object]:
        thrown: BaseException | None = None
        while True:
            try:
                waits_for = work.send(None) if thrown is None else work.throw(thrown)
            except StopIteration as stop:
                return stop.value
            self._suspended()
            try:
                yield waits_for
                thrown = None
            except BaseException as error:  # noqa: BLE001 - whatever it is, the work is to see it
                thrown = error

    def _suspended(self) -> None:
        self._left -= 1
        task = current_task()
        if self._left == 0 and task is not None:
            self.happened = True
            if self._late:
                get_running_loop().call_soon(task.cancel)
            else:
                task.cancel()
