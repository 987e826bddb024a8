"""Three ways to find out how many calls a dependency can take at a time, after Netflix's concurrency-limits.

Each is told how every call ended, by `sample(rtt, inflight, verdict)`, and answers with `limit`. `AIMD` looks
at failures, `Vegas` at how far latency is above the lowest one seen, `Gradient2` at how far it is above its
own long average.

One thing differs from the originals: a failure lowers the limit and says nothing about latency. A dependency
that refuses within a millisecond would otherwise pass for a fast one, and be sent more.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, log10
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from bookstore.resilience import checks
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.outcome import Verdict

if TYPE_CHECKING:
    Curve: TypeAlias = int | Callable[[int], int]
    """A number, or what gives one for the present limit."""
    Step: TypeAlias = Callable[[float], float]
    """What gives the next limit for the present one."""
else:
    Curve = Step = Any  # decoders such as msgspec read annotations, and can't express these unions


@dataclass(kw_only=True, eq=False)
class Limit(ABC):
    """A limit that learns, and stays from `min` to `max`."""

    initial: int = 20
    min: int = 1
    max: int = 200

    _estimate: float = field(default=0.0, init=False, repr=False)

    kinds: ClassVar[dict[str, type["Limit"]]] = {}

    def __init_subclass__(cls) -> None:
        Limit.kinds[cls.__name__.lower()] = cls

    def __post_init__(self) -> None:
        checks.count("min", self.min)
        checks.count("max", self.max)
        checks.require(self.max >= self.min, "max", "at least min", self.max)
        checks.count("initial", self.initial)
        checks.require(self.min <= self.initial <= self.max, "initial", "from min to max", self.initial)
        self._estimate = float(self.initial)

    @classmethod
    def parse(cls, value: object) -> "Limit":
        """A limit from plain settings, such as `{"kind": "vegas", "initial": 10}`."""
        if isinstance(value, Limit):
            return value
        checks.require(isinstance(value, Mapping), "limit", "a limit or its settings", value)
        settings: dict[str, Any] = dict(value)  # type: ignore[call-overload] # a mapping, as was checked
        kind = settings.pop("kind", "gradient2")
        checks.one_of("kind", kind, *Limit.kinds)
        try:
            return Limit.kinds[kind](**settings)
        except TypeError as error:
            raise ValueError(f"limit: {error}") from None

    @property
    def limit(self) -> int:
        """Calls at a time."""
        return int(self._estimate)

    def sample(self, rtt: float, inflight: int, verdict: Verdict = "ok") -> None:
        """A call ended that took `rtt` seconds and began with `inflight` calls running, itself included."""
        if verdict == "ignore":
            return
        estimate = self._failed() if verdict == "fail" else self._succeeded(rtt, inflight)
        self._estimate = max(float(self.min), min(float(self.max), estimate))

    @abstractmethod
    def _failed(self) -> float:
        """The estimate after a call that failed."""

    @abstractmethod
    def _succeeded(self, rtt: float, inflight: int) -> float:
        """The estimate after a call that took `rtt` seconds."""


def _check_curve(name: str, curve: object) -> None:
    checks.plain(name, curve)
    if not callable(curve):
        checks.count(name, curve, least=0)


@dataclass(kw_only=True, eq=False)
class AIMD(Limit):
    """One more while all is well and the limit is in use, a share less after each failure.

    Args:
        initial: the limit to begin with.
        min: the lowest it gets.
        max: the highest it gets.
        ratio: what is left of the limit after a failure.
        timeout: seconds from which on a success counts as a failure.
    """

    ratio: float = 0.9
    timeout: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("ratio", self.ratio)
        checks.require(self.ratio < 1, "ratio", "less than 1", self.ratio)
        checks.seconds("timeout", self.timeout)

    def _failed(self) -> float:
        return float(int(self._estimate * self.ratio))

    def _succeeded(self, rtt: float, inflight: int) -> float:
        if rtt > self.timeout:
            return self._failed()
        return self._estimate + 1 if inflight * 2 >= self._estimate else self._estimate


def _value(curve: Curve, limit: int) -> int:
    return curve if isinstance(curve, int) else curve(limit)


def _root(limit: float) -> int:
    return max(1, int(log10(max(1, int(limit)))))


@dataclass(kw_only=True, eq=False)
class Vegas(Limit):
    """The queue that builds up at the other side, reckoned from latency as TCP Vegas does, stays short.

    Args:
        initial: the limit to begin with.
        min: the lowest it gets.
        max: the highest it gets.
        alpha: a queue shorter than this lets the limit grow; by default 3 times the logarithm of the limit.
        beta: a queue longer than this makes it shrink, and no queue at all lets it grow by as much.
        threshold: the longest queue that passes for none.
        increase: the limit after a step up; by default the logarithm more.
        decrease: the limit after a step down, and after a failure; by default the logarithm less.
        smoothing: how much of each step is taken.
        probe: after so many samples per unit of limit, what latency is without load is measured anew.
        clock: where chance comes from: probes of many clients should not coincide.
    """

    max: int = 1000
    alpha: Curve | None = None
    beta: Curve | None = None
    threshold: Curve | None = None
    increase: Step | None = None
    decrease: Step | None = None
    smoothing: float = 1.0
    probe: int = 30
    clock: Clock | None = field(default=None, repr=False)

    _idle: float = field(default=0.0, init=False, repr=False)  # the rtt without load; 0 while unknown
    _samples: int = field(default=0, init=False, repr=False)
    _jitter: float = field(default=1.0, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.share("smoothing", self.smoothing)
        checks.count("probe", self.probe)
        for name in ("alpha", "beta", "threshold"):
            curve = getattr(self, name)
            if curve is not None:
                _check_curve(name, curve)
        for name in ("increase", "decrease"):
            step = getattr(self, name)
            checks.function(name, step)
        checks.clock(self.clock)
        self._begin_probe()

    def _begin_probe(self) -> None:
        self._samples = 0
        self._jitter = 0.5 + 0.5 * (self.clock or SYSTEM).random()

    def _at(self, curve: Curve | None, factor: int) -> int:
        return factor * _root(self._estimate) if curve is None else _value(curve, self.limit)

    def _step(self, estimate: float) -> float:
        bounded = max(float(self.min), min(float(self.max), estimate))
        return (1 - self.smoothing) * self._estimate + self.smoothing * bounded

    def _failed(self) -> float:
        estimate = self._estimate
        return self._step(self.decrease(estimate) if self.decrease else estimate - _root(estimate))

    def _succeeded(self, rtt: float, inflight: int) -> float:
        estimate = self._estimate
        if rtt <= 0:
            return estimate
        self._samples += 1
        probe = self._jitter * self.probe * estimate <= self._samples
        if probe:
            self._begin_probe()
        if probe or not self._idle or rtt < self._idle:
            self._idle = rtt
            return estimate
        if inflight * 2 < estimate:
            return estimate  # the limit isn't what holds calls back
        queue = ceil(estimate * (1 - self._idle / rtt) - 1e-9)
        if queue <= self._at(self.threshold, 1):
            return self._step(estimate + self._at(self.beta, 6))
        if queue < self._at(self.alpha, 3):
            return self._step(self.increase(estimate) if self.increase else estimate + _root(estimate))
        return self._failed() if queue > self._at(self.beta, 6) else estimate


_WARMUP = 10  # samples whose plain mean begins the long average
_DRIFT = 0.95  # what is left of a long average that is more than twice the present


@dataclass(kw_only=True, eq=False)
class Gradient2(Limit):
    """The limit follows the ratio of the long average of latency to the present one.

    Args:
        initial: the limit to begin with.
        min: the lowest it gets.
        max: the highest it gets.
        queue: by how much the limit may grow at a time: the queue that is accepted at the other side. With 0
            it only ever shrinks.
        smoothing: how much of each step is taken.
        tolerance: how many times the long average is still fine.
        window: samples that make up the long average.
    """

    queue: Curve = 4
    smoothing: float = 0.2
    tolerance: float = 1.5
    window: int = 600

    _long: float = field(default=0.0, init=False, repr=False)
    _sum: float = field(default=0.0, init=False, repr=False)
    _samples: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.share("smoothing", self.smoothing)
        checks.positive("tolerance", self.tolerance)
        checks.require(self.tolerance >= 1, "tolerance", "at least 1", self.tolerance)
        checks.count("window", self.window)
        _check_curve("queue", self.queue)

    def _failed(self) -> float:
        return self._follow(0.5)  # the steepest that a single sample can be

    def _succeeded(self, rtt: float, inflight: int) -> float:
        if rtt <= 0:
            return self._estimate
        long = self._average(rtt)
        if long > 2 * rtt:  # back from a long time under load: don't wait for the average to find out
            self._long *= _DRIFT
        if inflight < self._estimate / 2:
            return self._estimate
        return self._follow(max(0.5, min(1.0, self.tolerance * long / rtt)))

    def _follow(self, gradient: float) -> float:
        target = self._estimate * gradient + _value(self.queue, self.limit)
        return self._estimate * (1 - self.smoothing) + target * self.smoothing

    def _average(self, rtt: float) -> float:
        self._samples += 1
        if self._samples <= _WARMUP:
            self._sum += (
                rtt  # apart from the average: what drift takes off there counts only until the next one
            )
            self._long = self._sum / self._samples
        else:
            self._long += (rtt - self._long) * 2.0 / (self.window + 1)
        return self._long
