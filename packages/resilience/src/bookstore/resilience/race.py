"""The tries of one hedged call, and who wins."""

from asyncio import FIRST_COMPLETED, CancelledError, Future, Task, create_task, get_running_loop, wait
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from bookstore.resilience.clock import SLACK, Clock
from bookstore.resilience.errors import Rejected, note
from bookstore.resilience.outcome import Outcome, Verdict, judge
from bookstore.resilience.policy import Call, Layer, Scope
from bookstore.resilience.tasks import abandon, discard, reap
from bookstore.resilience.tries import numbered

if TYPE_CHECKING:
    from bookstore.resilience.hedge import Hedge


class Race:
    """The tries of one call."""

    __slots__ = (
        "call",
        "clock",
        "delay",
        "due",
        "inner",
        "left",
        "lost",
        "rules",
        "scope",
        "started",
        "tries",
    )

    def __init__(self, rules: "Hedge", inner: Layer, call: Call, scope: Scope, clock: Clock) -> None:
        self.rules = rules
        self.inner = inner
        self.call = call
        self.scope = scope
        self.clock = clock
        self.delay = rules.delay
        self.left = rules.max
        self.tries: dict[Task[Any], tuple[int, float]] = {}  # those that run: which one, and since when
        self.lost: list[Outcome[Any]] = []
        self.started = clock.now()

    async def run(self) -> Any:
        """The first good answer, or else the last bad one."""
        self._start(self.call.attempt)
        winner: Task[Any] | None = None
        try:
            while winner is None and self.tries:
                winner = await self._next()
        except GeneratorExit:
            self._lose()
            abandon(tuple(self.tries))
            self.tries.clear()
            raise
        finally:
            await self._end(winner)
        if winner is not None:
            return winner.result()
        last = await self._concede()
        self.lost.clear()
        if last.error is None:
            return last.value
        try:
            raise last.error
        finally:
            del last  # or the error would hold this frame, and it the error

    def _start(self, attempt: int) -> None:
        now = self.clock.now()
        self.tries[create_task(self._try(attempt))] = (attempt, now)
        self.due = now + self.delay if self.left else inf

    async def _try(self, attempt: int) -> Any:
        fork = self.call.fork(attempt, self.rules.budget)
        return await (self.inner(fork) if attempt == 1 else numbered(self.inner, fork))

    async def _next(self) -> "Task[Any] | None":
        """Wait until a try ends or the next one is due; the try that ended well."""
        if self.due <= self.clock.now() + SLACK:
            self._hedge()
            return None
        bell: Future[None] = get_running_loop().create_future()
        timer = self.clock.call_at(self.due, partial(bell.set_result, None)) if self.due < inf else None
        try:
            await wait([*self.tries, bell], return_when=FIRST_COMPLETED)
        finally:
            bell.cancel()
            if timer is not None:
                timer.cancel()
        return next((task for task in [*self.tries] if task.done() and self._won(task)), None)

    def _won(self, task: "Task[Any]") -> bool:
        attempt, started = self.tries.pop(task)
        elapsed = self.clock.now() - started
        if task.cancelled():
            self._tell(attempt, elapsed, "ignore")
            return True  # it cancelled itself: that is an answer too
        error = task.exception()
        outcome = Outcome(None if error is not None else task.result(), error, elapsed, attempt)
        failed = self.rules.failed(outcome)
        self._tell(attempt, elapsed, "fail" if failed else judge(error))
        if failed:
            self.lost.append(outcome)
            self._hedge()
            return False
        if isinstance(error, Rejected) and (self.tries or self.lost):
            self.lost.append(outcome)  # that this side has no room for a hedge says nothing about the others
            return False
        if error is None:
            self.rules.learn(elapsed)
        return True

    def _hedge(self) -> None:
        """Start the next try, if there may be one."""
        self.due = inf
        if not self.left:
            return
        budget = self.rules.budget
        attempt = self.call.attempt + self.rules.max - self.left + 1
        if budget is not None and not budget.withdraw():
            self.left = 0
            self.scope.emit("budget_exhausted", self.rules.label, attempt=attempt)
            return
        self.left -= 1
        elapsed = self.clock.now() - self.started
        self.scope.emit("hedge", self.rules.label, attempt=attempt, elapsed=elapsed)
        self._start(attempt)

    async def _end(self, winner: "Task[Any] | None") -> None:
        """Leave nothing behind."""
        if winner is not None:
            now = self.clock.now()
            for _, started in self.tries.values():
                self.rules.learn(now - started)  # it would have taken at least as long
        self._lose()
        spoils = [] if winner is None else [outcome.value for outcome in self.lost]
        try:
            await reap(self.tries)
            for value in spoils:
                await discard(value)
        except CancelledError:
            if winner is not None and not winner.cancelled() and winner.exception() is None:
                await discard(winner.result())
            raise
        except GeneratorExit:
            abandon(() if winner is None else (winner,))
            raise

    def _lose(self) -> None:
        """Tell of those that still run that nobody waits for them any more."""
        now = self.clock.now()
        for attempt, started in self.tries.values():
            self._tell(attempt, now - started, "ignore")

    def _tell(self, attempt: int, elapsed: float, verdict: Verdict) -> None:
        self.scope.emit("attempt", self.rules.label, attempt=attempt, elapsed=elapsed, verdict=verdict)

    async def _concede(self) -> Outcome[Any]:
        """The last answer of the other side, with what the other tries met."""
        answers = [outcome for outcome in self.lost if not isinstance(outcome.error, Rejected)]
        last = (answers or self.lost)[-1]
        for outcome in self.lost:
            if outcome is not last:
                await discard(outcome.value)
                if last.error is not None and outcome.error not in (None, last.error):
                    note(last.error, f"{self.rules.label}: try {outcome.attempt} met {outcome.error!r}")
        return last
