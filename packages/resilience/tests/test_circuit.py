"""The states of a breaker, and the ways from one to another."""

import gc
import weakref

import pytest

from bookstore.resilience import Breaker, Window, backoff

from .breakers import feed, half_open, refusal, tripped


class TestClosed:
    def test_rate_is_judged_on_a_success_too(self, clock):
        breaker = Breaker(window=Window.count(5), min_calls=5, failure_rate=0.5, clock=clock)
        feed(breaker, "FFFS")
        assert breaker.state == "closed"
        assert breaker.snapshot().failure_rate is None
        feed(breaker, "S")
        assert breaker.state == "open"
        seen = breaker.snapshot()
        assert (seen.calls, seen.failures, seen.failure_rate) == (5, 3, 0.6)

    @pytest.mark.parametrize(
        ("outcomes", "state"),
        [
            ("F SSS SSS SSS", "open"),
            ("F SSS SSS SS", "closed"),
            ("S SSS SSS SSS", "closed"),
            ("S SSS SSS SSF", "open"),
        ],
    )
    def test_thresholds_are_inclusive(self, clock, outcomes, state):
        breaker = Breaker(window=Window.count(100), min_calls=10, failure_rate=0.1, clock=clock)
        feed(breaker, outcomes)
        assert breaker.state == state

    @pytest.mark.parametrize("tenths", range(1, 11))
    def test_every_tenth_is_exact(self, clock, tenths):
        breaker = Breaker(window=Window.count(10), min_calls=10, failure_rate=tenths / 10, clock=clock)
        feed(breaker, "S" * (10 - tenths) + "F" * (tenths - 1))
        assert breaker.state == "closed"
        feed(breaker, "F")
        assert breaker.state == "open"

    def test_who_is_under_way_is_kept_track_of_for_as_long_as_that_matters(self, clock):
        breaker = Breaker(slow_call=1.0, clock=clock)
        permits = [breaker.acquire() for _ in range(2)]
        breaker.reconfigure(failure_rate=0.4)
        assert breaker.in_flight == 2
        breaker.reconfigure(slow_call=None)
        assert breaker.in_flight == 0
        for permit in permits:
            permit.ok()
        assert (breaker.in_flight, breaker.snapshot().calls) == (0, 2)

    def test_time_window(self, clock):
        breaker = Breaker(window=Window.time(10.0, buckets=10), min_calls=2, failure_rate=1.0, clock=clock)
        seen = []
        for step in "FFSSS":
            feed(breaker, "S" + step)
            clock.tick(2)
            seen.append((breaker.snapshot().calls, breaker.snapshot().failure_rate))
        assert seen == [(2, 0.5), (4, 0.5), (6, 1 / 3), (8, 0.25), (8, 0.125)]
        clock.tick(2)
        assert (breaker.snapshot().calls, breaker.snapshot().failure_rate) == (6, 0.0)

    def test_old_successes_that_leave_can_tip_the_rate(self, clock):
        breaker = Breaker(window=Window.time(10.0), min_calls=3, failure_rate=0.5, clock=clock)
        feed(breaker, "SSSS")
        clock.tick(6)
        feed(breaker, "FS")
        clock.tick(4)
        feed(breaker, "S")
        assert breaker.state == "closed"
        feed(breaker, "F")
        assert breaker.state == "open"

    @pytest.mark.parametrize("slow_call", [None, 1.0], ids=["plain", "timed"])
    def test_failures_in_a_row_end_with_a_success_and_with_a_reset(self, clock, slow_call):
        breaker = Breaker(consecutive=3, slow_call=slow_call, clock=clock)
        feed(breaker, "FFSFIF")
        assert breaker.state == "closed"
        breaker.reset()
        feed(breaker, "FF")
        assert breaker.state == "closed"
        feed(breaker, "F")
        assert breaker.state == "open"
        assert breaker.snapshot().failure_rate is None

    def test_ignored_outcomes_teach_nothing(self, clock):
        breaker = Breaker(window=Window.count(4), min_calls=4, clock=clock)
        feed(breaker, "I" * 50)
        assert breaker.snapshot().calls == 0
        feed(breaker, "FF IIII S")
        assert breaker.snapshot()[:2] == (3, 2)

    def test_a_permit_is_settled_once(self, clock):
        breaker = Breaker(clock=clock)
        permit = breaker.acquire()
        permit.ok()
        permit.ok()
        permit.fail(ValueError())
        permit.drop()
        assert breaker.snapshot()[:2] == (1, 0)

    @pytest.mark.parametrize("first", ["fail", "drop"])
    def test_the_first_verdict_stands(self, clock, first):
        breaker = half_open(clock, trials=2)
        permit = breaker.acquire()
        getattr(permit, first)()
        permit.ok()
        permit.fail()
        permit.drop()
        assert breaker.snapshot()[:2] == ((1, 1) if first == "fail" else (0, 0))
        breaker.acquire()


