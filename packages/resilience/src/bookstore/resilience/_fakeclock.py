"""A clock that stands still until a test moves it."""

from asyncio import Future, ensure_future, get_running_loop
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from heapq import heappop, heappush
from itertools import count
from types import coroutine
from typing import TypeVar

from bookstore.resilience.clock import dice

T = TypeVar("T")

_EPOCH = 1_700_000_000.0
_TURNS = 10_000


@coroutine
def turn() -> Generator[None]:
    """Let the loop run once."""
    yield


async def settle_loop() -> None:
    """Let every task run until all of them wait for something: time, most likely."""
    ready = getattr(get_running_loop(), "_ready", None)
    for spins in range(_TURNS):
        await turn()
        if ready is None:
            if spins > 50:  # noqa: PLR2004 - a loop that hides its queue: more turns than any chain of wake-ups here
                return
        elif not ready:
            return


def _wake(woken: Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


class Timer:
    """One entry of a `FakeClock`."""

    __slots__ = ("clock", "fn", "when")

    def __init__(self, clock: "FakeClock", when: float, fn: Callable[[], object]) -> None:
        self.clock = clock
        self.when = when
        self.fn: Callable[[], object] | None = fn

    def cancel(self) -> None:
        """Forget the timer. Harmless when it has already fired."""
        if self.fn is not None:
            self.fn = None
            self.clock.pending -= 1

    def fire(self, when: float) -> bool:
        """Do it now, unless it was cancelled."""
        fn = self.fn
        if fn is None:
            return False
        self.cancel()
        self.clock.reach(when)
        fn()
        return True


class FakeClock:
    """Time that only a test moves.

    `tick(s)` moves it and wakes nobody. `await advance(s)` moves it from timer to timer: each fires with
    `now()` equal to the instant it was set for, and all tasks run until they wait again before the next one
    fires. Those of the same instant fire together, as on a loop: then the tasks run.

    Chance is seeded; assign `clock.random = lambda: 0.5` to decide every throw.

    Attributes:
        pending: timers that are set and have neither fired nor been cancelled. 0 when nothing leaked.
    """

    random: Callable[[], float]

    def __init__(self, start: float = 1_000.0, *, seed: int = 0) -> None:
        self._now = start
        self._start = start
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = count()
        self.pending = 0
        if not hasattr(self, "random"):  # a subclass may bring its own
            self.random = dice(seed)

    def now(self) -> float:
        """Monotonic seconds, from a whole second on."""
        return self._now

    def wall(self) -> float:
        """Seconds since 1970: a fixed date, and what has passed since this clock was made."""
        return _EPOCH + self._now - self._start

    def reach(self, when: float) -> None:
        """Be at that time, unless it is past."""
        self._now = max(self._now, when)

    def tick(self, seconds: float) -> None:
        """Move time on, and wake nobody: what is due fires at the next `advance`."""
        # To the nanosecond, so that ten ticks of .1 are one second.
        self._now = round(self._now + seconds, 9)

    async def advance(self, seconds: float) -> None:
        """Move time on, timer by timer, and let all tasks run after each."""
        until = round(self._now + seconds, 9)
        await settle_loop()
        while self._timers and self._timers[0][0] <= until:
            when = self._timers[0][0]
            due: list[Timer] = []
            while self._timers and self._timers[0][0] == when:
                due.append(heappop(self._timers)[2])
            fired = [timer.fire(when) for timer in due]
            if any(fired):
                await settle_loop()
        self.reach(until)
        await settle_loop()

    async def finish(self, work: Awaitable[T]) -> T:
        """Move time on, from timer to timer, for as long as `work` needs, and give its result.

        Raises `RuntimeError` when it waits and no timer is set: nothing would ever wake it.
        """
        task = ensure_future(work)
        try:
            await self.advance(0)
            while not task.done():
                if not self.pending:
                    msg = f"{task!r} waits for something that no timer brings"
                    raise RuntimeError(msg)
                await self.advance(max(0.0, self._next() - self._now))
        finally:
            task.cancel()
            await settle_loop()
        return await task

    def _next(self) -> float:
        while self._timers[0][2].fn is None:
            heappop(self._timers)
        return self._timers[0][0]

    def call_at(self, when: float, fn: Callable[[], object]) -> Timer:
        """Set a timer. It fires inside `advance`."""
        timer = Timer(self, when, fn)
        heappush(self._timers, (round(when, 9), next(self._order), timer))
        self.pending += 1
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait until a test has moved time on."""
        if seconds <= 0:
            await turn()
            return
        woken = get_running_loop().create_future()
        timer = self.call_at(self._now + seconds, partial(_wake, woken))
        try:
            await woken
        finally:
            timer.cancel()

    def pause(self, seconds: float) -> None:
        """What blocks a thread in life moves time in a test."""
        self.tick(seconds)
