"""Which of several targets gets the next call.

A target's load is what it has in flight, or how slow it has been lately, and each failure adds to it for a
while: a target that fails fast would otherwise be the least loaded of all and draw every call. Two random
targets are compared rather than all, so that many clients don't run to the same one at the same time.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate
from math import exp, log
from typing import Final, Literal, TypeAlias, cast, get_args

from bookstore.resilience import checks
from bookstore.resilience.clock import SYSTEM, Clock
from bookstore.resilience.ejector import Ejector, Health
from bookstore.resilience.events import Event, Kind, Sink, Sinks
from bookstore.resilience.outliers import Outliers

Pick: TypeAlias = Literal["p2c", "round_robin", "ewma", "hash"]

DECAY: Final = 10.0
"""Seconds in which what a target did loses two thirds of its weight, as in Finagle's Peak EWMA."""

_UNKNOWN: Final = 1e6  # the load of a target with calls in flight that has never answered
_FAINT: Final = 0.01  # a penalty below is none, so that targets that were once unequal are equal again
_COLD: Final = 0.1  # the share of its weight that a target begins its slow start with


class Target(Health):
    """One target and what is known of it."""

    __slots__ = ("_cost", "_penalty", "_since", "credit", "in_flight", "joined", "name", "weight")

    def __init__(self, name: str, joined: float) -> None:
        super().__init__()
        self.name = name
        self.weight = 1.0
        self.joined = joined  # when it came, or came back
        self.credit = 0.0  # what a weighted round robin owes it
        self.in_flight = 0
        self._cost = 0.0  # seconds of a call: jumps to a peak, and decays from there
        self._penalty = 0.0  # failures of late
        self._since = 0.0

    def forgive(self) -> None:
        """Back from an ejection: that was the price, and else nobody would find out how it is now."""
        self._penalty = 0.0

    def busy(self, now: float) -> float:
        """Its load, by calls in flight."""
        if self._penalty:
            self._decay(now)
        return self.in_flight + self._penalty

    def slow(self, now: float) -> float:
        """Its load, by seconds that one more call would take."""
        self._decay(now)
        cost = self._cost + self._penalty
        return cost * (self.in_flight + 1) if cost or not self.in_flight else _UNKNOWN + self.in_flight

    def learn(self, now: float, seconds: float, failed: bool) -> None:  # noqa: FBT001 - two callers, both beside
        """Take one outcome in."""
        left = self._decay(now)
        self._penalty += failed
        if seconds > self._cost:
            self._cost = seconds
        elif not failed:  # a failure in no time says nothing good
            self._cost += (1.0 - left) * seconds

    def _decay(self, now: float) -> float:
        left = exp(min(0.0, self._since - now) / DECAY)
        self._since = max(now, self._since)
        self._cost *= left
        self._penalty = self._penalty * left if self._penalty > _FAINT else 0.0
        return left


class Lease:
    """One call to `target`, to be settled exactly once. It is a `Permit`."""

    __slots__ = ("_balancer", "_chosen", "_generation", "_started", "target")

    def __init__(self, balancer: "Balancer", chosen: Target, started: float) -> None:
        self.target = chosen.name
        """Where the call goes."""
        self._balancer: Balancer | None = balancer
        self._chosen = chosen
        self._generation = chosen.generation
        self._started = started
        chosen.in_flight += 1

    def ok(self, *, elapsed: float | None = None) -> None:
        """The target answered. `elapsed` stands in for the time since the lease was given."""
        balancer = self._end()
        if balancer is not None:
            now = balancer.clock.now()
            self._chosen.learn(now, now - self._started if elapsed is None else elapsed, failed=False)
            balancer.ejector.ok(self._chosen, self._generation)

    def fail(self, error: BaseException | None = None, *, elapsed: float | None = None) -> None:  # noqa: ARG002
        """The target failed."""
        balancer = self._end()
        if balancer is not None:
            now = balancer.clock.now()
            self._chosen.learn(now, now - self._started if elapsed is None else elapsed, failed=True)
            balancer.ejector.fail(self._chosen, self._generation, now)

    def drop(self) -> None:
        """The call was cancelled or doesn't count."""
        self._end()

    def _end(self) -> "Balancer | None":
        balancer, self._balancer = self._balancer, None
        if balancer is not None:
            self._chosen.in_flight -= 1
        return balancer


