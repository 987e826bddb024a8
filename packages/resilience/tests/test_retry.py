"""What is repeated, how often, and how it ends."""

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from bookstore.resilience import Breaker, CircuitOpen, Pipeline, RateLimited, Rejected, Retry

from .retries import Harness, Target, both


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
    assert harness.events[1].detail == {"delay": 1.0, "error": "ValueError"}
    assert [event.policy for event in harness.events] == ["retry"] * 5 + ["pipeline"]


@dataclass(frozen=True)
class Frozen(Exception):
    """Takes no notes, as it takes no attributes."""

    code: int


@both
async def test_an_error_that_takes_no_notes_is_raised_as_itself(clock, how):
    harness, error = Harness(clock), Frozen(503)
    with pytest.raises(Frozen) as caught:
        await harness.run(Target(error), how)
    assert caught.value is error


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
        assert [event.detail for event in harness.events if event.kind == "retry"] == [{"delay": 1.0}] * 2

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
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": 2.5}, "attempts"),
        ({"delay": -1}, "delay"),
        ({"on": 3}, "on"),
        ({"on": "OSError"}, "on"),
        ({"on": (OSError, 3)}, "on"),
        ({"on": int}, "on"),
        ({"result": 503}, "result"),
        ({"budget": 0.2}, "budget"),
        ({"respect_retry_after": "no"}, "respect_retry_after"),
    ],
    ids=str,
)
def test_wrong_settings_name_the_field(settings, field):
    with pytest.raises(ValueError, match=f"^{field} must be"):
        Retry(**settings)


@pytest.mark.parametrize("on", [OSError | KeyError, [OSError, KeyError], {OSError, KeyError}], ids=str)
def test_classes_may_come_as_a_union_or_in_any_collection(clock, on):
    for error, calls in ((KeyError(), 3), (TimeoutError(), 3), (ValueError(), 1), (RateLimited("x"), 1)):
        target = Target(error)
        with pytest.raises(type(error)):
            Pipeline("books", Retry(on=on), clock=clock)(target)()
        assert target.calls == calls


def test_without_listeners_nothing_is_told(clock):
    assert Pipeline("books", Retry(), clock=clock)(Target("answer"))() == "answer"
