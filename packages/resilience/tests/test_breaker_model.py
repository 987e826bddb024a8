"""A second breaker, written for clarity and not for speed, that must agree with the first one at every step.

The model keeps every outcome in a list, and every permit with its whole history.
"""

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from bookstore.resilience import Breaker, CircuitOpen, Window
from bookstore.resilience.testing import FakeClock

SECONDS = st.integers(0, 40).map(lambda quarter: quarter / 4)


class Model:
    """What the design says, word by word."""

    def __init__(self, now, **rules):
        self.__dict__ |= rules
        self.now = now
        self.generation = 0
        self.enter("closed")

    def enter(self, state):
        self.state = state
        self.generation += 1
        self.running = []  # (permit, started), of this generation
        self.streak = 0
        if state in ("closed", "half_open", "metrics_only", "disabled"):
            self.outcomes = []  # (when, failed, slow)
        if state == "open":
            self.opened_at = self.now
        if state == "half_open":
            self.quorum = self.trials

    @property
    def window(self):
        if self.state == "half_open" or self.trial_outcomes:
            return self.outcomes
        return self.outcomes[-self.size :] if self.size else self.outcomes

    trial_outcomes = False

    def pass_time(self, seconds):
        self.now += seconds
        self.look()

    def look(self):
        real_now = self.now
        if self.state == "half_open" and self.running:
            lost_at = min(started for _, started in self.running) + self.trial_wait
            if real_now >= lost_at:
                self.now = lost_at
                self.trip()
                self.now = real_now
        if self.state == "open" and real_now >= self.opened_at + self.open_for:
            self.enter("half_open")

    def trip(self):
        self.trial_outcomes = self.state == "half_open"
        self.enter("open")

    def weigh(self, more_slow=0):
        least = self.trials if self.state == "half_open" else self.min_calls
        calls = len(self.window)
        failing = calls >= least and sum(f for _, f, _ in self.window) / calls >= self.failure_rate
        slow = sum(s for *_, s in self.window) + more_slow
        return failing, calls + more_slow >= least and slow / (calls + more_slow) >= self.slow_rate

    def acquire(self, permit):
        """Whether the call is let in."""
        if self.state == "closed":
            hung = sum(self.now - started >= self.slow_call for _, started in self.running)
            if hung and self.weigh(hung)[1]:
                self.trip()
        if self.state in ("open", "forced_open"):
            return False
        if self.state == "half_open" and len(self.running) + len(self.outcomes) >= self.quorum:
            return False
        if self.state in ("closed", "half_open"):
            self.running.append((permit, self.now))
        permit.update(generation=self.generation, started=self.now, settled=False)
        return True

    def settle(self, permit, how):
        if permit["settled"]:
            return
        permit["settled"] = True
        if permit["generation"] != self.generation or self.state == "disabled":
            return
        self.running = [one for one in self.running if one[0] is not permit]
        if how == "drop":
            return
        failed = how == "fail"
        self.outcomes.append((self.now, failed, self.now - permit["started"] >= self.slow_call))
        self.streak = self.streak + 1 if failed else 0
        if self.state == "closed":
            if any(self.weigh()) or self.streak >= self.consecutive:
                self.trial_outcomes = False
                self.enter("open")
        elif self.state == "half_open" and len(self.outcomes) == self.quorum:
            if any(self.weigh()):
                self.trip()
            else:
                self.trial_outcomes = False
                self.enter("closed")


class BreakerAgreesWithItsModel(RuleBasedStateMachine):
    permits = Bundle("permits")

    @initialize(
        size=st.integers(1, 8),
        data=st.data(),
        failure_rate=st.sampled_from([0.2, 0.5, 1.0]),
        slow_rate=st.sampled_from([0.3, 0.5, 1.0]),
        slow_call=st.sampled_from([1.0, 3.0, 1e6]),
        consecutive=st.sampled_from([2, 5, 10**6]),
        trials=st.integers(1, 4),
        trial_wait=st.sampled_from([2.0, 5.0]),
        open_for=st.sampled_from([1.0, 6.0]),
    )
    def begin(self, size, data, **rules):
        self.clock = FakeClock()
        rules["min_calls"] = data.draw(st.integers(1, size))
        given = {k: v for k, v in rules.items() if v != 10**6}
        if rules["slow_call"] == 1e6:
            given.pop("slow_call", None)
        self.breaker = Breaker(window=Window.count(size), clock=self.clock, **given)
        self.model = Model(self.clock.now(), size=size, **rules)

    @rule(target=permits)
    def acquire(self):
        told = {}
        try:
            told["real"] = self.breaker.acquire()
            refusal = None
        except CircuitOpen as error:
            refusal = error
        assert self.model.acquire(told) == (refusal is None)
        if refusal is not None:
            if self.breaker.state == "open":
                left = self.model.opened_at + self.model.open_for - self.model.now
                assert refusal.retry_after == pytest.approx(left)
            elif self.breaker.state == "half_open":
                assert 0 < refusal.retry_after <= max(self.model.open_for, self.model.trial_wait)
        return told

    @rule(permit=permits, how=st.sampled_from(["ok", "fail", "drop"]))
    def settle(self, permit, how):
        self._settle(permit, how)

    @rule(permit=consumes(permits), how=st.sampled_from(["ok", "ok", "fail"]))
    def settle_for_good(self, permit, how):
        self._settle(permit, how)

    def _settle(self, permit, how):
        if "real" in permit:
            getattr(permit["real"], how)()
            self.model.settle(permit, how)

    @rule(outcomes=st.lists(st.sampled_from(["ok", "fail", "drop"]), min_size=1, max_size=8))
    def quick_calls(self, outcomes):
        for how in outcomes:
            self._settle(self.acquire(), how)

    @rule(seconds=SECONDS)
    def wait(self, seconds):
        self.clock.tick(seconds)
        self.model.pass_time(seconds)

    @rule(how=st.sampled_from(["force_open", "disable", "metrics_only", "reset", "reset", "reset"]))
    def force(self, how):
        getattr(self.breaker, how)()
        state = {"force_open": "forced_open", "disable": "disabled", "reset": "closed"}.get(how, how)
        if state != "forced_open":
            self.model.trial_outcomes = False
        elif self.model.state == "half_open":
            self.model.trial_outcomes = True
        self.model.enter(state)

    @invariant()
    def agree(self):
        if not hasattr(self, "breaker"):
            return
        seen = self.breaker.snapshot()
        assert seen.state == self.breaker.state == self.model.state
        window = self.model.window
        assert (seen.calls, seen.failures, seen.slow) == (
            len(window),
            sum(f for _, f, _ in window),
            sum(s for *_, s in window),
        )


TestBreakerAgreesWithItsModel = BreakerAgreesWithItsModel.TestCase
TestBreakerAgreesWithItsModel.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, phases=set(Phase) - {Phase.explain}
)
