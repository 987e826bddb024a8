"""A breaker's settings, and calls through it."""

import asyncio
import sys
from abc import ABC
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bookstore.resilience import Breaker, CircuitOpen, Pipeline, RateLimited, Retry, TimedOut, Timeout, Window
from bookstore.resilience.testing import permits_at_rest

from .breakers import half_open, tripped


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
        ({"window": 5}, "window"),
        ({"window": None}, "window"),
        ({"classify": "never"}, "classify"),
    ],
    ids=str,
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Breaker(**settings)


def test_edges_of_the_settings_are_fine():
    Breaker(failure_rate=1.0, slow_rate=1, min_calls=10, window=Window.count(10), consecutive=1, trials=1)


def judge(outcome):
    return "ok" if outcome.error is None else "fail"


def raises(error):
    if error is not None:
        raise error


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

    @pytest.mark.parametrize("settings", [{}, {"slow_call": 5}, {"classify": judge}], ids=str)
    async def test_what_comes_through_a_pipeline_is_counted(self, clock, settings):
        """Each end of it: what succeeds keeps the rate down. A cancelled call teaches nothing."""
        breaker = Breaker(window=Window.count(10), **settings)
        pipeline = Pipeline("books", breaker, clock=clock)

        async def ends(error=None):
            if error is not None:
                raise error

        for error in (None, ValueError(), None, asyncio.CancelledError(), None):
            with suppress(ValueError, asyncio.CancelledError):
                await pipeline.call(ends, error)
            with suppress(ValueError, asyncio.CancelledError):
                pipeline(raises)(error)
        assert breaker.snapshot()[:2] == (8, 2)
        permits_at_rest(breaker)

    @pytest.mark.parametrize("fails", [False, True])
    async def test_calls_from_before_a_reset_do_not_count_after_it(self, clock, fails):
        breaker = Breaker(window=Window.count(10))
        pipeline = Pipeline("books", breaker, clock=clock)

        async def ends():
            await clock.sleep(1)
            if fails:
                raise ValueError

        before = asyncio.create_task(pipeline.call(ends))
        await clock.advance(0)
        breaker.reset()
        after = asyncio.create_task(pipeline.call(ends))
        await clock.advance(1)
        await asyncio.gather(before, after, return_exceptions=True)
        assert breaker.snapshot()[:2] == (1, int(fails))

    async def test_calls_under_way_count_by_settings_that_change_meanwhile(self, clock):
        breaker = Breaker(window=Window.count(10))
        pipeline = Pipeline("books", breaker, clock=clock)
        calls = [asyncio.create_task(pipeline.call(clock.sleep, 3)) for _ in range(2)]
        await clock.advance(0)
        breaker.reconfigure(failure_rate=0.9)
        await clock.advance(1)
        breaker.reconfigure(slow_call=1)  # nobody knows when they began
        await clock.advance(2)
        await asyncio.gather(*calls)
        assert breaker.snapshot()[:3] == (2, 0, 0)
        permits_at_rest(breaker)

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

    async def test_a_block_is_measured_for_the_judge(self, clock):
        breaker = Breaker(classify=lambda outcome: "fail" if outcome.elapsed >= 2 else "ok", clock=clock)
        for seconds in (1, 2):
            async with breaker:
                clock.tick(seconds)
        assert breaker.snapshot()[:2] == (2, 1)

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
