"""The number of a try, as the call itself sees it."""

import asyncio

import pytest

from bookstore.resilience import Hedge, Pipeline, Retry, SingleFlight, current_attempt

from .retries import both


@both
async def test_each_try_knows_its_number(clock, how):
    seen = []

    def work():
        seen.append(current_attempt())
        if len(seen) < 3:
            raise OSError
        return "answer"

    async def work_async():
        return work()

    pipe = Pipeline("p", Retry(attempts=3, delay=1.0), clock=clock)
    for _ in range(2):
        answer = pipe(work)() if how == "sync" else await clock.finish(_in_this_task(pipe, work_async))
        assert (answer, current_attempt()) == ("answer", 1)
    assert seen == [1, 2, 3, 1]


async def _in_this_task(pipe, work):
    try:
        return await pipe.call(work)
    finally:
        assert current_attempt() == 1


@both
async def test_the_number_ends_with_a_try_that_fails(clock, how):
    def work():
        raise OSError

    async def work_async():
        work()

    pipe = Pipeline("p", Retry(attempts=2, delay=1.0), clock=clock)
    with pytest.raises(OSError):
        pipe(work)() if how == "sync" else await clock.finish(_in_this_task(pipe, work_async))
    assert current_attempt() == 1


async def test_a_retry_of_hedges_counts_on_and_a_hedge_of_retries_too(clock):
    seen = []

    async def work():
        seen.append(current_attempt())
        await asyncio.sleep(0)
        raise OSError

    pipe = Pipeline("p", Hedge(after=float("inf"), max=1), Retry(attempts=2, delay=1.0), clock=clock)
    with pytest.raises(OSError):
        await clock.finish(_in_this_task(pipe, work))
    assert seen == [1, 2, 2, 3]


async def test_within_a_later_try_what_is_called_anew_knows_it(clock):
    seen = []

    async def send():
        seen.append(current_attempt())
        if len(seen) < 2:
            raise OSError

    inner = Pipeline("inner", SingleFlight())
    outer = Pipeline("outer", Retry(attempts=2, delay=1.0), clock=clock)
    await clock.finish(_in_this_task(outer, lambda: inner.call(send)))
    assert seen == [1, 2]
