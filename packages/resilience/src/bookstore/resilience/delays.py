"""How long to wait before the next try.

Without jitter, clients that failed together come back together. `decorrelated` (AWS) spreads them best for
its price; `decorrelated_v2` is the formula of Polly, smoother and with a median that doubles.
"""

from dataclasses import KW_ONLY, dataclass
from math import sqrt, tanh
from typing import Literal, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.clock import Clock

Jitter: TypeAlias = Literal["full", "equal", "decorrelated", "decorrelated_v2"] | float | None


class _Step(float):
    """A delay of `decorrelated_v2`, that remembers where on the curve it ended."""

    __slots__ = ("reached",)
    reached: float


def _curve(t: float) -> float:
    return float(2.0**t) * tanh(sqrt(4.0 * t))


@dataclass(frozen=True)
class Backoff:
    """Delays that grow: `base`, `base * factor` and so on, up to `cap`, spread by `jitter`.

    Args:
        base: seconds before the second try.
        cap: the most that any delay may be, after jitter.
        factor: by what each delay grows; not used by the decorrelated kinds.
        jitter: `"full"` is anything up to the delay, `"equal"` the upper half of it, `"decorrelated"` between
            `base` and three times the previous delay, `"decorrelated_v2"` Polly's curve; a share such as
            `0.25` is the delay give or take a quarter.
    """

    base: float
    _: KW_ONLY
    cap: float
    factor: float = 2.0
    jitter: Jitter = None

    def __post_init__(self) -> None:
        checks.seconds("base", self.base)
        checks.seconds("cap", self.cap)
        checks.require(self.cap >= self.base, "cap", "at least base", self.cap)
        checks.positive("factor", self.factor)
        checks.require(self.factor >= 1, "factor", "at least 1", self.factor)
        if isinstance(self.jitter, int | float):
            checks.share("jitter", self.jitter, zero=True)
        else:
            checks.one_of("jitter", self.jitter, None, "full", "equal", "decorrelated", "decorrelated_v2")

    def delay(self, attempt: int, clock: Clock, previous: float | None = None) -> float:
        """Seconds to wait after try number `attempt` (from 1), given the delay before that try."""
        checks.count("attempt", attempt)
        try:
            return min(self._jittered(attempt, clock, previous), self.cap)
        except OverflowError:  # 2.0 ** 1024: long past any cap
            return self.cap

    def _jittered(self, attempt: int, clock: Clock, previous: float | None) -> float:
        jitter = self.jitter
        if jitter == "decorrelated_v2":
            return self._step(attempt, clock, previous)
        if jitter == "decorrelated":
            last = self.base if previous is None else max(previous, self.base)
            return self.base + clock.random() * (3.0 * last - self.base)
        try:
            plain = min(self.base * float(self.factor) ** (attempt - 1), self.cap)
        except OverflowError:
            plain = self.cap  # and jitter applies to it
        if jitter is None:
            return plain
        if jitter == "full":
            return plain * clock.random()
        if jitter == "equal":
            return plain * (0.5 + 0.5 * clock.random())
        return plain * (1.0 - jitter + 2.0 * jitter * clock.random())

    def _step(self, attempt: int, clock: Clock, previous: float | None) -> float:
        if isinstance(previous, _Step):
            left = previous.reached
        elif attempt == 1:
            left = 0.0
        else:  # nobody kept the last step: one as likely does as well
            left = _curve(attempt - 2 + clock.random())
        right = _curve(attempt - 1 + clock.random())
        # 1.4 brings the median of the first delay to `base`.
        step = _Step(min((right - left) * self.base / 1.4, self.cap))
        step.reached = right
        return step


def backoff(base: float, *, cap: float, factor: float = 2.0, jitter: Jitter = None) -> Backoff:
    """Delays that grow from `base` to `cap` seconds: see `Backoff`."""
    return Backoff(base, cap=cap, factor=factor, jitter=jitter)
