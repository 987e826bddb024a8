import asyncio
from contextlib import suppress

import pytest

from bookstore.resilience import Pipeline, TimedOut, Timeout
from bookstore.resilience.clock import SYSTEM
from bookstore.resilience.cutoff import Cutoff


def limited(clock, seconds=1.0, **settings):
    return Pipeline("books", Timeout(seconds), clock=clock, **settings)


async def test_cuts_off_what_takes_too_long(clock):
    events = []
    call = asyncio.create_task(limited(clock, sinks=[events.append]).call(clock.sleep, 5))
    await clock.advance(0.999)
    assert not call.done()
    await clock.advance(0.001)
    error = call.exception()
    assert type(error) is TimedOut
    assert isinstance(error, TimeoutError)
    assert (error.policy, error.seconds, str(error)) == ("timeout", 1.0, "timeout: no answer within 1 s")
    assert clock.pending == 0
    assert [(event.kind, event.elapsed, event.verdict) for event in events] == [
        ("timeout", 1.0, "fail"),
        ("call", 1.0, "fail"),
    ]


async def test_gives_the_value_and_leaves_no_timer(clock):
    async def works(seconds):
        await clock.sleep(seconds)
        return "value"

    pipeline = limited(clock)
    assert await pipeline.call(works, 0) == "value"
    assert await clock.finish(pipeline.call(works, 0.9)) == "value"
    assert clock.pending == 0


async def test_sets_no_timer_for_what_doesn_t_wait(clock):
    clock.call_at = None

    async def works():
        return "value"

    assert await limited(clock).call(works) == "value"


async def test_time_counts_from_the_beginning_of_the_call(clock):
    async def works():
        clock.tick(0.75)  # before it first waits
        await clock.sleep(0.5)

    with pytest.raises(TimedOut):
        await clock.finish(limited(clock).call(works))
    assert clock.now() == 1_001.0


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_a_timeout_error_of_the_call_stays_itself(clock, seconds):
    error = TimeoutError("mine")

    async def fails():
        await clock.sleep(seconds)
        raise error

    with pytest.raises(TimeoutError) as caught:
        await clock.finish(limited(clock, 5).call(fails))
    assert caught.value is error


async def test_an_error_without_waiting_is_itself(clock):
    async def fails():
        raise ValueError

    with pytest.raises(ValueError):
        await limited(clock).call(fails)
    assert clock.pending == 0


async def test_what_swallows_its_cancellation_has_returned_a_value(clock):
    async def stubborn():
        try:
            await clock.sleep(5)
        except asyncio.CancelledError:
            await clock.sleep(1)
        return asyncio.current_task()

    task = await clock.finish(limited(clock).call(stubborn))
    assert task.cancelling() == 0


async def test_what_turns_its_cancellation_into_an_error_raises_that(clock):
    async def turns():
        try:
            await clock.sleep(5)
        except asyncio.CancelledError:
            raise LookupError from None

    with pytest.raises(LookupError):
        await clock.finish(limited(clock).call(turns))


async def test_a_cancellation_from_outside_is_no_timeout(clock):
    call = asyncio.create_task(limited(clock).call(clock.sleep, 5))
    await clock.advance(0.5)
    call.cancel()
    await clock.advance(0)
    assert call.cancelled()
    assert clock.pending == 0


@pytest.mark.parametrize("first", ["outside", "timer"])
async def test_a_cancellation_from_outside_in_the_same_tick_wins(clock, first):
    call = asyncio.create_task(limited(clock).call(clock.sleep, 5))
    if first == "outside":
        clock.call_at(1_001.0, call.cancel)
        await clock.advance(0)
    else:
        await clock.advance(0)
        clock.call_at(1_001.0, call.cancel)
    await clock.advance(1)
    assert call.cancelled()


@pytest.mark.parametrize("seconds", [0.5, 5])
async def test_the_task_s_count_of_cancellations_is_back(clock, seconds):
    seen = []

    async def outer():
        task = asyncio.current_task()
        seen.append(task.cancelling())
        with suppress(TimedOut):
            await limited(clock).call(clock.sleep, seconds)
        seen.append(task.cancelling())
        async with asyncio.timeout(None):
            await clock.sleep(1)

    await clock.finish(outer())
    assert seen == [0, 0]