class Balancer:
    """Spreads calls over targets, and leaves out those that keep failing.

    ```python
    balancer = Balancer(["http://a", "http://b"], eject=Outliers(consecutive=5))
    lease = balancer.pick()
    ```

    Args:
        targets: what to choose from, such as base URLs; a mapping gives each its weight.
        pick: `"p2c"` takes the less busy of two random targets, `"ewma"` the faster of two, `"round_robin"`
            each in turn, `"hash"` the same target for the same key for as long as it's there (and without a
            key as `"p2c"`).
        eject: when to leave a target out; `None` never does.
        slow_start: seconds in which a target that joins later, or returns from an ejection, comes to its full
            weight, from a tenth of it. `"hash"` knows no slow start: it would move keys twice.
        name: stands in events.
        clock: where time and chance come from.
        sinks: callables that get an `Event` when a target is `ejected` or has `returned`.
    """

    def __init__(
        self,
        targets: Iterable[str] | Mapping[str, float],
        *,
        pick: Pick = "p2c",
        eject: Outliers | None = Outliers(),  # noqa: B008 - frozen
        slow_start: float = 0.0,
        name: str = "",
        clock: Clock | None = None,
        sinks: Iterable[Sink] = (),
    ) -> None:
        self.name = name
        self.clock = clock or SYSTEM
        self._turn = 0
        self._sinks = Sinks(tuple(sinks))
        self._targets: dict[str, Target] = {}
        self._equal = True
        self._warm_at = 0.0  # from then on every target has its full weight
        self.ejector: Ejector[Target] = Ejector(None, (), self._tell)  # until `reconfigure`
        self.reconfigure(pick=pick, eject=eject, slow_start=slow_start)
        self.update(targets)

    def reconfigure(self, *, pick: Pick, eject: Outliers | None, slow_start: float = 0.0) -> None:
        """Choose in this way from now on. What is known of the targets is kept."""
        checks.one_of("pick", pick, *get_args(Pick))
        checks.kind("eject", eject, Outliers, optional=True)
        checks.seconds("slow_start", slow_start, zero=True)
        self._way = pick
        self._slow_start = slow_start
        self.ejector.rules = eject

    @property
    def targets(self) -> tuple[str, ...]:
        """All of them, the ejected ones too."""
        return tuple(self._targets)

    @property
    def ejected(self) -> tuple[str, ...]:
        """Those that are out right now."""
        self.ejector.usable(self.clock.now())
        return tuple(target.name for target in self.ejector.out)

    @property
    def usable(self) -> tuple[str, ...]:
        """Those that may be picked right now."""
        return tuple(target.name for target in self.ejector.usable(self.clock.now()))

    @property
    def in_flight(self) -> dict[str, int]:
        """Calls that run, by target."""
        return {name: target.in_flight for name, target in self._targets.items()}

    def update(self, targets: Iterable[str] | Mapping[str, float]) -> None:
        """Choose from these from now on. What is known of those that stay is kept."""
        names: list[str] = list(targets)
        checks.require(len(names) > 0, "targets", "at least one", names)
        checks.require(all(isinstance(name, str) for name in names), "targets", "strings", names)  # pyright: ignore[reportUnnecessaryIsInstance] - files
        checks.require(len(set(names)) == len(names), "targets", "without repetition", names)
        weights: Mapping[str, float] = (
            cast("Mapping[str, float]", targets)
            if isinstance(targets, Mapping)
            else dict.fromkeys(names, 1.0)
        )
        for weight in weights.values():
            checks.positive("weight", weight)
        now, before = self.clock.now(), self._targets
        if before and not before.keys() >= set(names):
            self._warm_at = now + self._slow_start
        # Those that are there from the beginning are all as cold as each other.
        joined = now if before else float("-inf")
        self._targets = {name: before.get(name) or Target(name, joined) for name in names}
        for target in self._targets.values():
            target.weight = weights[target.name]
        self._equal = len(set(weights.values())) == 1
        self.ejector.replace(list(self._targets.values()))

    def pick(self, key: str | None = None, *, avoid: Collection[str] = ()) -> Lease:
        """Choose a target, and count the call as in flight there until the lease is settled.

        Args:
            key: what `"hash"` goes by; the other ways take no notice of it.
            avoid: targets to pass over while there are others, such as those that a retry has tried.
        """
        now = self.clock.now()
        usable = self.ejector.usable(now)
        others = [target for target in usable if target.name not in avoid] if avoid else usable
        return Lease(self, self._choose(others or usable, key, now), now)

    def _choose(self, among: Sequence[Target], key: str | None, now: float) -> Target:
        if self._way == "hash" and key is not None:
            return max(among, key=lambda target: _claim(key, target))
        weights = (
            None if self._equal and now >= self._warm_at else [self._weight(each, now) for each in among]
        )
        if self._way == "round_robin":
            return self._next(among, weights)
        if len(among) == 1:
            return among[0]
        load = Target.slow if self._way == "ewma" else Target.busy
        if weights is not None:
            first = self._draw(weights)
            second = self._draw([0.0 if at == first else weight for at, weight in enumerate(weights)])
            one, two = among[first], among[second]
            return two if load(two, now) / weights[second] < load(one, now) / weights[first] else one
        count = len(among)
        first = int(self.clock.random() * count)
        second = int(self.clock.random() * (count - 1))
        one, two = among[first], among[second + (second >= first)]
        return two if load(two, now) < load(one, now) else one

    def _weight(self, target: Target, now: float) -> float:
        """The weight of a target, of which a cold one has only a part."""
        # It may have come back since `now` was read.
        if not self._slow_start or now >= target.joined + self._slow_start:
            return target.weight
        return target.weight * max(_COLD, (now - target.joined) / self._slow_start)

    def _draw(self, weights: Sequence[float]) -> int:
        """One of them by chance, the heavier the likelier; never one that weighs nothing."""
        bounds = list(accumulate(weights))
        return bisect_right(bounds, self.clock.random() * bounds[-1])

    def _next(self, among: Sequence[Target], weights: Sequence[float] | None) -> Target:
        """Each in turn; the heavier ones more often, and evenly spread (as nginx does it)."""
        if weights is None:
            turn, self._turn = self._turn, self._turn + 1
            return among[turn % len(among)]
        for target, weight in zip(among, weights, strict=True):
            target.credit += weight
        chosen = max(among, key=lambda target: target.credit)
        chosen.credit -= sum(weights)
        return chosen

    def _tell(self, kind: Kind, target: Target) -> None:
        detail = {"target": target.name}
        if kind == "returned":
            target.joined = self.clock.now()
            self._warm_at = target.joined + self._slow_start
        self._sinks.send(Event(kind, "balancer", self.name, detail=detail))

    def __repr__(self) -> str:
        return f"Balancer({list(self._targets)!r}, pick={self._way!r})"


def _claim(key: str, target: Target) -> float:
    """How strongly a target claims a key: the strongest has it, and weights tell how often that is."""
    digest = blake2b(f"{key}\0{target.name}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest, "big") + 1) / 2**64
    return target.weight / -log(chance) if chance < 1.0 else float("inf")
