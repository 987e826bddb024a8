"""What a breaker remembers: the last so many calls, or those of the last so many seconds.

`Window` is the setting, `CountWindow` and `TimeWindow` are the memory. Both answer in constant time, whatever
their
length: they keep sums, and take out of them what leaves.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar, NamedTuple, Self

from bookstore.resilience import checks
from bookstore.resilience.clock import SLACK


class CountWindow:
    """The last `size` outcomes: a ring of two bits each."""

    __slots__ = ("_next", "_ring", "calls", "failures", "size", "slow")

    def __init__(self, size: int) -> None:
        self.size = size
        self._ring = bytearray(size)
        self._next = self.calls = self.failures = self.slow = 0

    def add(self, _now: float, failed: bool = False, slow: bool = False) -> None:  # noqa: FBT001, FBT002 - hot, and always called in this order
        """Take one outcome in, and let the oldest go when the ring is full."""
        at = self._next
        self._next = at + 1 if at + 1 < self.size else 0
        if self.calls < self.size:
            self.calls += 1
        gone = self._ring[at]
        if gone or failed or slow:  # seldom: most outcomes are good, and take the place of good ones
            self.failures += failed - (gone & 1)
            self.slow += slow - (gone >> 1)
            self._ring[at] = failed | slow << 1

    def expire(self, _now: float) -> None:
        """Nothing: this window doesn't know of time."""


class _Bucket(NamedTuple):
    since: float
    calls: int
    failures: int
    slow: int


class TimeWindow:
    """The outcomes of the last `seconds`, summed in `buckets` of equal width.

    A bucket leaves when the first outcome in it is as old as the window, so nothing is ever remembered for
    too long, and what is forgotten early is so by less than the width of a bucket.

    Only the sums are counted up. What is in the newest bucket follows when it is closed: the sums less what
    is in the closed ones.
    """

    __slots__ = ("_closed", "_due", "_index", "_since", "_width", "calls", "failures", "seconds", "slow")

    def __init__(self, seconds: float, buckets: int = 10) -> None:
        self.seconds = seconds
        self._width = seconds / buckets
        self._closed: deque[_Bucket] = deque()
        self._index: int = -1  # of the newest bucket, on a grid that begins at the clock's zero
        self._since = -inf  # its first outcome
        self._due = -inf  # when it must be closed, or the oldest one leaves
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, failed: bool = False, slow: bool = False) -> None:  # noqa: FBT001, FBT002 - as above
        """Take one outcome in, and let go what is too old."""
        if now >= self._due:
            self._roll(now)
        self.calls += 1
        if failed:
            self.failures += 1
        if slow:
            self.slow += 1

    def expire(self, now: float) -> None:
        """Let go what is as old as the window. An age equal to the window is too old."""
        too_old = now - self.seconds + SLACK
        if self._since <= too_old:
            self._closed.clear()
            self._since = self._due = -inf
            self._index = -1
            self.calls = self.failures = self.slow = 0
        while self._closed and self._closed[0].since <= too_old:
            _, calls, failures, slow = self._closed.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow

    def _roll(self, now: float) -> None:
        self.expire(now)
        index: int = int((now + SLACK) // self._width)
        if index != self._index:
            self._close()
            self._index = index
            self._since = now
        oldest = self._closed[0].since if self._closed else self._since
        self._due = min((index + 1) * self._width, oldest + self.seconds) - SLACK

    def _close(self) -> None:
        calls, failures, slow = self.calls, self.failures, self.slow
        for bucket in self._closed:
            calls -= bucket.calls
            failures -= bucket.failures
            slow -= bucket.slow
        if calls:
            self._closed.append(_Bucket(self._since, calls, failures, slow))


@dataclass(frozen=True, kw_only=True)
class Window:
    """How far back a breaker looks: `Window.count(100)` calls, or `Window.time(10.0)` seconds.

    In a file it is `{count = 100}` or `{time = 10.0, buckets = 10}`.
    """

    calls: int | None = None
    seconds: float | None = None
    buckets: int = 10

    spelled: ClassVar[Mapping[str, str]] = {"count": "calls", "time": "seconds"}

    def __post_init__(self) -> None:
        checks.require((self.calls is None) != (self.seconds is None), "window", "calls or seconds", self)
        if self.calls is not None:
            checks.count("window", self.calls)
        else:
            checks.seconds("window", self.seconds)
        checks.count("buckets", self.buckets)

    @classmethod
    def count(cls, calls: int) -> Self:
        """The last so many calls."""
        return cls(calls=calls)

    @classmethod
    def time(cls, seconds: float, *, buckets: int = 10) -> Self:
        """The calls of the last so many seconds, kept in so many buckets."""
        return cls(seconds=seconds, buckets=buckets)

    def memory(self) -> CountWindow | TimeWindow:
        """A fresh memory of this length."""
        if self.calls is not None:
            return CountWindow(self.calls)
        assert self.seconds is not None  # noqa: S101 - __post_init__ saw to it
        return TimeWindow(self.seconds, self.buckets)
