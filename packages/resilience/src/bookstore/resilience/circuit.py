"""The state machine of the breaker. It awaits nothing and knows no call, only permits and the time.

Every change of state begins a new generation. A permit carries the generation that it was given in, and an
outcome that comes back with an old one is no longer of interest: calls begun before the circuit opened can
neither vote in half-open nor extend the time that it stays open.

States that end by the clock (open, a half-open with a trial that hangs) end when somebody looks. Nothing
needs a timer.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from bookstore.resilience.backoff import Backoff
from bookstore.resilience.clock import SLACK, Clock
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.window import CountWindow, TimeWindow

if TYPE_CHECKING:
    from bookstore.resilience.breaker import Breaker

State: TypeAlias = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]

HUNG: Final = 60.0
"""Seconds, at the least, after which a trial counts as lost where `trial_wait` names none."""


class Snapshot(NamedTuple):
    """What a breaker knows: of its window, or in and after half-open of its trials.

    The rates are `None` below the number of calls that they are judged from.
    """

    calls: int
    failures: int
    slow: int
    failure_rate: float | None
    slow_rate: float | None
    rejected: int
    opened_at: float | None
    generation: int
    state: State


class CircuitPermit:
    """Leave to call, of one generation."""

    __slots__ = ("_circuit", "generation", "overdue", "started")

    def __init__(self, circuit: "Circuit", generation: int, started: float) -> None:
        self._circuit: Circuit | None = circuit
        self.generation = generation
        self.started = started
        self.overdue = False

    def ok(self, *, elapsed: float | None = None) -> None:
        """The call succeeded. `elapsed` stands in for the time since the permit was given."""
        circuit = self._circuit
        if circuit is not None:
            self._circuit = None
            circuit.settle(self, False, elapsed)

    def fail(
        self,
        error: BaseException | None = None,  # noqa: ARG002 - permits of other policies may want it
        *,
        elapsed: float | None = None,
    ) -> None:
        """The call failed. The error isn't kept: it would keep the frames of its call alive."""
        circuit = self._circuit
        if circuit is not None:
            self._circuit = None
            circuit.settle(self, True, elapsed)

    def drop(self) -> None:
        """The call was cancelled or doesn't count: give the permit back and learn nothing."""
        circuit = self._circuit
        if circuit is not None:
            self._circuit = None
            circuit.forget(self)