class TestOpen:
    def test_refuses_with_the_time_left(self, clock):
        breaker = tripped(clock)
        clock.tick(0.001)
        assert refusal(breaker).retry_after == 29.999
        assert breaker.snapshot().opened_at == clock.now() - 0.001
        clock.tick(29.998)
        assert refusal(breaker).retry_after == 0.001
        clock.tick(0.001)
        assert breaker.state == "half_open"

    def test_every_refusal_is_a_fresh_error(self, clock):
        breaker = tripped(clock)
        errors = [refusal(breaker) for _ in range(100)]
        assert len({id(error) for error in errors}) == 100
        depths = set()
        for error in errors:
            assert error.__cause__ is None
            assert error.__context__ is None
            depth, at = 0, error.__traceback__
            while at is not None:
                depth, at = depth + 1, at.tb_next
            depths.add(depth)
        assert len(depths) == 1
        assert breaker.snapshot().rejected == 100

    def test_the_failure_that_opened_it_is_not_kept_alive(self, clock):
        class Payload:
            pass

        payload = Payload()
        breaker = Breaker(consecutive=1, clock=clock)
        breaker.acquire().fail(ValueError(payload))
        kept = weakref.ref(payload)
        del payload
        gc.collect()
        assert breaker.state == "open"
        assert kept() is None

    def test_stale_outcomes_neither_vote_nor_extend(self, clock):
        breaker = Breaker(window=Window.count(1), min_calls=1, open_for=30, clock=clock)
        early = [breaker.acquire() for _ in range(4)]
        feed(breaker, "F")
        clock.tick(10)
        early[0].fail()
        early[1].ok()
        assert refusal(breaker).retry_after == 20
        clock.tick(20)
        assert breaker.state == "half_open"
        early[2].ok()
        early[3].fail()
        assert breaker.snapshot().calls == 0
        assert breaker.state == "half_open"

    def test_named_breakers_name_themselves(self, clock):
        for name, label in (("", "breaker"), ("redis", "redis")):
            breaker = half_open(clock, name=name, trials=1)
            breaker.acquire()
            assert refusal(breaker).policy == label
            breaker.force_open()
            assert refusal(breaker).policy == label
            assert refusal(tripped(clock, name=name)).policy == label

    def test_open_time_backs_off_until_it_closes(self, clock):
        breaker = tripped(clock, open_for=backoff(5, cap=15), trials=1)
        for seconds in (5, 10, 15, 15):
            assert refusal(breaker).retry_after == seconds
            clock.tick(seconds)
            assert breaker.state == "half_open"
            feed(breaker, "F")
        clock.tick(15)
        feed(breaker, "S")
        assert breaker.state == "closed"
        feed(breaker, "F")
        assert refusal(breaker).retry_after == 5

    def test_jittered_open_time_builds_on_the_last(self, clock):
        clock.random = lambda: 0.5
        breaker = tripped(clock, open_for=backoff(1, cap=100, jitter="decorrelated"), trials=1)
        for seconds in (2.0, 3.5, 5.75):
            assert refusal(breaker).retry_after == seconds
            clock.tick(seconds)
            feed(breaker, "F")

    def test_after_a_close_it_all_begins_anew(self, clock):
        clock.random = lambda: 0.5
        spread = backoff(1, cap=100, jitter="decorrelated")
        breaker = Breaker(consecutive=2, open_for=spread, trials=1, clock=clock)
        assert breaker.snapshot()[6:] == (None, 0, "closed")
        for _ in range(2):
            feed(breaker, "FF")
            assert refusal(breaker).retry_after == 2.0
            clock.tick(2)
            feed(breaker, "S")
            feed(breaker, "F")
            assert breaker.state == "closed"
            feed(breaker, "S")