async def test_works_under_a_task_that_is_being_cancelled(clock):
    seen = []

    async def outer():
        try:
            await clock.sleep(99)
        except asyncio.CancelledError:
            with pytest.raises(TimedOut):
                await limited(clock).call(clock.sleep, 5)
            seen.append(asyncio.current_task().cancelling())
            raise

    task = asyncio.create_task(outer())
    await clock.advance(1)
    task.cancel()
    await clock.advance(1)
    assert task.cancelled()
    assert seen == [1]


async def test_nested_limits_each_know_their_own(clock):
    for outer, inner, by in ((1, 2, "outer"), (2, 1, "inner"), (1, 1, "outer")):
        pipeline = Pipeline("books", Timeout(outer, name="outer"), Timeout(inner, name="inner"), clock=clock)
        with pytest.raises(TimedOut) as caught:
            await clock.finish(pipeline.call(clock.sleep, 5))
        assert caught.value.policy == by
        assert clock.pending == 0


async def test_one_object_serves_a_hundred_tasks(clock):
    timeout = Timeout(1.0, clock=clock)

    async def work(seconds):
        async with timeout:
            await clock.sleep(seconds)

    tasks = []
    for n in range(100):
        tasks.append(asyncio.create_task(work(0.5 if n % 2 else 5)))
        await clock.advance(0.001)
    await clock.advance(1)
    assert [type(task.exception()) for task in tasks] == [TimedOut, type(None)] * 50
    assert clock.pending == 0


async def test_an_error_in_the_block_stays_itself(clock):
    with pytest.raises(ValueError):
        async with Timeout(1.0, clock=clock):
            raise ValueError
    assert clock.pending == 0


async def test_a_closed_call_closes_its_work(clock):
    seen = []

    async def works():
        try:
            await clock.sleep(5)
        finally:
            seen.append("closed")

    coroutine = limited(clock).call(works)

    async def begin():
        coroutine.send(None)
        coroutine.close()

    await asyncio.create_task(begin())
    assert seen == ["closed"]
    assert clock.pending == 0


async def test_on_the_real_clock():
    with pytest.raises(TimedOut):
        await Pipeline("books", Timeout(0.001)).call(asyncio.Event().wait)
    async with Timeout(60):
        await asyncio.sleep(0)


def test_needs_a_task(clock):
    work = limited(clock).call(clock.sleep, 1)
    loop = asyncio.new_event_loop()
    asyncio._set_running_loop(loop)
    try:
        with pytest.raises(RuntimeError, match="needs a running task"):
            Cutoff(SYSTEM, 0.0)
    finally:
        asyncio._set_running_loop(None)
        loop.close()
        work.close()


def test_a_plain_function_runs_to_its_end_and_has_timed_out_if_that_is_late(clock):
    events = []

    def works(seconds):
        clock.tick(seconds)
        return "done"

    guarded = limited(clock, sinks=[events.append])(works)
    assert guarded(1.0) == "done"
    with pytest.raises(TimedOut):
        guarded(1.1)
    assert [(event.kind, event.elapsed) for event in events if event.kind == "timeout"] == [
        ("timeout", pytest.approx(1.1))
    ]


def test_a_plain_function_that_fails_late_has_failed(clock):
    def fails():
        clock.tick(5)
        raise KeyError("mine")

    with pytest.raises(KeyError):
        limited(clock)(fails)()


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), None, "1", True], ids=str)
def test_wrong_settings_name_the_field(seconds):
    with pytest.raises(ValueError, match=r"^seconds must be"):
        Timeout(seconds)


async def test_what_answers_its_cancellation_at_once_has_returned_a_value(clock):
    async def stubborn():
        try:
            await clock.sleep(5)
        except asyncio.CancelledError:
            return "value"

    assert await clock.finish(limited(clock).call(stubborn)) == "value"
    assert clock.now() == 1_001.0
