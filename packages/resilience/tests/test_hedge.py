"""Races: who starts when, who wins, and what becomes of the others."""

import asyncio
from dataclasses import dataclass
from math import inf

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.budget import Budget
from bookstore.resilience.errors import BulkheadFull, CircuitOpen
from bookstore.resilience.hedge import Hedge
from bookstore.resilience.quantile import Latencies, percentile
from bookstore.resilience.retry import Retry

from .races import Answer, Script, race


@pytest.fixture
def events():
    return []


async def test_a_fast_answer_starts_no_hedge(clock):
    script = Script(clock, (0, "a"))
    task, took = await race(clock, Hedge(after=1.0), script)
    assert (task.result(), took, script.started) == ("a", 0, [0])


async def test_the_first_good_answer_wins(clock, events):
    script = Script(clock, (0.1, "a"), (0.1, "b"), (0.03, "c"))
    task, took = await race(clock, Hedge(after=0.01, max=2), script, events)
    assert (task.result(), took) == ("c", 0.05)
    assert script.started == [0, 0.01, 0.02]
    assert script.cancelled == 2
    hedges = [(e.policy, e.attempt, e.elapsed) for e in events if e.kind == "hedge"]
    assert hedges == [("hedge", 2, pytest.approx(0.01)), ("hedge", 3, pytest.approx(0.02))]


@pytest.mark.parametrize(
    ("steps", "attempts"),
    [
        ([(0.1, "a"), (0.1, "b"), (0.03, "c")], [(3, 0.03, "ok"), (1, 0.05, "ignore"), (2, 0.04, "ignore")]),
        ([(0.03, "a"), (9, "b")], [(1, 0.03, "ok"), (2, 0.02, "ignore"), (3, 0.01, "ignore")]),
        ([(0, OSError("x")), (0.005, "b")], [(1, 0, "fail"), (2, 0.005, "ok")]),
        ([(0, CircuitOpen("breaker"))], [(1, 0, "ignore")]),
        ([(0, asyncio.CancelledError())], [(1, 0, "ignore")]),
    ],
)
async def test_each_try_is_told_with_its_end(clock, events, steps, attempts):
    await race(clock, Hedge(after=0.01, max=2), Script(clock, *steps), events)
    told = [(e.attempt, round(e.elapsed, 6), e.verdict) for e in events if e.kind == "attempt"]
    assert told == attempts
    assert {e.policy for e in events if e.kind == "attempt"} == {"hedge"}
    assert events[-1].kind == "call"


async def test_a_value_that_fails_is_told_as_a_failure(clock, events):
    hedge = Hedge(after=1.0, classify=lambda outcome: "fail" if outcome.value == "bad" else "ok")
    await race(clock, hedge, Script(clock, (0, "bad"), (0, "good")), events)
    assert [e.verdict for e in events if e.kind == "attempt"] == ["fail", "ok"]


async def test_tries_of_a_cancelled_call_are_told(clock, events):
    pipe = Pipeline("p", Hedge(after=0.01), clock=clock, sinks=[events.append])
    task = asyncio.create_task(pipe.call(Script(clock, (1, "a"))))
    await clock.advance(0.02)
    task.cancel()
    await clock.advance(0)
    assert [(e.kind, e.attempt, e.verdict) for e in events if e.kind != "hedge"] == [
        ("attempt", 1, "ignore"),
        ("attempt", 2, "ignore"),
        ("call", 1, "ignore"),
    ]


async def test_the_primary_may_win_late(clock):
    script = Script(clock, (0.1, "a"), (5, "b"))
    task, took = await race(clock, Hedge(after=0.01, max=2), script)
    assert (task.result(), took, script.started) == ("a", 0.1, [0, 0.01, 0.02])


async def test_no_delay_starts_all_at_once(clock):
    script = Script(clock, (0.3, "a"), (0.2, "b"), (0.1, "c"))
    task, took = await race(clock, Hedge(after=0, max=2), script)
    assert (task.result(), took, script.started) == ("c", 0.1, [0, 0, 0])


async def test_without_end_the_next_starts_only_after_a_failure(clock):
    script = Script(clock, (9, "a"))
    assert (await race(clock, Hedge(after=inf), script))[0].result() == "a"
    assert len(script.started) == 1
    script = Script(clock, (9, OSError("x")), (1, "b"))
    start = clock.now() - 1000
    assert (await race(clock, Hedge(after=inf), script))[0].result() == "b"
    assert script.started == [start, start + 9]


async def test_a_failure_starts_the_next_at_once(clock):
    script = Script(clock, (0.2, OSError("a")), (0.1, OSError("b")), (0.1, "c"))
    task, took = await race(clock, Hedge(after=1.0, max=2), script)
    assert (task.result(), took, script.started) == ("c", 0.4, [0, 0.2, 0.3])


