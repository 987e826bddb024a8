"""Places for calls that run at the same time, and the line of those that wait for one.

First come, first served: a place that becomes free goes straight to whoever has waited longest, so that no
newcomer can step in between. Somebody who stops waiting leaves the line; when the place was already theirs,
the next one has it.
"""

from asyncio import Future, get_running_loop
from collections import OrderedDict
from functools import partial
from typing import TypeAlias

from bookstore.resilience.clock import Clock

_Waiter: TypeAlias = Future[bool]


class Slots:
    """`limit` places. Adaptive limits change it while calls run."""

    __slots__ = ("_line", "in_flight", "limit", "queue")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit = limit
        self.queue = queue
        self.in_flight = 0
        self._line: OrderedDict[_Waiter, None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    def take(self) -> bool:
        """Take a place if one is free. Nobody can be waiting then: a free place goes to the line first."""
        if self.in_flight < self.limit:
            self.in_flight += 1
            return True
        return False

    async def wait(self, clock: Clock, seconds: float | None) -> bool:
        """Take a place, waiting for it at most that long. False: the line is full, or the wait was over."""
        if self.take():
            return True
        if len(self._line) >= self.queue or (seconds is not None and seconds <= 0):
            return False
        waiter: _Waiter = get_running_loop().create_future()
        self._line[waiter] = None
        timer = (
            None if seconds is None else clock.call_at(clock.now() + seconds, partial(self._give_up, waiter))
        )
        try:
            return await waiter
        except BaseException:
            if self._line.pop(waiter, True) is True and not waiter.cancelled() and waiter.result():
                self.leave()  # the place came in the same tick as the cancellation
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def leave(self) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self.admit()

    def resize(self, limit: int) -> None:
        """Have so many places. Calls that run stay, and while they are too many nobody enters."""
        self.limit = limit
        self.admit()

    def admit(self) -> None:
        """Let in from the line who fits."""
        while self._line and self.in_flight < self.limit:
            waiter, _ = self._line.popitem(last=False)
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(True)

    def _give_up(self, waiter: _Waiter) -> None:
        if self._line.pop(waiter, True) is None and not waiter.done():
            waiter.set_result(False)
