"""Calls that take too long, and those that never end."""

from bookstore.resilience import Breaker, Window
from bookstore.resilience.testing import permits_at_rest

from .breakers import feed, half_open, refusal


class TestSlowCalls:
    def test_slow_rate_opens(self, clock):
        breaker = Breaker(window=Window.count(4), min_calls=4, slow_call=1.0, slow_rate=0.5, clock=clock)
        for elapsed in (0.5, 0.999, 1.0, 2.0):
            assert breaker.state == "closed"
            breaker.acquire().ok(elapsed=elapsed)
        assert breaker.state == "open"
        assert breaker.snapshot().slow_rate == 0.5
        assert breaker.snapshot().failure_rate == 0.0

    def test_time_is_measured_from_the_permit(self, clock):
        breaker = Breaker(slow_call=1.0, clock=clock)
        for seconds, slow in ((0.9, 0), (1.0, 1)):
            permit = breaker.acquire()
            clock.tick(seconds)
            permit.ok()
            assert breaker.snapshot().slow == slow

    def test_failures_can_be_slow_as_well(self, clock):
        breaker = Breaker(slow_call=1.0, clock=clock)
        breaker.acquire().fail(elapsed=2.0)
        assert breaker.snapshot()[:3] == (1, 1, 1)

    def test_without_a_limit_nothing_is_slow(self, clock):
        breaker = Breaker(clock=clock)
        breaker.acquire().ok(elapsed=1e9)
        assert breaker.snapshot().slow == 0

    def test_hung_calls_count_before_they_end(self, clock):
        breaker = Breaker(window=Window.count(10), min_calls=4, slow_call=1.0, slow_rate=0.5, clock=clock)
        feed(breaker, "SS")
        hung = [breaker.acquire(), breaker.acquire()]
        clock.tick(0.9)
        feed(breaker, "I")
        assert breaker.state == "closed"
        clock.tick(0.1)
        assert breaker.state == "closed"  # weighed when the next call asks
        refusal(breaker)
        assert breaker.state == "open"
        for permit in hung:
            permit.ok()
        assert breaker.snapshot()[:3] == (2, 0, 0)
        permits_at_rest(breaker)

    def test_hung_calls_below_the_rate_open_nothing(self, clock):
        breaker = Breaker(window=Window.count(10), min_calls=4, slow_call=1.0, slow_rate=0.6, clock=clock)
        feed(breaker, "SS")
        hung = [breaker.acquire(), breaker.acquire()]
        clock.tick(5)
        breaker.acquire().drop()
        assert breaker.state == "closed"
        assert breaker.in_flight == 2
        hung[0].drop()  # cancelled in the end: no slow call after all
        assert breaker.in_flight == 1
        hung[1].ok()
        permits_at_rest(breaker)
        assert breaker.snapshot()[:3] == (3, 0, 1)

    def test_hung_calls_need_the_minimum_too(self, clock):
        breaker = Breaker(window=Window.count(10), min_calls=4, slow_call=1.0, clock=clock)
        hung = [breaker.acquire() for _ in range(3)]
        clock.tick(2)
        hung.append(breaker.acquire())
        assert breaker.state == "closed"
        clock.tick(1)
        refusal(breaker)

    def test_old_outcomes_don_t_outweigh_hung_calls(self, clock):
        breaker = Breaker(window=Window.time(5.0), min_calls=2, slow_call=1.0, slow_rate=0.6, clock=clock)
        feed(breaker, "SSSS")
        breaker.acquire()
        breaker.acquire()
        clock.tick(5)
        refusal(breaker)

    def test_trials_can_be_slow(self, clock):
        breaker = half_open(clock, slow_call=4.0, slow_rate=0.75, trials=4)
        for elapsed in (5, 5, 5, 1):
            assert breaker.state == "half_open"
            breaker.acquire().ok(elapsed=elapsed)
        assert breaker.state == "open"
        assert (breaker.snapshot().failure_rate, breaker.snapshot().slow_rate) == (0.0, 0.75)

    def test_trials_one_after_the_other_may_take_their_time(self, clock):
        breaker = half_open(clock, slow_call=4.0, slow_rate=0.75, trials=4)
        for elapsed in (5, 5, 5, 1):
            permit = breaker.acquire()
            clock.tick(elapsed)
            permit.ok()
        assert breaker.state == "open"