class TestForced:
    def test_force_open_until_reset(self, clock):
        breaker = Breaker(clock=clock)
        breaker.force_open()
        clock.tick(1e6)
        assert breaker.state == "forced_open"
        assert refusal(breaker).retry_after is None
        assert breaker.snapshot().opened_at == 1_000.0
        breaker.reset()
        feed(breaker, "S")
        assert breaker.state == "closed"

    def test_disabled_admits_all_and_records_nothing(self, clock):
        breaker = tripped(clock)
        breaker.disable()
        feed(breaker, "FFFFF")
        assert breaker.state == "disabled"
        assert breaker.snapshot()[:2] == (0, 0)
        assert breaker.snapshot().opened_at is None

    def test_metrics_only_records_and_never_opens(self, clock):
        breaker = Breaker(window=Window.count(4), min_calls=2, consecutive=2, slow_call=1, clock=clock)
        breaker.metrics_only()
        hung = [breaker.acquire() for _ in range(5)]
        clock.tick(5)
        feed(breaker, "FFFF")
        assert breaker.state == "metrics_only"
        assert breaker.in_flight == 0
        assert breaker.snapshot().failure_rate == 1.0
        hung[0].ok()
        assert breaker.snapshot()[:3] == (4, 3, 1)

    def test_outcomes_from_before_don_t_count_after(self, clock):
        breaker = Breaker(window=Window.count(1), min_calls=1, clock=clock)
        for change in (breaker.force_open, breaker.disable, breaker.metrics_only, breaker.reset):
            permit = Breaker.acquire(breaker) if breaker.state != "forced_open" else None
            change()
            if permit is not None:
                permit.fail()
            assert breaker.snapshot().calls == 0

    def test_generation_grows_with_every_change(self, clock):
        breaker = Breaker(clock=clock)
        seen = [breaker.snapshot().generation]
        for change in (
            breaker.force_open,
            breaker.reset,
            breaker.reset,
            breaker.disable,
            breaker.metrics_only,
        ):
            change()
            seen.append(breaker.snapshot().generation)
        assert seen == [0, 1, 2, 3, 4, 5]


class TestReconfigure:
    def test_keeps_window_generation_and_permits(self, clock):
        breaker = Breaker(window=Window.count(10), min_calls=10, failure_rate=0.5, clock=clock)
        feed(breaker, "FFFSSSSSSS")
        under_way = breaker.acquire()
        before = breaker.snapshot()
        breaker.reconfigure(failure_rate=0.2)
        assert breaker.snapshot() == before
        assert breaker.failure_rate == 0.2
        under_way.ok()
        assert breaker.state == "open"

    def test_wrong_settings_change_nothing(self, clock):
        breaker = Breaker(clock=clock)
        with pytest.raises(ValueError, match="trials"):
            breaker.reconfigure(failure_rate=0.2, trials=0)
        with pytest.raises(ValueError, match="failure_rat"):
            breaker.reconfigure(failure_rat=0.2)
        assert breaker.failure_rate == 0.5

    def test_unknown_settings_are_named(self):
        with pytest.raises(ValueError, match=r"^failure_rat must be a setting of Breaker, not 0\.2$"):
            Breaker().reconfigure(failure_rat=0.2)

    def test_another_window_begins_empty(self, clock):
        breaker = Breaker(window=Window.count(10), min_calls=5, clock=clock)
        feed(breaker, "FF")
        breaker.reconfigure(window=Window.count(10))
        assert breaker.snapshot().calls == 2
        breaker.reconfigure(window=Window.count(5))
        assert breaker.snapshot().calls == 0

    def test_another_window_leaves_trials_alone(self, clock):
        breaker = half_open(clock, trials=2)
        feed(breaker, "S")
        breaker.reconfigure(window=Window.count(5), min_calls=5, trials=7)
        assert breaker.snapshot().calls == 1
        feed(breaker, "S")
        assert breaker.state == "closed"
        feed(breaker, "FFFF")
        assert breaker.state == "closed"
        feed(breaker, "F")
        assert breaker.state == "open"

    def test_minimum_and_slow_call_apply_at_once(self, clock):
        breaker = Breaker(window=Window.count(10), min_calls=10, clock=clock)
        feed(breaker, "F")
        unmeasured = breaker.acquire()
        breaker.reconfigure(min_calls=2, slow_call=1.0, slow_rate=0.1)
        clock.tick(5)
        unmeasured.ok()  # nobody noted when it began
        assert breaker.snapshot()[:3] == (2, 1, 0)
        assert breaker.state == "open"

    def test_settings_are_frozen_otherwise(self):
        with pytest.raises(AttributeError):
            Breaker().trials = 9
