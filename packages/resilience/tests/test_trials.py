"""Half-open: the calls that are let through to find out."""

import pytest

from bookstore.resilience import Breaker, Window
from bookstore.resilience.testing import permits_at_rest

from .breakers import feed, half_open, refusal, tripped


class TestHalfOpen:
    def test_admits_exactly_its_trials(self, clock):
        breaker = half_open(clock, trials=4)
        permits = [breaker.acquire() for _ in range(4)]
        assert refusal(breaker).retry_after is not None
        assert refusal(breaker).retry_after <= 30
        permits.pop().drop()
        permits.append(breaker.acquire())
        refusal(breaker)
        for permit in permits:
            permit.fail()
        assert breaker.state == "open"
        clock.tick(30)
        fresh = [breaker.acquire() for _ in range(4)]
        refusal(breaker)
        for permit in fresh:
            permit.ok()
        assert breaker.state == "closed"
        permits_at_rest(breaker)

    def test_reported_trials_are_not_given_out_again(self, clock):
        breaker = half_open(clock, trials=2)
        first, second = breaker.acquire(), breaker.acquire()
        first.ok()
        refusal(breaker)
        second.ok()
        assert breaker.state == "closed"

    @pytest.mark.parametrize(
        ("outcomes", "state"),
        [
            ("SSS IIIII F", "closed"),
            ("IFISISIS", "closed"),
            ("SSFF", "open"),
            ("FFFF", "open"),
            ("SSSS", "closed"),
            ("SSS", "half_open"),
            ("FFF", "half_open"),
        ],
    )
    def test_verdict_falls_when_all_have_reported(self, clock, outcomes, state):
        breaker = half_open(clock, trials=4)
        feed(breaker, outcomes)
        assert breaker.state == state

    def test_a_thousand_cancelled_trials(self, clock):
        breaker = half_open(clock, trials=3)
        feed(breaker, "I" * 1_000)
        assert breaker.state == "half_open"
        assert breaker.snapshot().calls == 0
        feed(breaker, "SSS")
        assert breaker.state == "closed"

    def test_closing_forgets_the_window(self, clock):
        breaker = half_open(clock, trials=1)
        feed(breaker, "S")
        assert breaker.snapshot()[:2] == (0, 0)
        assert breaker.snapshot().opened_at is None

    def test_a_hung_trial_opens_again_and_its_outcome_is_ignored(self, clock):
        breaker = half_open(clock, trials=1, trial_wait=1.0)
        trial = breaker.acquire()
        clock.tick(0.5)
        assert refusal(breaker).retry_after == 0.5
        clock.tick(0.5)
        assert breaker.state == "open"
        trial.ok()
        assert breaker.state == "open"
        assert refusal(breaker).retry_after == 30

    def test_a_hung_trial_opens_at_its_time_however_late_one_looks(self, clock):
        breaker = half_open(clock, trials=2, trial_wait=1.0)
        trial = breaker.acquire()
        clock.tick(11)
        assert refusal(breaker).retry_after == 20
        clock.tick(20)
        assert breaker.state == "half_open"
        trial.ok()
        assert breaker.snapshot().calls == 0

    def test_after_long_silence_a_hung_trial_has_come_all_the_way_round(self, clock):
        breaker = half_open(clock, trials=1, trial_wait=1.0)
        trial = breaker.acquire()
        clock.tick(100)
        trial.fail()  # looks at the time first
        assert breaker.state == "half_open"
        feed(breaker, "S")
        assert breaker.state == "closed"

    def test_the_oldest_trial_is_what_one_waits_for(self, clock):
        breaker = half_open(clock, trials=3, trial_wait=10.0)
        first, second = breaker.acquire(), None
        clock.tick(6)
        second = breaker.acquire()
        first.drop()
        clock.tick(6)
        assert breaker.state == "half_open"
        clock.tick(4)
        assert breaker.state == "open"
        second.ok()

    @pytest.mark.parametrize(("open_for", "patience"), [(1.0, 60), (90.0, 90)])
    def test_without_trial_wait_it_can_t_wedge_either(self, clock, open_for, patience):
        breaker = tripped(clock, trials=1, open_for=open_for)
        clock.tick(open_for)
        breaker.acquire()
        assert refusal(breaker).retry_after == open_for
        clock.tick(patience - 0.5)
        assert breaker.state == "half_open"
        assert refusal(breaker).retry_after == 0.5
        clock.tick(0.5)
        assert breaker.state == "open"

    def test_a_stale_outcome_frees_no_trial(self, clock):
        breaker = Breaker(window=Window.count(1), min_calls=1, open_for=30, trials=2, clock=clock)
        stale = breaker.acquire()
        feed(breaker, "F")
        clock.tick(30)
        breaker.acquire()
        stale.fail()
        breaker.acquire()
        refusal(breaker)

    @pytest.mark.parametrize("how", ["ok", "fail", "drop"])
    def test_trials_of_an_earlier_half_open_free_nothing(self, clock, how):
        breaker = half_open(clock, trials=1, trial_wait=1.0)
        stale = breaker.acquire()
        clock.tick(31)
        trial = breaker.acquire()
        getattr(stale, how)()
        refusal(breaker)
        trial.ok()
        assert breaker.state == "closed"
