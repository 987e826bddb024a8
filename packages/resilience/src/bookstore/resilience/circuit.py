"""The state machine of the breaker. It awaits nothing and knows no call, only permits and the time.

Every change of state begins a new generation. A permit carries the generation that it was given in, and an
outcome that comes back with an old one is no longer of interest: calls begun before the circuit opened can
neither vote in half-open nor extend the time that it stays open.

States that end by the clock (open, a half-open with a trial that hangs) end when somebody looks. Nothing
needs a timer.
"""

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from bookstore.resilience.clock import SLACK, Clock
from bookstore.resilience.delays import Backoff
from bookstore.resilience.errors import CircuitOpen
from bookstore.resilience.permit import CircuitPermit, Running, SharedPermit, Snapshot, State
from bookstore.resilience.window import CountWindow, TimeWindow

if TYPE_CHECKING:
    from bookstore.resilience.breaker import Breaker

HUNG: Final = 60.0
"""Seconds, at the least, after which a trial counts as lost where `trial_wait` names none."""


class Circuit:
    """The machine. `rules` is the breaker that it belongs to, whose settings may change at any time."""

    __slots__ = (
        "_least", "_on_trial", "_opened_at", "_openings", "_span", "_streak", "_until",
        "announce", "clock", "generation", "rejected", "rules", "running", "shared", "state", "window",
    )  # fmt: skip

    def __init__(self, rules: "Breaker", clock: Clock, announce: Callable[[State, State], None]) -> None:
        self.rules = rules
        self.clock = clock
        self.announce = announce
        self.state: State = "closed"
        self.window: CountWindow | TimeWindow = rules.window.memory()
        self.generation = 0
        self.rejected = 0
        self.running = Running()  # trials, and with `slow_call` all calls; others need no keeping track of
        self._streak = 0  # failures in a row
        self._on_trial = False  # whether the window holds the trials of this half-open, or the one before
        self._least = rules.min_calls  # calls that a rate is judged from
        self._openings = 0  # in a row, without a close between
        self._opened_at: float | None = None
        self._span = 0.0  # seconds to stay open
        self._until = 0.0  # and when they end
        self.shared: SharedPermit | None = None
        """Leave for whoever calls now, while it matters to nobody how long a call takes."""
        self.read_rules()

    def acquire(self) -> CircuitPermit:
        """Leave to call, or `CircuitOpen`."""
        now = self.clock.now()
        limit = self.rules.slow_call
        if self.state == "closed" and limit is not None:
            self._weigh_running(now, limit)
        self.look(now)
        if self.state in ("open", "forced_open"):
            raise self._refusal(now)
        permit = CircuitPermit(self, self.generation, now)
        if self.state == "half_open":
            if self.running.count + self.window.calls >= self._least:
                raise self._refusal(now)
            self.running.add(permit)
        elif self.state == "closed" and limit is not None:
            self.running.add(permit)
        return permit

    def count_good(self) -> None:
        """Take in that a call of this generation succeeded, while there is a `shared` permit: hot."""
        now = self.clock.now()
        window = self.window
        window.add(now)
        self._streak = 0
        # Where nothing failed and nothing was slow there is no rate to speak of.
        if (window.failures or window.slow) and self._too_bad():
            self._open(now)

    def settle(self, permit: CircuitPermit, failed: bool, elapsed: float | None) -> None:  # noqa: FBT001 - hot
        """Take in how a call ended."""
        now = self.clock.now()
        slow = False
        if self.shared is None:
            if self.state == "half_open":
                self.look(now)
            if self.state == "disabled":
                return
            limit = self.rules.slow_call
            slow = (
                limit is not None and (now - permit.started if elapsed is None else elapsed) >= limit - SLACK
            )
        if permit.generation != self.generation:
            return
        if self.running.count:
            self.running.remove(permit)
        window = self.window
        window.add(now, failed, slow)
        self._streak = self._streak + 1 if failed else 0
        if self.state == "closed":
            # Where nothing failed and nothing was slow there is no rate to speak of.
            if (window.failures or window.slow) and (self._too_bad() or self._failed_in_a_row()):
                self._open(now)
        elif self.state == "half_open" and window.calls == self._least:
            if self._too_bad():
                self._open(now)
            else:
                self.enter("closed")

    def forget(self, permit: CircuitPermit) -> None:
        """Take a permit back that teaches nothing."""
        if permit.generation == self.generation:
            self.running.remove(permit)

    def look(self, now: float) -> None:
        """Let the clock have its say."""
        if self.state == "half_open" and self.running.count:
            lost_at = self.running.oldest() + self._patience()
            if now >= lost_at - SLACK:
                self._open(lost_at)
        if self.state == "open" and now >= self._until - SLACK:
            self.enter("half_open")

    def enter(self, state: State) -> None:
        """Change the state and begin a new generation; whoever is under way no longer counts."""
        before, self.state = self.state, state
        self.generation += 1
        self.running.clear()
        self._streak = 0
        if state == "half_open":
            self._on_trial = True
            self._least = self.rules.trials
            self.window = CountWindow(self._least)
        elif state == "forced_open":
            self._opened_at = self.clock.now()
        elif state != "open":
            self._on_trial = False
            self.window = self.rules.window.memory()
            self._opened_at = None
            self._openings = 0
        self.read_rules()
        if state != before:
            self.announce(before, state)

    def read_rules(self) -> None:
        """Follow a change of the settings, as far as they are looked up ahead of the calls."""
        if not self._on_trial:
            self._least = self.rules.min_calls
        plain = self.state == "closed" and self.rules.slow_call is None and self.rules.classify is None
        self.shared = SharedPermit(self, self.generation, inf) if plain else None
        if plain:
            self.running.clear()  # how long they take is of no interest any longer

    def change_window(self) -> None:
        """Forget what was counted, and count by the new setting; trials are counted on their own."""
        if not self._on_trial:
            self.window = self.rules.window.memory()

    def snapshot(self, now: float) -> Snapshot:
        """What is known at this moment."""
        self.window.expire(now)
        calls, failures, slow = self.window.calls, self.window.failures, self.window.slow
        enough = calls >= self._least
        return Snapshot(
            calls, failures, slow, failures / calls if enough else None, slow / calls if enough else None,
            self.rejected, self._opened_at, self.generation, self.state,
        )  # fmt: skip

    def _failed_in_a_row(self) -> bool:
        limit = self.rules.consecutive
        return limit is not None and self._streak >= limit

    def _too_bad(self) -> bool:
        calls = self.window.calls
        failing = calls >= self._least and self.window.failures / calls >= self.rules.failure_rate
        return failing or self._too_slow()

    def _too_slow(self, overdue: int = 0) -> bool:
        calls = self.window.calls + overdue
        return calls >= self._least and (self.window.slow + overdue) / calls >= self.rules.slow_rate

    def _weigh_running(self, now: float, limit: float) -> None:
        """Count what has run past `slow_call` and goes on: a call that hangs would tell nobody."""
        overdue = self.running.overdue(now - limit + SLACK)
        if overdue:
            self.window.expire(now)
            if self._too_slow(overdue):
                self._open(now)

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
            lost_in = self.running.oldest() + self._patience() - now
            return CircuitOpen(self.rules.label, min(lost_in, self._span))
        return CircuitOpen(self.rules.label)
