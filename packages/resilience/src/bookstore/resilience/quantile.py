"""How long calls usually take, so that a hedge can tell when one takes unusually long."""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import KW_ONLY, dataclass
from math import ceil
from typing import Final

from bookstore.resilience import checks
from bookstore.resilience.checks import assign

WINDOW: Final = 200


@dataclass(frozen=True)
class Percentile:
    """A share of calls by latency: see `percentile`."""

    q: float
    _: KW_ONLY
    warmup: int = 20
    window: int | None = None

    def __post_init__(self) -> None:
        checks.share("q", self.q, whole=False)  # at 1 a single outlier decides
        checks.count("warmup", self.warmup)
        if self.window is None:
            assign(self, window=max(WINDOW, self.warmup))
        checks.count("window", self.window)
        checks.require(self.most >= self.warmup, "window", "at least warmup", self.window)

    @property
    def most(self) -> int:
        """How many latencies are kept."""
        return self.window or WINDOW


def percentile(q: float, warmup: int = 20, *, window: int | None = None) -> Percentile:
    """The latency that a share `q` of the last `window` calls kept within; none before `warmup` calls.

    A share is more than 0 and less than 1: 0.95, not 95. By default the last 200 calls, or `warmup` if that
    is more.
    """
    return Percentile(q, warmup=warmup, window=window)


class Latencies:
    """The last so many latencies, in order of time and in order of size."""

    __slots__ = ("_order", "_recent", "_rule")

    def __init__(self, rule: Percentile) -> None:
        self._rule = rule
        self._recent: deque[float] = deque()
        self._order: list[float] = []

    def add(self, seconds: float) -> None:
        """Take one latency in; the oldest leaves when the window is full."""
        if len(self._recent) == self._rule.most:
            del self._order[bisect_left(self._order, self._recent.popleft())]
        self._recent.append(seconds)
        insort(self._order, seconds)

    @property
    def value(self) -> float:
        """The percentile by nearest rank; infinite while too few calls are known."""
        known = len(self._order)
        return (
            self._order[ceil(self._rule.q * known - 1e-9) - 1] if known >= self._rule.warmup else float("inf")
        )
