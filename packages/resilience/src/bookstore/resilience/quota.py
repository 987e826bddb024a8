"""How much may be spent in which time, and the two ways to count it.

`Gcra` is a token bucket that needs one number a key and no timer: the time at which the bucket will be full
again. `SlidingLog` remembers the instant of each unit spent: exact over any window, for a memory of `limit`
numbers a key. Both are fed with `now`, charge only what they grant, and can grant something for later: a
reservation, so that a queue needs no second order beside theirs.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal, Protocol, TypeVar

from bookstore.resilience import checks
from bookstore.resilience.checks import assign
from bookstore.resilience.clock import SLACK

S = TypeVar("S")

_CROWD: Final = 1024  # keys from which on a meter looks for those that it may forget


@dataclass(frozen=True)
class Quota:
    """So many calls in so much time.

    Args:
        limit: calls (or units of cost) per period. Fractions are fine for `"gcra"`.
        per: seconds of the period.
        burst: what may be spent at once after a rest; `limit` unless given. A sliding log has no bursts
            beside its limit.
        algorithm: `"gcra"` spreads the limit evenly and lets bursts through; `"sliding_log"` never lets more
            than `limit` pass within any `per` seconds.
    """

    limit: float
    _: KW_ONLY
    per: float = 1.0
    burst: int | None = None
    algorithm: Literal["gcra", "sliding_log"] = "gcra"

    def __post_init__(self) -> None:
        checks.positive("limit", self.limit)
        checks.seconds("per", self.per)
        checks.one_of("algorithm", self.algorithm, "gcra", "sliding_log")
        if self.burst is None:
            assign(self, burst=max(1, int(self.limit)))
        checks.count("burst", self.burst)
        if self.algorithm == "sliding_log":
            checks.require(self.limit == int(self.limit), "limit", "whole for a sliding log", self.limit)
            checks.require(self.burst == self.limit, "burst", "the limit for a sliding log", self.burst)

    @property
    def most(self) -> int:
        """What can be spent at once: no single cost may be higher."""
        return self.burst or 1

    def check(self, cost: int) -> None:
        """A cost that could never be granted is a mistake, not a wait."""
        if type(cost) is int and 0 < cost <= self.most:
            return  # as nearly always
        checks.count("cost", cost)
        checks.require(cost <= self.most, "cost", f"at most the burst of {self.most}", cost)

    def meter(self) -> "Meter":
        """A fresh count of this quota."""
        return SlidingLog(self) if self.algorithm == "sliding_log" else Gcra(self)


class Meter(Protocol):
    """What counts a quota, for any number of keys."""

    def reserve(self, key: str, cost: int, now: float, wait: float = 0.0) -> float:
        """Seconds until there is room behind all reservations. Charged only when that's within `wait`."""
        ...

    def give_back(self, key: str, cost: int) -> None:
        """Undo the last reservations of that sum."""

    def remaining(self, key: str, now: float) -> int:
        """What could be spent right now."""
        ...

    def reset_after(self, key: str, now: float) -> float:
        """Seconds until everything is there again."""
        ...


class Keys(dict[str, S]):
    """State by key. Keys at rest are forgotten in bulk, now and then; keys that still matter never are."""

    __slots__ = ("_at_rest", "_crowd")

    def __init__(self, at_rest: Callable[[S, float], bool]) -> None:
        self._at_rest = at_rest
        self._crowd = _CROWD

    def welcome(self, now: float) -> None:
        """Make room before a new key comes in."""
        if len(self) >= self._crowd:
            for key in [key for key, state in self.items() if self._at_rest(state, now)]:
                del self[key]
            self._crowd = max(_CROWD, 2 * len(self))


class Gcra:
    """The generic cell rate algorithm: per key, the time at which nothing spent counts any more."""

    __slots__ = ("_full", "_span", "_step")

    def __init__(self, quota: Quota) -> None:
        self._step = quota.per / quota.limit  # seconds that one unit takes to come back
        self._span = quota.most * self._step
        self._full: Keys[float] = Keys(lambda full, now: full <= now)

    def reserve(self, key: str, cost: int, now: float, wait: float = 0.0) -> float:
        """Seconds until there is room. Charged only when that's within `wait`."""
        full = self._full.get(key)
        if full is None:
            self._full.welcome(now)
            full = now
        elif full < now:
            full = now
        full += cost * self._step
        delay = full - self._span - now
        if delay <= SLACK:
            self._full[key] = full
            return 0.0
        if delay <= wait + SLACK:
            self._full[key] = full
        return delay

    def give_back(self, key: str, cost: int) -> None:
        """Undo the last reservations of that sum."""
        self._full[key] -= cost * self._step

    def remaining(self, key: str, now: float) -> int:
        """What could be spent right now."""
        return max(0, int((self._span - self.reset_after(key, now) + SLACK) / self._step))

    def reset_after(self, key: str, now: float) -> float:
        """Seconds until everything is there again."""
        return max(0.0, self._full.get(key, now) - now)


class SlidingLog:
    """Per key, the instants at which the units still in the window were spent, or will be."""

    __slots__ = ("_limit", "_logs", "_per")

    def __init__(self, quota: Quota) -> None:
        self._limit = quota.most
        self._per = quota.per
        self._logs: Keys[deque[float]] = Keys(lambda log, now: not log or log[-1] + self._per <= now)

    def reserve(self, key: str, cost: int, now: float, wait: float = 0.0) -> float:
        """Seconds until there is room. Charged only when that's within `wait`."""
        log = self._logs.get(key)
        if log is None:
            self._logs.welcome(now)
            log = self._logs[key] = deque()
        self._expire(log, now)
        over = (
            len(log) + cost - self._limit
        )  # so many must leave first: those who stand in line, among others
        due = max(now, log[over - 1] + self._per) if over > 0 else now
        delay = due - now
        if delay <= SLACK:
            delay = 0.0
        if delay <= wait + SLACK:
            log.extend([due] * cost)
        return delay

    def give_back(self, key: str, cost: int) -> None:
        """Undo the last reservations of that sum."""
        log = self._logs[key]
        for _ in range(cost):
            log.pop()

    def remaining(self, key: str, now: float) -> int:
        """What could be spent right now."""
        log = self._logs.get(key, ())
        return max(0, self._limit - sum(1 for spent in log if spent > now - self._per + SLACK))

    def reset_after(self, key: str, now: float) -> float:
        """Seconds until everything is there again."""
        log = self._logs.get(key)
        return max(0.0, log[-1] + self._per - now) if log else 0.0

    def _expire(self, log: deque[float], now: float) -> None:
        edge = now - self._per + SLACK
        while log and log[0] <= edge:
            log.popleft()