async def test_the_delay_counts_from_the_start_before(clock):
    script = Script(clock, (10, "a"), (0.5, OSError("b")), (10, "c"), (10, "d"))
    await race(clock, Hedge(after=1.0, max=3), script)
    assert script.started == [0, 1.0, 1.5, 2.5]


async def test_all_fail_and_the_last_error_tells_of_the_others(clock):
    first, second, third = OSError("a"), OSError("b"), OSError("c")
    script = Script(clock, (0.3, first), (0.1, second), (0.3, third))
    task, _ = await race(clock, Hedge(after=0.1, max=2), script)
    assert task.exception() is third
    assert third.__notes__ == ["hedge: try 2 met OSError('b')", "hedge: try 1 met OSError('a')"]
    frames, trace = [], third.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert frames.count("run") == 1


async def test_one_error_object_gets_no_note_of_itself(clock):
    error = OSError("always the same")
    task, _ = await race(clock, Hedge(after=0.1), Script(clock, (1, error)))
    assert task.exception() is error
    assert not hasattr(error, "__notes__")


async def test_an_error_that_takes_no_notes_is_raised_as_itself(clock):
    @dataclass(frozen=True)
    class Frozen(Exception):
        code: int

    first, last = Frozen(1), Frozen(2)
    task, _ = await race(clock, Hedge(after=0.1), Script(clock, (0, first), (0, last)))
    assert task.exception() is last


async def test_an_error_that_is_not_listed_is_the_answer(clock):
    script = Script(clock, (0.01, KeyError("a")))
    task, took = await race(clock, Hedge(after=1.0, on=OSError), script)
    assert isinstance(task.exception(), KeyError)
    assert (took, len(script.started)) == (0.01, 1)


async def test_a_hedge_that_is_refused_leaves_the_primary_running(clock):
    script = Script(clock, (0.3, "a"), (0, BulkheadFull("bulkhead")))
    task, took = await race(clock, Hedge(after=0.1), script)
    assert (task.result(), took) == ("a", 0.3)


async def test_a_refused_primary_is_refused(clock):
    task, _ = await race(clock, Hedge(after=0.1), Script(clock, (0, CircuitOpen("breaker", 3.0))))
    assert isinstance(task.exception(), CircuitOpen)


async def test_a_refused_hedge_does_not_hide_the_error_before(clock):
    error = OSError("a")
    task, _ = await race(clock, Hedge(after=1.0), Script(clock, (0, error), (0, CircuitOpen("breaker"))))
    assert task.exception() is error
    assert error.__notes__ == ["hedge: try 2 met CircuitOpen('breaker', None)"]


async def test_nothing_but_refusals(clock):
    hedge = Hedge(after=0.1, max=2, on=CircuitOpen)
    task, _ = await race(clock, hedge, Script(clock, (0, CircuitOpen("breaker"))))
    assert isinstance(task.exception(), CircuitOpen)


async def test_late_answers_are_closed(clock):
    class Stubborn(Script):
        async def __call__(self):
            number = len(self.started)
            self.started.append(number)
            try:
                await clock.sleep(1)
            except asyncio.CancelledError:
                return answers[number]
            return answers[number]

    answers = [Answer("a"), Answer("b"), Answer("c")]
    script = Stubborn(clock)
    task, _ = await race(clock, Hedge(after=0.4, max=2), script)
    assert task.result() is answers[0]
    assert [answer.closed for answer in answers] == [False, True, True]


async def test_values_that_fail(clock):
    answers = [Answer("bad"), Answer("bad"), Answer("good")]
    script = Script(clock, *[(0.1, answer) for answer in answers])

    def judge(outcome):
        return "fail" if outcome.error or outcome.value.name == "bad" else "ok"

    task, _ = await race(clock, Hedge(after=1.0, max=2, classify=judge), script)
    assert task.result() is answers[2]
    assert [answer.closed for answer in answers] == [True, True, False]
    script = Script(clock, (0.1, answers[0]), (0.1, OSError("x")), (0.1, answers[1]))
    task, _ = await race(clock, Hedge(after=1.0, max=2, classify=judge), script)
    assert task.result() is answers[1]  # the last answer, bad as it is
    script = Script(clock, (0.1, Answer("bad")), (0.1, OSError("x")))
    task, _ = await race(clock, Hedge(after=1.0, classify=judge), script)
    assert isinstance(task.exception(), OSError)


