"""A second try while the first one still runs, against the slowest few of many calls.

A hedge doubles the load of what it repeats, and repeats its effects: use it for reads, with a delay that few
calls reach, and a budget. What loses is cancelled and awaited, and a result that came too late is closed.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from math import inf
from typing import Any, ClassVar

from bookstore.resilience import checks
from bookstore.resilience.budget import Budget
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.outcome import Classify, Matcher, Outcome, failed, matcher
from bookstore.resilience.policy import Call, Layer, Policy, Scope
from bookstore.resilience.quantile import Latencies, Percentile
from bookstore.resilience.race import Race


@dataclass(frozen=True, eq=False)
class Hedge(Policy):
    """Start another try when one takes long, or has failed. The first good answer wins.

    When all fail, the last error is raised as itself, with the others among its notes.

    Args:
        after: seconds until the next try starts: a number, or a `percentile` of what calls take, which lets
            none start before it knows. 0 starts all at once; infinity starts the next only when one failed.
        max: tries beside the first.
        budget: bounds the share of hedges over all calls; share it with the `Retry` inside.
        on: errors after which the next try starts. Any other error of a try is the answer. By default every
            `Exception` but a `Rejected`.
        classify: your own judge: a value that is a `"fail"` doesn't win either.
    """

    after: float | Percentile
    _: KW_ONLY
    max: int = 1
    budget: Budget | None = None
    on: Matcher | None = None
    classify: Classify | None = None

    _matches: Callable[[BaseException], bool] = field(default=LATER, init=False, repr=False, compare=False)
    _latencies: Latencies | None = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar = (40, 40)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.after, Percentile) and self.after != inf:
            checks.seconds("after", self.after, zero=True)
        checks.count("max", self.max)
        checks.kind("budget", self.budget, Budget, optional=True)
        checks.function("classify", self.classify)
        latencies = Latencies(self.after) if isinstance(self.after, Percentile) else None
        assign(self, _matches=matcher(self.on), _latencies=latencies)

    @property
    def delay(self) -> float:
        """Seconds after which the next try starts, as of now."""
        return self.after if self._latencies is None else self._latencies.value  # type: ignore[return-value]

    def join(self, scope: Scope) -> None:
        """Hand the pipeline's clock on to the budget."""
        if self.budget is not None:
            self.budget.join(self.time(scope))

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Race up to `1 + max` runs of `inner`."""
        clock = self.time(scope)

        async def layer(call: Call) -> Any:
            if self.budget is not None:
                self.budget.deposit()
            return await Race(self, inner, call, scope, clock).run()

        return layer

    def failed(self, outcome: Outcome[Any]) -> bool:
        """Whether a try that ended so leaves the race to the others."""
        return failed(outcome, self._matches, self.classify)

    def learn(self, seconds: float) -> None:
        """A try took so long, or at least so long."""
        if self._latencies is not None:
            self._latencies.add(seconds)
