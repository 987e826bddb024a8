import asyncio
from types import SimpleNamespace

import pytest

from bookstore.resilience import (
    Breaker,
    Budget,
    CircuitOpen,
    Deadline,
    Pipeline,
    RateLimited,
    Rejected,
    Retry,
    backoff,
)
from bookstore.resilience.retryafter import retry_after


class Target:
    """Gives its answers in turn, the last one for ever, and raises those that are errors."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def later(self):
        return self()


class Harness:
    """A retry alone in a pipeline, called the async way and the sync way."""

    def __init__(self, clock, **settings):
        self.clock, self.events, self.slept = clock, [], []
        self.pipeline = Pipeline(
            "books", Retry(**{"delay": 1.0} | settings), clock=clock, sinks=[self.events.append]
        )
        self.sleep, clock.sleep = clock.sleep, self._sleep
        self.pause, clock.pause = clock.pause, self._pause

    async def _sleep(self, seconds):
        self.slept.append(seconds)
        await self.sleep(seconds)

    def _pause(self, seconds):
        self.slept.append(seconds)
        self.pause(seconds)

    def kinds(self):
        return [event.kind for event in self.events]

    async def run(self, target, how="async"):
        if how == "sync":
            return self.pipeline(target)()
        return await self.clock.finish(self.pipeline.call(target.later))


both = pytest.mark.parametrize("how", ["async", "sync"])


@both
async def test_three_attempts_two_sleeps_the_same_error(clock, how):
    harness, error = Harness(clock, attempts=3), ValueError("real")
    target = Target(error)
    with pytest.raises(ValueError) as caught:
        await harness.run(target, how)
    assert caught.value is error
    assert caught.value.__notes__ == ["retry: gave up after 3 attempts, no try is left"]
    assert (target.calls, harness.slept) == (3, [1.0, 1.0])
    assert harness.kinds() == ["attempt", "retry", "attempt", "retry", "attempt", "call"]
    assert [event.attempt for event in harness.events] == [1, 1, 2, 2, 3, 3]
    assert [event.verdict for event in harness.events if event.kind == "attempt"] == ["fail"] * 3
    assert harness.events[1].detail == {"delay": 1.0}
    assert [event.policy for event in harness.events] == ["retry"] * 5 + ["pipeline"]


@both
async def test_success_ends_it(clock, how):
    harness, target = Harness(clock), Target(ValueError(), "answer")
    assert await harness.run(target, how) == "answer"
    assert (target.calls, harness.slept) == (2, [1.0])
    assert [(event.kind, event.verdict) for event in harness.events] == [
        ("attempt", "fail"),
        ("retry", None),
        ("attempt", "ok"),
        ("call", "ok"),
    ]


@both
async def test_each_attempt_is_measured(clock, how):
    harness = Harness(clock, attempts=4, delay=3.0, result=lambda value: value == "unwanted")
    target = Target(ValueError(), "unwanted", ValueError(), "answer")
    work = SimpleNamespace(calls=0)

    def timed():
        work.calls += 1
        clock.tick(work.calls)
        return target()

    if how == "sync":
        harness.pipeline(timed)()
    else:
        await clock.finish(harness.pipeline.call(timed))
    assert [event.elapsed for event in harness.events if event.kind == "attempt"] == [1, 2, 3, 4]


@both
async def test_a_note_is_not_written_twice(clock, how):
    harness, error = Harness(clock, attempts=1), ValueError()
    for _ in range(3):
        with pytest.raises(ValueError):
            await harness.run(Target(error), how)
    assert error.__notes__ == ["retry: gave up after 1 attempt, no try is left"]


@pytest.mark.parametrize(
    ("on", "error", "calls"),
    [
        (None, ValueError(), 3),
        (None, RateLimited("quota"), 1),
        (ValueError, ValueError(), 3),
        (ValueError, KeyError(), 1),
        ((KeyError, ValueError), ValueError(), 3),
        ((KeyError, IndexError), ValueError(), 1),
        (lambda error: isinstance(error, ValueError), ValueError(), 3),
        (lambda error: isinstance(error, ValueError), KeyError(), 1),
        (Exception, RateLimited("quota"), 1),
        (lambda _: True, RateLimited("quota"), 1),
        (RateLimited, RateLimited("quota"), 3),
        (Rejected, RateLimited("quota"), 3),
        ((ValueError, RateLimited), RateLimited("quota"), 3),
        ((ValueError, RateLimited), CircuitOpen("breaker"), 1),
        (BaseException, ValueError(), 3),
        (BaseException, RateLimited("quota"), 1),
    ],
    ids=str,
)
@both
async def test_which_errors_are_repeated(clock, on, error, calls, how):
    target = Target(error)
    with pytest.raises(type(error)) as caught:
        await Harness(clock, on=on).run(target, how)
    assert target.calls == calls
    assert bool(getattr(caught.value, "__notes__", None)) == (calls > 1)


@pytest.mark.parametrize("on", [None, lambda _: True, BaseException, asyncio.CancelledError])
@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_cancellation_is_never_repeated(clock, on, error):
    target = Target(error())
    events = []
    pipeline = Pipeline("books", Retry(on=on), clock=clock, sinks=[events.append])
    with pytest.raises(error):
        pipeline(target)()
    assert target.calls == 1
    assert [event.verdict for event in events] == ["ignore", "ignore"]


async def test_cancelled_while_sleeping_or_working(clock):
    target = Target(ValueError())
    for work in (target.later, lambda: clock.sleep(99)):
        call = asyncio.create_task(
            Pipeline("books", Retry(on=lambda _: True, delay=5), clock=clock).call(work)
        )
        await clock.advance(1)
        call.cancel()
        await clock.advance(0)
        assert call.cancelled()
    await clock.advance(100)
    assert target.calls == 1
    assert clock.pending == 0


@both
async def test_another_error_later_is_raised_with_a_note(clock, how):
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        await Harness(clock, on=ValueError).run(Target(ValueError(), error), how)
    assert caught.value is error
    assert caught.value.__notes__ == ["retry: gave up after 2 attempts, this error isn't repeated"]
    assert caught.value.__context__ is None


class TestResults:
    @both
    async def test_an_unwanted_result_is_tried_again(self, clock, how):
        harness, target = Harness(clock, result=lambda value: value == 503), Target(503, 503, 200)
        assert await harness.run(target, how) == 200
        assert target.calls == 3
        assert [event.verdict for event in harness.events if event.kind == "attempt"] == [
            "fail",
            "fail",
            "ok",
        ]

    @both
    async def test_the_last_one_is_returned(self, clock, how):
        harness, target = Harness(clock, result=lambda value: value == 503), Target(503)
        assert await harness.run(target, how) == 503
        assert (target.calls, harness.slept) == (3, [1.0, 1.0])

    @both
    async def test_what_is_discarded_is_closed_before_the_sleep(self, clock, how):
        closed = []

        class Answer:
            def __init__(self, name):
                self.name = name

            def close(self):
                closed.append((self.name, clock.now()))
                raise OSError

        answers = [Answer("a"), Answer("b"), Answer("c")]
        kept = await Harness(clock, result=lambda answer: answer.name != "d").run(Target(*answers), how)
        assert kept is answers[2]
        assert closed == [("a", 1_000.0), ("b", 1_001.0)]

    async def test_async_closing_is_awaited_and_comes_first(self, clock):
        closed = []

        class Answer:
            async def aclose(self):
                await clock.sleep(0.25)
                closed.append(clock.now())

            def close(self):
                raise AssertionError

        await Harness(clock, attempts=2, result=lambda _: True).run(Target(Answer()))
        assert closed == [1_000.25]

    @both
    async def test_the_answer_of_an_error_is_closed_too(self, clock, how):
        closed = []
        error = ValueError()
        error.response = SimpleNamespace(close=lambda: closed.append(1), status_code=503, headers={})
        with pytest.raises(ValueError):
            await Harness(clock, attempts=2).run(Target(error), how)
        assert closed == [1]


class TestDelays:
    @both
    async def test_back_off_is_asked_with_the_last_delay(self, clock, how):
        clock.random = lambda: 0.5
        spread = backoff(1, cap=100, jitter="decorrelated")
        harness = Harness(clock, attempts=4, delay=spread, result=lambda _: True)
        with pytest.raises(ValueError):
            await harness.run(Target(ValueError()), how)
        assert harness.slept == [2.0, 3.5, 5.75]
        harness.slept.clear()
        await harness.run(Target("unwanted"), how)
        assert harness.slept == [2.0, 3.5, 5.75]

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
        (SimpleNamespace(response=answer({"retry-after": "soon"})), 0.0),
        (SimpleNamespace(response=answer({"retry-after": "-5"})), 0.0),
        (SimpleNamespace(response=answer({"retry-after": "nan"})), 0.0),
        (SimpleNamespace(response=answer({"x": "2"})), 0.0),
        (SimpleNamespace(response=SimpleNamespace(headers={"retry-after": "2"})), 0.0),
        (SimpleNamespace(response=None), 0.0),
        (answer({"retry-after": "2"}), 2.0),
        (ValueError(), 0.0),
        (503, 0.0),
    ],
    ids=str,
)
def test_retry_after(clock, ended, seconds):
    assert retry_after(ended, clock) == seconds


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


async def test_an_open_circuit_inside_ends_the_tries(clock):
    target = Target(ValueError())
    pipeline = Pipeline("books", Retry(attempts=5, delay=1.0), Breaker(consecutive=2), clock=clock)
    with pytest.raises(CircuitOpen) as caught:
        await clock.finish(pipeline.call(target.later))
    assert target.calls == 2
    assert caught.value.__context__ is None
    assert caught.value.__notes__ == ["retry: gave up after 3 attempts, this error isn't repeated"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"attempts": 0}, "attempts"), ({"attempts": 2.5}, "attempts"), ({"delay": -1}, "delay")],
    ids=str,
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Retry(**settings)


def test_without_listeners_nothing_is_told(clock):
    assert Pipeline("books", Retry(), clock=clock)(Target("answer"))() == "answer"
