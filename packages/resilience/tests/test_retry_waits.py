"""How long a retry waits, what it may spend, and when it gives up."""

import time
from types import SimpleNamespace

import pytest

from bookstore.resilience import Budget, Deadline, Pipeline, RateLimited, Retry, backoff
from bookstore.resilience.retryafter import retry_after

from .retries import Harness, Target, both


class TestDelays:
    @both
    async def test_back_off_is_asked_with_the_last_delay(self, clock, how):
        clock.random = lambda: 0.5
        spread = backoff(0.5, cap=100, jitter="decorrelated")
        harness = Harness(clock, attempts=4, delay=spread, result=lambda _: True)
        with pytest.raises(ValueError):
            await harness.run(Target(ValueError()), how)
        assert harness.slept == [1.0, 1.75, 2.875]
        harness.slept.clear()
        await harness.run(Target("unwanted"), how)
        assert harness.slept == [1.0, 1.75, 2.875]

    async def test_default_delays(self, clock):
        clock.random = lambda: 0.5
        retry = Retry()
        assert [retry.delay.delay(1, clock, last) for last in (None, 0.1, 9)] == pytest.approx(
            [0.1, 0.175, 2.0]
        )

    async def test_no_delay_at_all(self, clock):
        harness, target = Harness(clock, delay=0), Target(ValueError())
        with pytest.raises(ValueError):
            await harness.run(target)
        assert target.calls == 3

    @both
    async def test_what_the_other_side_asks_for_raises_the_delay(self, clock, how):
        error = ValueError()
        for asked, slept in (
            (5, 5.0),
            (0.5, 1.0),
            (-3, 1.0),
            (float("nan"), 1.0),
            (float("inf"), 1.0),
            (None, 1.0),
        ):
            error.retry_after = asked
            harness = Harness(clock, attempts=2)
            with pytest.raises(ValueError):
                await harness.run(Target(error), how)
            assert harness.slept[-1] == slept

    async def test_or_not(self, clock):
        error = ValueError()
        error.retry_after = 5
        harness = Harness(clock, attempts=2, respect_retry_after=False)
        with pytest.raises(ValueError):
            await harness.run(Target(error))
        assert harness.slept == [1.0]

    @both
    async def test_a_returned_answer_may_ask_too(self, clock, how):
        answer = SimpleNamespace(status_code=429, headers={"Retry-After": "7"})
        harness = Harness(clock, attempts=2, result=lambda _: True)
        await harness.run(Target(answer), how)
        assert harness.slept == [7.0]

    async def test_a_date_is_read_by_the_pipelines_clock(self, clock):
        error = ValueError()
        error.response = answer({"Retry-After": HTTP_DATE})
        harness = Harness(clock, attempts=2)
        with pytest.raises(ValueError):
            await harness.run(Target(error))
        assert harness.slept == [30.0]

    async def test_a_repeated_rejection_waits_as_told(self, clock):
        harness = Harness(clock, attempts=2, on=RateLimited)
        with pytest.raises(RateLimited):
            await harness.run(Target(RateLimited("quota", 4)))
        assert harness.slept == [4.0]


HTTP_DATE = "Tue, 14 Nov 2023 22:13:50 GMT"  # half a minute after a FakeClock begins


def answer(headers, status=503):
    return SimpleNamespace(status_code=status, headers=headers)


