"""The only door to time, sleep and chance.

Every policy asks a `Clock` and nothing else, so a test that hands in `bookstore.resilience.testing.FakeClock`
decides when time passes and which way the dice fall. A test of this package walks the syntax trees of all
other modules and fails on any direct use of `time`, `random`, `loop.time` or `asyncio.sleep`.
"""

import random
import time
from asyncio import get_running_loop
from asyncio import sleep as _sleep
from collections.abc import Callable
from typing import Final, Protocol

SLACK: Final = 1e-9
"""A nanosecond: the most that sums of seconds in floating point may be off before a comparison counts."""


class Handle(Protocol):
    """A timer that has been set."""

    def cancel(self) -> None:
        """Forget the timer. Harmless when it has already fired."""


class Clock(Protocol):
    """What policies need to know of the world.

    `now` is monotonic and in seconds; its zero means nothing. `wall` is seconds since 1970 and serves only to
    read dates that others wrote, such as an HTTP `Retry-After`.
    """

    def now(self) -> float:
        """Monotonic seconds."""
        ...

    def wall(self) -> float:
        """Seconds since 1970, for dates from outside. Never used to measure a span."""
        ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    async def sleep(self, seconds: float, /) -> None:
        """Let others run for that long."""

    def call_at(self, when: float, fn: Callable[[], object]) -> Handle:
        """Call `fn` once `now` has reached `when`, from the running loop."""
        ...


class SystemClock:
    """The real thing. It holds nothing, least of all a loop, so one serves every loop and thread."""

    __slots__ = ()

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    random = staticmethod(random.random)
    pause = staticmethod(time.sleep)
    sleep = staticmethod(_sleep)

    def call_at(self, when: float, fn: Callable[[], object]) -> Handle:
        """Set a timer on the running loop, whatever that loop takes for its own zero."""
        return get_running_loop().call_later(max(0.0, when - time.monotonic()), fn)

    def __repr__(self) -> str:
        return "SystemClock()"


SYSTEM: Final[Clock] = SystemClock()


def pause(clock: Clock, seconds: float) -> None:
    """Block this thread for that long: what `sleep` is to the synchronous path.

    A clock may have a `pause` of its own, as a fake one has; the real thing serves those that have none.
    """
    block: Callable[[float], None] = getattr(clock, "pause", SystemClock.pause)
    block(seconds)


def dice(seed: int) -> Callable[[], float]:
    """A source of chance that repeats itself, for fake clocks and benchmarks."""
    return random.Random(seed).random  # noqa: S311 - jitter, not secrets
