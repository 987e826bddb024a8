"""What a breaker remembers: the last so many calls, or those of the last so many seconds.

`Window` is the setting, `CountWindow` and `TimeWindow` are the memory. Both answer in constant time, whatever
their
length: they keep sums, and take out of them what leaves.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from bookstore.resilience import checks
from bookstore.resilience.clock import SLACK


class CountWindow:
    """The last `size` outcomes: a ring of two bits each."""

    __slots__ = ("_next", "_ring", "calls", "failures", "size", "slow")

    def __init__(self, size: int) -> None:
        self.size = size
        self._ring = bytearray(size)
        self._next = self.calls = self.failures = self.slow = 0

    def add(self, _now: float, failed: bool, slow: bool) -> None:  # noqa: FBT001 - hot, and always called in this order
        """Take one outcome in, and let the oldest go when the ring is full."""
        at = self._next
        if self.calls == self.size:
            gone = self._ring[at]
            self.failures -= gone & 1
            self.slow -= gone >> 1
        else:
            self.calls += 1
        self.failures += failed
        self.slow += slow
        self._ring[at] = failed | slow << 1
        self._next = at + 1 if at + 1 < self.size else 0

    def expire(self, _now: float) -> None:
        """Nothing: this window doesn't know of time."""


class _Bucket:
    __slots__ = ("calls", "failures", "index", "since", "slow")

    def __init__(self, index: int, since: float) -> None:
        self.index = index
        self.since = since
        self.calls = self.failures = self.slow = 0


class TimeWindow:
    """The outcomes of the last `seconds`, summed in `buckets` of equal width.

    A bucket leaves when the first outcome in it is as old as the window, so nothing is ever remembered for
    too long, and what is forgotten early is so by less than the width of a bucket.
    """

    __slots__ = ("_buckets", "_width", "calls", "failures", "seconds", "slow")

    def __init__(self, seconds: float, buckets: int = 10) -> None:
        self.seconds = seconds
        self._width = seconds / buckets
        self._buckets: deque[_Bucket] = deque()
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, failed: bool = False, slow: bool = False) -> None:  # noqa: FBT001, FBT002 - as above
        """Take one outcome in, and let go what is too old."""
        self.expire(now)
        index = int((now + SLACK) // self._width)
        if not self._buckets or self._buckets[-1].index != index:
            self._buckets.append(_Bucket(index, now))
        bucket = self._buckets[-1]
        bucket.calls += 1
        bucket.failures += failed
        bucket.slow += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def expire(self, now: float) -> None:
        """Let go what is as old as the window. An age equal to the window is too old."""
        buckets = self._buckets
        while buckets and buckets[0].since <= now - self.seconds + SLACK:
            gone = buckets.popleft()
            self.calls -= gone.calls
            self.failures -= gone.failures
            self.slow -= gone.slow


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