class Circuit:
    """The machine. `rules` is the breaker that it belongs to, whose settings may change at any time."""

    __slots__ = (
        "_opened_at", "_openings", "_overdue", "_running", "_span", "_streak", "_trials", "_until",
        "announce", "clock", "generation", "rejected", "rules", "state", "window",
    )  # fmt: skip

    def __init__(self, rules: "Breaker", clock: Clock, announce: Callable[[State, State], None]) -> None:
        self.rules = rules
        self.clock = clock
        self.announce = announce
        self.state: State = "closed"
        self.window: CountWindow | TimeWindow = rules.window.memory()
        self.generation = 0
        self.rejected = 0
        self._running: dict[CircuitPermit, None] = {}  # in order of start; only where somebody asks for it
        self._overdue = 0  # of those once running, the calls past `slow_call` that haven't ended
        self._streak = 0  # failures in a row
        self._trials: int | None = (
            None  # what the trials of this half-open, or the one before, are judged from
        )
        self._openings = 0  # in a row, without a close between
        self._opened_at: float | None = None
        self._span = 0.0  # seconds to stay open
        self._until = 0.0  # and when they end

    @property
    def running(self) -> int:
        """Permits that are kept track of: trials, and with `slow_call` all calls."""
        return len(self._running) + self._overdue

    def acquire(self) -> CircuitPermit:
        """Leave to call, or `CircuitOpen`."""
        now = self.clock.now()
        if self.state == "closed":
            if self.rules.slow_call is None:
                return CircuitPermit(self, self.generation, now)
            self._weigh_running(now)
        self.look(now)
        if self.state in ("open", "forced_open"):
            raise self._refusal(now)
        permit = CircuitPermit(self, self.generation, now)
        if self.state == "half_open":
            if len(self._running) + self.window.calls >= (self._trials or 0):
                raise self._refusal(now)
            self._running[permit] = None
        elif self.state == "closed":
            self._running[permit] = None
        return permit

    def settle(self, permit: CircuitPermit, failed: bool, elapsed: float | None) -> None:  # noqa: FBT001 - hot
        """Take in how a call ended."""
        now = self.clock.now()
        if self.state == "half_open":
            self.look(now)
        if permit.generation != self.generation or self.state == "disabled":
            return
        self._ended(permit)
        limit = self.rules.slow_call
        slow = limit is not None and (now - permit.started if elapsed is None else elapsed) >= limit - SLACK
        self.window.add(now, failed, slow)
        if self.state == "closed":
            self._streak = self._streak + 1 if failed else 0
            if self._failed_in_a_row() or self._too_bad():
                self._open(now)
        elif self.state == "half_open" and self.window.calls == self._trials:
            if self._too_bad():
                self._open(now)
            else:
                self.enter("closed")

    def forget(self, permit: CircuitPermit) -> None:
        """Take a permit back that teaches nothing."""
        if permit.generation == self.generation:
            self._ended(permit)

    def look(self, now: float) -> None:
        """Let the clock have its say."""
        if self.state == "half_open" and self._running:
            lost_at = next(iter(self._running)).started + self._patience()
            if now >= lost_at - SLACK:
                self._open(lost_at)
        if self.state == "open" and now >= self._until - SLACK:
            self.enter("half_open")

    def enter(self, state: State) -> None:
        """Change the state and begin a new generation; whoever is under way no longer counts."""
        before, self.state = self.state, state
        self.generation += 1
        self._running.clear()
        self._overdue = self._streak = 0
        if state == "half_open":
            self._trials = self.rules.trials
            self.window = CountWindow(self._trials)
        elif state == "forced_open":
            self._opened_at = self.clock.now()
        elif state != "open":
            self.window = self.rules.window.memory()
            self._trials = self._opened_at = None
            self._openings = 0
        if state != before:
            self.announce(before, state)

    def change_window(self) -> None:
        """Forget what was counted, and count by the new setting; trials are counted on their own."""
        if self._trials is None:
            self.window = self.rules.window.memory()

    def snapshot(self, now: float) -> Snapshot:
        """What is known at this moment."""
        self.window.expire(now)
        calls, failures, slow = self.window.calls, self.window.failures, self.window.slow
        enough = calls >= self._least()
        return Snapshot(
            calls, failures, slow, failures / calls if enough else None, slow / calls if enough else None,
            self.rejected, self._opened_at, self.generation, self.state,
        )  # fmt: skip

    def _least(self) -> int:
        return self.rules.min_calls if self._trials is None else self._trials

    def _failed_in_a_row(self) -> bool:
        limit = self.rules.consecutive
        return limit is not None and self._streak >= limit

    def _too_bad(self) -> bool:
        calls = self.window.calls
        failing = calls >= self._least() and self.window.failures / calls >= self.rules.failure_rate
        return failing or self._too_slow()

    def _too_slow(self, overdue: int = 0) -> bool:
        calls = self.window.calls + overdue
        return calls >= self._least() and (self.window.slow + overdue) / calls >= self.rules.slow_rate

    def _weigh_running(self, now: float) -> None:
        """Count what has run past `slow_call` and goes on: a call that hangs would tell nobody."""
        limit = self.rules.slow_call
        while self._running and limit is not None:
            oldest = next(iter(self._running))
            if now - oldest.started < limit - SLACK:
                break
            del self._running[oldest]
            oldest.overdue = True
            self._overdue += 1
        if self._overdue:
            self.window.expire(now)
            if self._too_slow(self._overdue):
                self._open(now)

    def _ended(self, permit: CircuitPermit) -> None:
        if permit.overdue:
            self._overdue -= 1
        else:
            self._running.pop(permit, None)

    def _open(self, now: float) -> None:
        wait = self.rules.open_for
        self._openings += 1
        if isinstance(wait, Backoff):
            previous = self._span if self._openings > 1 else None
            self._span = wait.delay(self._openings, self.clock, previous)
        else:
            self._span = wait
        self._opened_at = now
        self._until = now + self._span
        self.enter("open")

    def _patience(self) -> float:
        wait = self.rules.trial_wait
        return max(self._span, HUNG) if wait is None else wait

    def _refusal(self, now: float) -> CircuitOpen:
        self.rejected += 1
        if self.state == "open":
            return CircuitOpen(self.rules.label, self._until - now)
        if self.state == "half_open":
            # A trial that fails opens for `_span`; one that hangs is given up when patience ends.
            lost_in = next(iter(self._running)).started + self._patience() - now
            return CircuitOpen(self.rules.label, min(lost_in, self._span))
        return CircuitOpen(self.rules.label)