@pytest.mark.parametrize(
    ("ended", "seconds"),
    [
        (SimpleNamespace(retry_after=3), 3.0),
        (SimpleNamespace(retry_after="3"), 3.0),
        (SimpleNamespace(retry_after=0.25), 0.25),
        (SimpleNamespace(retry_after=object()), 0.0),
        (SimpleNamespace(response=answer({"retry-after": "2"})), 2.0),
        (SimpleNamespace(response=answer({"RETRY-AFTER": "2.5"})), 2.5),
        (SimpleNamespace(response=answer({"retry-after": HTTP_DATE})), 30.0),
        (SimpleNamespace(response=answer({"retry-after": "Tue, 14 Nov 2000 22:13:50 GMT"})), 0.0),
        (SimpleNamespace(response=answer({"retry-after": "Tuesday, 14-Nov-23 22:13:50 GMT"})), 30.0),
        (SimpleNamespace(response=answer({"retry-after": "Tue Nov 14 22:13:50 2023"})), 30.0),
        (SimpleNamespace(response=answer({"retry-after": "soon"})), 0.0),
        (SimpleNamespace(response=answer({"retry-after": "-5"})), 0.0),
        (SimpleNamespace(response=answer({"retry-after": "nan"})), 0.0),
        # Dates that Python's own parser stumbles over, each in its own way.
        (SimpleNamespace(response=answer({"retry-after": "21 Oct 9999999907:28:00 99"})), 0.0),
        (SimpleNamespace(response=answer({"retry-after": f"Tue, 14 Nov 2023 22:13:50 +{10**25}"})), 0.0),
        (SimpleNamespace(retry_after=10**400), 0.0),
        (SimpleNamespace(response=answer({"x": "2"})), 0.0),
        (SimpleNamespace(response=SimpleNamespace(headers={"retry-after": "2"})), 0.0),
        (SimpleNamespace(response=None), 0.0),
        (answer({"retry-after": "2"}), 2.0),
        (ValueError(), 0.0),
        (503, 0.0),
    ],
)
def test_retry_after(clock, ended, seconds):
    assert retry_after(ended, clock) == seconds


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_date_without_a_zone_means_utc_wherever_this_runs(clock, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        oldest_format = answer({"retry-after": "Tue Nov 14 22:13:50 2023"})
        assert retry_after(oldest_format, clock) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


class TestDeadline:
    @both
    async def test_a_wait_that_doesn_t_fit_is_not_begun(self, clock, how):
        error = ValueError()
        error.retry_after = 30
        target, slept = Target(error), []
        clock.pause = slept.append
        with Deadline(5, clock=clock), pytest.raises(ValueError) as caught:
            await Harness(clock).run(target, how)
        assert caught.value.__notes__ == ["retry: gave up after 1 attempt, the deadline comes first"]
        assert target.calls == 1
        assert clock.now() == 1_000.0

    @pytest.mark.parametrize(("seconds", "calls"), [(1.0, 1), (1.001, 2), (2.001, 3)])
    async def test_a_wait_equal_to_what_is_left_doesn_t_fit(self, clock, seconds, calls):
        target = Target(ValueError())
        pipeline = Pipeline("books", Deadline(seconds), Retry(delay=1.0), clock=clock)
        with pytest.raises(ValueError):
            await clock.finish(pipeline.call(target.later))
        assert target.calls == calls

    async def test_a_wait_that_doesn_t_fit_costs_no_budget(self, clock):
        budget = Budget(0, 1, ttl=1.0, clock=clock)
        with Deadline(5, clock=clock), pytest.raises(ValueError):
            await Harness(clock, delay=9.0, budget=budget).run(Target(ValueError()))
        assert budget.balance == 1


class TestBudget:
    @both
    async def test_empty_means_the_real_error_at_once(self, clock, how):
        harness, error = Harness(clock, budget=Budget(0, 0)), ValueError()
        with pytest.raises(ValueError) as caught:
            await harness.run(Target(error), how)
        assert caught.value is error
        assert caught.value.__notes__ == ["retry: gave up after 1 attempt, the budget is spent"]
        assert harness.slept == []
        assert harness.kinds() == ["attempt", "budget_exhausted", "call"]

    @both
    async def test_the_event_tells_which_try_was_the_last(self, clock, how):
        harness = Harness(clock, budget=Budget(0, 1, ttl=1.0), delay=0)
        with pytest.raises(ValueError):
            await harness.run(Target(ValueError()), how)
        told = [(event.kind, event.policy, event.attempt) for event in harness.events]
        assert told[-2:] == [("budget_exhausted", "retry", 2), ("call", "pipeline", 2)]

    @both
    async def test_empty_returns_the_last_result(self, clock, how):
        harness = Harness(clock, budget=Budget(0, 0), result=lambda _: True)
        assert await harness.run(Target(503), how) == 503

    def test_a_fifth_of_ten_thousand(self, clock):
        target = Target(ValueError())
        clock.pause = lambda _: None
        call = Pipeline("books", Retry(budget=Budget(0.2, 0)), clock=clock)(target)
        for _ in range(10_000):
            with pytest.raises(ValueError):
                call()
        assert target.calls == pytest.approx(12_000, abs=1)

    @both
    async def test_only_retries_are_charged(self, clock, how):
        budget = Budget(0, 1, ttl=1.0)
        harness = Harness(clock, budget=budget)
        for _ in range(5):
            await harness.run(Target("answer"), how)
        assert budget.balance == 1

    @both
    async def test_may_be_left_out(self, clock, how):
        target = Target(ValueError())
        with pytest.raises(ValueError):
            await Harness(clock, attempts=500, delay=0, budget=None).run(target, how)
        assert target.calls == 500

    def test_each_retry_has_its_own_by_default(self):
        assert Retry().budget is not Retry().budget
        assert (Retry().budget.ratio, Retry().budget.reserve, Retry().budget.ttl) == (0.2, 10.0, 10.0)


async def test_first_tries_earn_the_budget_of_coroutines_and_of_plain_functions_by_the_pipelines_clock(clock):
    async def later():
        return None

    for target in (later, lambda: None):
        budget = Budget(0.5, 0, ttl=10.0)
        call = Pipeline("books", Retry(budget=budget), clock=clock)(target)
        for _ in range(4):
            answer = call()
            if target is later:
                await answer
        assert budget.balance == 2.0
        clock.tick(10.0)
        assert budget.balance == 0.0
