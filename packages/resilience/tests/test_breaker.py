import asyncio
import gc
import sys
import weakref
from abc import ABC
from concurrent.futures import ThreadPoolExecutor

import pytest

from bookstore.resilience import (
    Breaker,
    CircuitOpen,
    Pipeline,
    RateLimited,
    Retry,
    TimedOut,
    Timeout,
    Window,
    backoff,
)
from bookstore.resilience.testing import permits_at_rest


def feed(breaker, outcomes):
    """One call after the other: S success, F failure, I ignored."""
    for outcome in outcomes.replace(" ", ""):
        permit = breaker.acquire()
        {"S": permit.ok, "F": permit.fail, "I": permit.drop}[outcome]()


def tripped(clock, **settings):
    """A breaker that has just opened."""
    breaker = Breaker(
        **{"window": Window.count(1), "min_calls": 1, "open_for": 30.0, "clock": clock} | settings
    )
    feed(breaker, "F")
    assert breaker.state == "open"
    return breaker


def half_open(clock, **settings):
    breaker = tripped(clock, **settings)
    clock.tick(30)
    assert breaker.state == "half_open"
    return breaker


def refusal(breaker):
    with pytest.raises(CircuitOpen) as caught:
        breaker.acquire()
    return caught.value


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

    def test_failures_in_a_row(self, clock):
        breaker = Breaker(consecutive=3, clock=clock)
        feed(breaker, "FFSFIF")
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


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"failure_rate": 0}, "failure_rate"),
        ({"failure_rate": 1.1}, "failure_rate"),
        ({"failure_rate": -0.1}, "failure_rate"),
        ({"failure_rate": float("nan")}, "failure_rate"),
        ({"failure_rate": "half"}, "failure_rate"),
        ({"slow_rate": 0}, "slow_rate"),
        ({"slow_rate": 2}, "slow_rate"),
        ({"slow_call": 0}, "slow_call"),
        ({"min_calls": 0}, "min_calls"),
        ({"min_calls": True}, "min_calls"),
        ({"min_calls": 11, "window": Window.count(10)}, "min_calls"),
        ({"consecutive": 0}, "consecutive"),
        ({"trials": 0}, "trials"),
        ({"trial_wait": 0}, "trial_wait"),
        ({"open_for": 0}, "open_for"),
        ({"open_for": -1}, "open_for"),
    ],
    ids=str,
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Breaker(**settings)


def test_edges_of_the_settings_are_fine():
    Breaker(failure_rate=1.0, slow_rate=1, min_calls=10, window=Window.count(10), consecutive=1, trials=1)


