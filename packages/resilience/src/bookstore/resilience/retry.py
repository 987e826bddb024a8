"""Try again, a few times, later and later, and never more than the service as a whole can afford."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Final

from bookstore.resilience import checks
from bookstore.resilience.budget import Budget
from bookstore.resilience.checks import LATER, assign
from bookstore.resilience.clock import Clock, pause
from bookstore.resilience.deadline import current_deadline
from bookstore.resilience.delays import Backoff
from bookstore.resilience.errors import note
from bookstore.resilience.outcome import Matcher, Outcome, Verdict, judge, matcher
from bookstore.resilience.policy import Call, Layer, Policy, Scope, SyncLayer
from bookstore.resilience.retryafter import retry_after
from bookstore.resilience.tasks import discard
from bookstore.resilience.tries import numbered, numbered_sync

_DELAY: Final = Backoff(0.05, cap=2.0, jitter="decorrelated")
_SPENT: Final = "the budget is spent"


@dataclass(frozen=True, eq=False)
class Retry(Policy):
    """Repeat a call that failed.

    The last error is raised as itself, with the number of tries among its notes; a last result is returned.
    No wait is begun that can't lead to another try: not after the last one, not past the deadline, not on an
    empty budget.

    Args:
        attempts: tries in all, the first one included.
        delay: seconds between two tries, or a `backoff`.
        on: errors to repeat: a class, several, or a predicate. By default every `Exception` but a `Rejected`,
            which is repeated only when a class names it; a cancellation never is.
        result: tells of a returned value that it calls for another try. A value so discarded is closed.
        budget: bounds the share of retries over all calls, and may serve several policies. `None` bounds
            nothing.
        respect_retry_after: wait as long as the other side asks for, when that is longer.
    """

    _: KW_ONLY
    attempts: int = 3
    delay: float | Backoff = _DELAY
    on: Matcher | None = None
    result: Callable[[Any], bool] | None = None
    budget: Budget | None = field(default_factory=Budget)
    respect_retry_after: bool = True

    _matches: Callable[[BaseException], bool] = field(default=LATER, init=False, repr=False, compare=False)

    place: ClassVar[tuple[int, int]] = (50, 50)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("attempts", self.attempts)
        if not isinstance(self.delay, Backoff):
            checks.seconds("delay", self.delay, zero=True)
        checks.function("result", self.result)
        checks.kind("budget", self.budget, Budget, optional=True)
        checks.kind("respect_retry_after", self.respect_retry_after, bool)
        assign(self, _matches=matcher(self.on))

    def join(self, scope: Scope) -> None:
        """Hand the pipeline's clock on to the budget."""
        if self.budget is not None:
            self.budget.join(self.time(scope))

    def layer(self, inner: Layer, scope: Scope) -> Layer:
        """Repeat `inner`."""
        clock, budget, result = self.time(scope), self.budget, self.result

        async def layer(call: Call) -> Any:
            if budget is not None and call.paid is not budget:
                budget.deposit()
            tries, wait = 1, None
            while True:
                started = clock.now()
                try:
                    value = await (inner(call) if tries == 1 else numbered(inner, call))
                except BaseException as error:
                    wait = self._after(Outcome(None, error, clock.now() - started, tries), wait, call, scope)
                    if wait is None:
                        raise
                    discarded = getattr(error, "response", None)
                else:
                    if result is None or not result(value):
                        if scope.listening:
                            self._tell(scope, call, clock.now() - started, "ok")
                        return value
                    wait = self._after(Outcome(value, None, clock.now() - started, tries), wait, call, scope)
                    if wait is None:
                        return value
                    discarded = value
                await discard(discarded)
                await clock.sleep(wait)
                tries += 1
                call.attempt += 1

        return layer

    def sync_layer(self, inner: SyncLayer, scope: Scope) -> SyncLayer:
        """The same around a plain function; it blocks its thread while it waits."""
        clock, budget, result = self.time(scope), self.budget, self.result

        def layer(call: Call) -> Any:
            if budget is not None:
                budget.deposit()
            tries, wait = 1, None
            while True:
                started = clock.now()
                try:
                    value = inner(call) if tries == 1 else numbered_sync(inner, call)
                except BaseException as error:
                    wait = self._after(Outcome(None, error, clock.now() - started, tries), wait, call, scope)
                    if wait is None:
                        raise
                    discarded = getattr(error, "response", None)
                else:
                    if result is None or not result(value):
                        if scope.listening:
                            self._tell(scope, call, clock.now() - started, "ok")
                        return value
                    wait = self._after(Outcome(value, None, clock.now() - started, tries), wait, call, scope)
                    if wait is None:
                        return value
                    discarded = value
                _close_now(discarded)
                pause(clock, wait)
                tries += 1
                call.attempt += 1

        return layer

    def _after(self, end: Outcome[Any], last: float | None, call: Call, scope: Scope) -> float | None:
        """Seconds until the next try, given the wait before this one; `None` when there is no other try."""
        error = end.error
        self._tell(scope, call, end.elapsed, "fail" if error is None else judge(error))
        if error is not None and not self._matches(error):
            if end.attempt > 1:
                _note(error, end.attempt, "this error isn't repeated")
            return None
        wait = self._plan(end, last, self.time(scope))
        if not isinstance(wait, str):
            detail = {"delay": wait} if error is None else {"delay": wait, "error": type(error).__name__}
            scope.emit("retry", self.label, attempt=call.attempt, detail=detail)
            return wait
        if wait == _SPENT:
            scope.emit("budget_exhausted", self.label, attempt=call.attempt)
        if error is not None:
            _note(error, end.attempt, wait)
        return None

    def _plan(self, end: Outcome[Any], last: float | None, clock: Clock) -> float | str:
        """Seconds until the next try, or why there is none."""
        tries = end.attempt
        if tries >= self.attempts:
            return "no try is left"
        wait = self.delay.delay(tries, clock, last) if isinstance(self.delay, Backoff) else float(self.delay)
        if self.respect_retry_after:
            wait = max(wait, retry_after(end.value if end.error is None else end.error, clock))
        running = current_deadline()
        if running is not None and wait >= running.remaining():
            return "the deadline comes first"
        if self.budget is not None and not self.budget.withdraw():
            return _SPENT
        return wait

    def _tell(self, scope: Scope, call: Call, elapsed: float, verdict: Verdict) -> None:
        scope.emit("attempt", self.label, attempt=call.attempt, elapsed=elapsed, verdict=verdict)


def _note(error: BaseException, tries: int, why: str) -> None:
    plural = "" if tries == 1 else "s"
    note(error, f"retry: gave up after {tries} attempt{plural}, {why}")


def _close_now(discarded: Any) -> None:
    close = getattr(discarded, "close", None)
    if callable(close):
        with suppress(Exception):
            close()