async def test_errors_that_the_judge_excuses_are_answers(clock):
    script = Script(clock, (0.1, LookupError("no such book")))
    task, _ = await race(clock, Hedge(after=0.5, classify=lambda _: "ok"), script)
    assert isinstance(task.exception(), LookupError)
    assert len(script.started) == 1


async def test_a_try_that_cancels_itself(clock):
    task, _ = await race(clock, Hedge(after=0.5), Script(clock, (0.1, asyncio.CancelledError())))
    assert task.cancelled()


# --- budget --------------------------------------------------------------------------------------------


async def test_an_empty_budget_leaves_the_primary(clock, events):
    hedge = Hedge(after=0.1, max=2, budget=Budget(ratio=0, reserve=0))
    script = Script(clock, (0.5, "a"))
    task, took = await race(clock, hedge, script, events)
    assert (task.result(), took, len(script.started)) == ("a", 0.5, 1)
    assert [e.kind for e in events] == ["budget_exhausted", "attempt", "call"]


async def test_hedges_are_a_share_of_calls(clock):
    hedge = Hedge(after=0.1, budget=Budget(ratio=0.2, reserve=0, ttl=1e6))
    script = Script(clock, (0.5, "a"))
    pipe = Pipeline("p", hedge, clock=clock)
    for _ in range(100):
        task = asyncio.create_task(pipe.call(script))
        await clock.advance(1)
        assert task.result() == "a"
    assert 119 <= len(script.started) <= 121


async def test_a_budget_shared_with_the_retry_inside_counts_a_call_once(clock):
    budget = Budget(ratio=0.2, reserve=0, ttl=1e6)
    pipe = Pipeline("p", Hedge(after=10.0, budget=budget), Retry(delay=0.1, budget=budget), clock=clock)
    script = Script(clock, (0.01, OSError("down")))
    for _ in range(100):
        task = asyncio.create_task(pipe.call(script))
        await clock.advance(1)
        assert isinstance(task.exception(), OSError)
    assert 119 <= len(script.started) <= 121


# --- percentile ----------------------------------------------------------------------------------------


async def test_no_hedge_before_latency_is_known(clock):
    hedge = Hedge(after=percentile(0.95, warmup=20))
    pipe = Pipeline("p", hedge, clock=clock)
    for n in range(1, 21):
        assert hedge.delay == inf
        task = asyncio.create_task(pipe.call(Script(clock, (n / 100, "a"))))
        await clock.advance(1)
        assert task.result() == "a"
    assert hedge.delay == pytest.approx(0.19)
    script = Script(clock, (1, "slow"), (0.01, "fast"))
    begun = clock.now()
    task = asyncio.create_task(pipe.call(script))
    await clock.advance(0.2)
    assert task.result() == "fast"
    assert script.started[1] - (begun - 1000) == pytest.approx(0.19)
    # the loser counts with the time that it had run, or hedging would make calls look faster than they are
    assert max(hedge._latencies._recent) == pytest.approx(0.2)


def test_percentile_by_nearest_rank_over_a_window():
    latencies = Latencies(percentile(0.5, warmup=1, window=4))
    seen = []
    for seconds in (5, 1, 3, 2, 9, 9, 9, 0):
        latencies.add(seconds)
        seen.append(latencies.value)
    assert seen == [5, 1, 3, 2, 2, 3, 9, 9]
    assert percentile(0.99, warmup=1000).window == 1000
    top = Latencies(percentile(0.99, warmup=1))
    for seconds in range(10):
        top.add(seconds)
    assert top.value == 9


@pytest.mark.parametrize(
    ("field", "make", "settings"),
    [
        ("after", Hedge, {"after": -1}),
        ("after", Hedge, {"after": float("nan")}),
        ("after", Hedge, {"after": "soon"}),
        ("max", Hedge, {"after": 1, "max": 0}),
        ("q", percentile, {"q": 0}),
        ("q", percentile, {"q": 1}),
        ("q", percentile, {"q": 1.1}),
        ("warmup", percentile, {"q": 0.5, "warmup": 0}),
        ("window", percentile, {"q": 0.5, "window": 10}),
    ],
)
def test_wrong_settings_name_the_field(field, make, settings):
    with pytest.raises(ValueError, match=field):
        make(**settings)


async def test_due_by_rounding_alone_is_due(clock):
    """A timer may fire a rounding error before the instant that was reckoned: no reason to set it again."""
    after = 0.10000000000013642
    runs = []

    async def work():
        runs.append(clock.now())
        await clock.sleep(1)
        return len(runs)

    task = asyncio.create_task(Pipeline("p", Hedge(after=after), clock=clock).call(work))
    await clock.advance(2)
    assert task.result() == 2
    assert clock.pending == 0