class TestCalls:
    async def test_eight_failures_at_once_open_it_once(self, clock):
        events = []
        breaker = Breaker(window=Window.count(8), min_calls=2)
        pipeline = Pipeline("books", breaker, clock=clock, sinks=[events.append])

        async def fails():
            await clock.sleep(1)
            raise ValueError

        calls = [asyncio.create_task(pipeline.call(fails)) for _ in range(8)]
        await clock.advance(1)
        assert all(isinstance(call.exception(), ValueError) for call in calls)
        told = [event for event in events if event.kind == "transition"]
        assert [event.detail for event in told] == [{"from": "closed", "to": "open"}]
        assert (told[0].policy, told[0].name) == ("breaker", "books")

    async def test_the_call_that_opens_it_raises_its_own_error(self, clock):
        pipeline = Pipeline("books", Breaker(consecutive=1), clock=clock)
        error = ValueError()

        @pipeline
        async def fails():
            raise error

        with pytest.raises(ValueError) as caught:
            await fails()
        assert caught.value is error
        with pytest.raises(CircuitOpen):
            await fails()

    async def test_refusals_are_told(self, clock):
        events = []
        pipeline = Pipeline("books", tripped(clock), clock=clock, sinks=[events.append])
        with pytest.raises(CircuitOpen):
            await pipeline.call(asyncio.sleep, 0)
        with pytest.raises(CircuitOpen):
            pipeline(lambda: None)()
        assert [(event.kind, event.detail.get("retry_after")) for event in events] == [
            ("rejected", 30.0),
            ("call", None),
        ] * 2

    @pytest.mark.parametrize(
        "error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit, RateLimited]
    )
    def test_cancellations_and_rejections_teach_nothing(self, clock, error):
        breaker = half_open(clock, trials=1)
        raised = error("inner") if error is RateLimited else error()

        @Pipeline("books", breaker, clock=clock)
        def fails():
            raise raised

        for _ in range(3):
            with pytest.raises(error):
                fails()
        assert breaker.state == "half_open"
        permits_at_rest(breaker)

    async def test_a_timeout_inside_is_a_failure(self, clock):
        breaker = Breaker(consecutive=1)
        pipeline = Pipeline("books", breaker, Timeout(1), clock=clock)
        with pytest.raises(TimedOut):
            await clock.finish(pipeline.call(clock.sleep, 2))
        assert breaker.state == "open"

    async def test_classify_judges_values_and_errors(self, clock):
        seen = []

        def classify(outcome):
            seen.append(outcome)
            if outcome.error is not None:
                return "ignore" if isinstance(outcome.error, LookupError) else "fail"
            return "fail" if outcome.value == 500 else "ok"

        breaker = Breaker(window=Window.count(10), classify=classify, min_calls=10)
        pipeline = Pipeline("books", breaker, clock=clock)

        async def answers(value, seconds=0.0):
            await clock.sleep(seconds)
            if isinstance(value, BaseException):
                raise value
            return value

        assert await clock.finish(pipeline.call(answers, 200, 1.5)) == 200
        assert await pipeline.call(answers, 500) == 500
        for error in (KeyError(), ValueError(), RateLimited("quota"), asyncio.CancelledError()):
            with pytest.raises(type(error)):
                await pipeline.call(answers, error)
        assert breaker.snapshot()[:2] == (3, 2)
        assert [type(outcome.error) for outcome in seen] == [type(None), type(None), KeyError, ValueError]
        assert (seen[0].value, seen[0].elapsed, seen[0].attempt) == (200, 1.5, 1)

    @pytest.mark.parametrize("verdict", ["failed", None])
    async def test_a_judge_that_errs_keeps_no_permit(self, clock, verdict):
        breaker = half_open(clock, trials=1, classify=lambda _: verdict)
        pipeline = Pipeline("books", breaker, clock=clock)
        for _ in range(3):
            with pytest.raises(ValueError, match="classify"):
                await pipeline.call(asyncio.sleep, 0)
        permits_at_rest(breaker)

    def test_nor_does_it_in_a_block(self, clock):
        breaker = half_open(clock, trials=1, classify=lambda _: "failed")
        with pytest.raises(ValueError, match="classify"), breaker:
            pass
        permits_at_rest(breaker)

    def test_classify_judges_plain_functions_too(self, clock):
        breaker = Breaker(consecutive=1, classify=lambda outcome: "fail" if outcome.value == 500 else "ok")
        assert Pipeline("books", breaker, clock=clock)(lambda: 500)() == 500
        assert breaker.state == "open"

    async def test_classify_knows_the_attempt(self, clock):
        seen = []

        def classify(outcome):
            seen.append(outcome.attempt)
            return "fail"

        pipeline = Pipeline("books", Retry(attempts=3, delay=0), Breaker(classify=classify), clock=clock)
        with pytest.raises(ValueError):
            await clock.finish(pipeline.call(int, "x"))
        assert seen == [1, 2, 3]

    async def test_refusals_name_policy_and_attempt(self, clock):
        events = []
        breaker = Breaker(name="redis", consecutive=1)
        pipeline = Pipeline("books", Retry(delay=0), breaker, clock=clock, sinks=[events.append])
        with pytest.raises(CircuitOpen):
            await clock.finish(pipeline.call(int, "x"))
        told = [event for event in events if event.kind == "rejected"]
        assert [(event.policy, event.attempt, event.verdict) for event in told] == [("redis", 2, "ignore")]

    def test_an_excluded_abstract_class_excludes_itself_only(self, clock):
        class Business(Exception, ABC):
            pass

        breaker = Breaker(
            window=Window.count(10),
            classify=lambda outcome: "ignore" if isinstance(outcome.error, Business) else "fail",
            clock=clock,
        )
        for error in (Business(), ValueError()):
            with pytest.raises(type(error)), breaker:
                raise error
        assert breaker.snapshot()[:2] == (1, 1)

    async def test_as_a_guard(self, clock):
        breaker = Breaker(window=Window.count(10), clock=clock)
        async with breaker, breaker:
            pass
        with breaker:
            pass
        with pytest.raises(ValueError):
            async with breaker:
                raise ValueError
        with pytest.raises(asyncio.CancelledError):
            async with breaker:
                raise asyncio.CancelledError
        assert breaker.snapshot()[:2] == (4, 1)

    async def test_a_guard_serves_many_tasks(self, clock):
        breaker = Breaker(slow_call=2, clock=clock)

        async def work(seconds):
            async with breaker:
                await clock.sleep(seconds)

        async with asyncio.TaskGroup() as tasks:
            for seconds in (1, 2, 3):
                tasks.create_task(work(seconds))
            await clock.advance(3)
        assert breaker.snapshot()[:3] == (3, 0, 2)
        permits_at_rest(breaker)

    async def test_a_guard_left_elsewhere_says_so(self, clock):
        breaker = Breaker(clock=clock)
        await asyncio.create_task(breaker.__aenter__())
        with pytest.raises(RuntimeError, match="another task"):
            await breaker.__aexit__(None, None, None)

    async def test_shared_by_two_pipelines_tells_both(self, clock):
        events, breaker = [], Breaker(consecutive=1)
        one, _ = (Pipeline(name, breaker, clock=clock, sinks=[events.append]) for name in ("one", "two"))
        with pytest.raises(ValueError):
            await one.call(int, "x")
        assert [event.name for event in events if event.kind == "transition"] == ["one", "two"]

    def test_its_own_clock_wins_over_the_pipelines(self, clock):
        breaker = Breaker(clock=clock)
        Pipeline("books", breaker)
        breaker.force_open()
        assert breaker.snapshot().opened_at == clock.now()
        bare = Breaker()
        Pipeline("books", bare, clock=clock)
        bare.force_open()
        assert bare.snapshot().opened_at == clock.now()


def test_default_minimum_fits_a_short_window():
    assert Breaker().min_calls == 20
    breaker = Breaker(window=Window.count(10))
    assert breaker.min_calls == 10
    breaker.reconfigure(window=Window.count(5))
    assert breaker.min_calls == 5
    with pytest.raises(ValueError, match=r"^min_calls must be at most the window's 10, not 20$"):
        Breaker(window=Window.count(10), min_calls=20)


def test_threads_count_exactly(clock):
    breaker = Breaker(window=Window.count(10_000), min_calls=10_000, clock=clock)
    calls = Pipeline("books", breaker)(lambda: None)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(lambda: [calls() for _ in range(500)])
    finally:
        sys.setswitchinterval(interval)
    assert breaker.snapshot().calls == 2_000
