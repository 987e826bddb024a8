"""Limits that let callers wait: fairness of the line, cancellation, and limits around calls."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.errors import RateLimited
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.testing import FakeClock


def joined(limiter, clock, sinks=()):
    return Pipeline("p", limiter, clock=clock, sinks=sinks)


async def now(clock):
    return clock.now()


async def test_waiters_are_let_in_one_step_apart_in_order(clock):
    limiter = RateLimit(Quota(10, burst=1), wait=1.0)
    pipe = joined(limiter, clock)
    start = clock.now()
    tasks = [asyncio.create_task(pipe.call(now, clock)) for _ in range(4)]
    await clock.advance(1)
    assert [round(t.result() - start, 6) for t in tasks] == [0, 0.1, 0.2, 0.3]
    assert clock.pending == 0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_a_wait_that_would_be_too_long_is_refused_at_once_and_free(clock, algorithm):
    limiter = RateLimit(Quota(1, per=0.1, algorithm=algorithm), wait=0.2)
    pipe = joined(limiter, clock)
    tasks = [asyncio.create_task(pipe.call(now, clock)) for _ in range(5)]
    await clock.advance(0)
    assert [t.done() for t in tasks] == [True, False, False, True, True]
    for refused in tasks[3:]:
        assert isinstance(refused.exception(), RateLimited)
        assert refused.exception().retry_after == 0.3
    await clock.advance(0.3)
    assert [t.exception() is None for t in tasks] == [True, True, True, False, False]
    assert limiter.try_acquire().allowed  # the refused ones took nothing


async def test_a_newcomer_never_overtakes_a_big_one(clock):
    limiter = RateLimit(Quota(10, burst=2), wait=1.0, cost=2)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    start = clock.now()
    big = asyncio.create_task(pipe.call(now, clock))
    await clock.advance(0.1)
    assert not limiter.try_acquire(cost=1).allowed
    assert limiter.try_acquire(cost=1).remaining == 0
    await clock.advance(0.1)
    assert big.result() - start == pytest.approx(0.2)


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_a_cancelled_waiter_gives_its_place_to_those_behind(clock, algorithm):
    limiter = RateLimit(Quota(1, per=0.1, algorithm=algorithm), wait=1.0)
    pipe = joined(limiter, clock)
    start = clock.now()
    tasks = [asyncio.create_task(pipe.call(now, clock)) for _ in range(5)]
    await clock.advance(0.05)
    tasks[2].cancel()
    await clock.advance(0)
    assert tasks[2].cancelled()
    tasks.append(asyncio.create_task(pipe.call(now, clock)))
    await clock.advance(1)
    times = [round(t.result() - start, 6) for t in tasks if not t.cancelled()]
    assert times == [0, 0.1, 0.2, 0.3, 0.4]
    assert clock.pending == 0


async def test_the_last_waiter_to_leave_leaves_nothing(clock):
    limiter = RateLimit(Quota(1, per=1.0), wait=1.0)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    for _ in range(50):
        task = asyncio.create_task(pipe.call(now, clock))
        await clock.advance(0)
        task.cancel()
        await clock.advance(0)
    assert clock.pending == 0
    assert len(limiter.store.open(limiter.quota, "", None).line) == 0
    await clock.advance(1)
    assert limiter.try_acquire().allowed


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_cancelled_in_the_tick_of_its_turn(clock, cancel_first):
    limiter = RateLimit(Quota(1, per=1.0), wait=2.0)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    task, behind = (asyncio.create_task(pipe.call(now, clock)) for _ in range(2))
    await clock.advance(0)
    line = limiter.store.open(limiter.quota, "", None).line
    waiter = line._lines[""][0]
    steps = [task.cancel, waiter.timer.fn]
    for step in steps if cancel_first else steps[::-1]:
        step()
    waiter.timer.cancel()
    await clock.advance(2)
    assert task.cancelled()
    assert behind.result()
    assert len(line) == clock.pending == 0


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_cancelled_after_its_turn_with_a_timer_that_is_late_it_has_spent(clock, algorithm):
    """A process that was held up: others are charged before the timer rings, and must not be let in twice."""
    limiter = RateLimit(Quota(1, per=1.0, algorithm=algorithm), wait=2.0)
    pipe = joined(limiter, clock)
    await pipe.call(now, clock)
    task = asyncio.create_task(pipe.call(now, clock))
    await clock.advance(0)
    clock.tick(50)
    assert limiter.try_acquire().allowed
    task.cancel()
    await clock.advance(0)
    assert task.cancelled()
    assert not limiter.try_acquire().allowed
    assert clock.pending == 0
    task = asyncio.create_task(pipe.call(now, clock))
    await clock.advance(0)
    clock.tick(1)
    assert not limiter.try_acquire().allowed
    task.cancel()
    await clock.advance(0)
    assert limiter.try_acquire().allowed  # in the very moment of its turn it has spent nothing yet
    assert len(limiter.store.open(limiter.quota, "", None).line) == clock.pending == 0


async def test_keys_and_costs_from_the_call(clock):
    limiter = RateLimit(Quota(2), key=lambda user: user, cost=2)

    async def user(name):
        return name

    pipe = joined(limiter, clock)
    assert await pipe.call(user, "ann") == "ann"
    assert await pipe.call(user, "bob") == "bob"
    with pytest.raises(RateLimited):
        await pipe.call(user, "ann")


async def test_a_refusal_is_told_with_its_retry_after(clock):
    events = []
    pipe = joined(RateLimit(Quota(1, per=4.0), name="slow"), clock, [events.append])
    await pipe.call(now, clock)
    refusals = []
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await pipe.call(now, clock)
        refusals.append(caught.value)
    assert refusals[0] is not refusals[1]
    assert (refusals[0].policy, refusals[0].retry_after) == ("slow", 4.0)
    told = [e for e in events if e.kind == "rejected"]
    assert [(e.policy, e.verdict, e.detail) for e in told] == [
        ("slow", "ignore", {"retry_after": 4.0, "error": "RateLimited"})
    ] * 2


# --- alone, and for plain functions --------------------------------------------------------------------


async def test_as_a_guard(clock):
    limiter = RateLimit(Quota(10, burst=1), wait=0.1, clock=clock)
    async with limiter:
        pass

    async def enter():
        async with limiter:
            return clock.now()

    start = clock.now()
    waits, late = (asyncio.create_task(enter()) for _ in range(2))
    await clock.advance(0.2)
    assert waits.result() - start == pytest.approx(0.1)
    assert isinstance(late.exception(), RateLimited)
    with limiter:
        pass
    with pytest.raises(RateLimited) as refused, limiter:
        pass
    assert refused.value.retry_after == 0.1
    clock.tick(5)
    permit = limiter.acquire()
    for settle in (permit.ok, permit.drop, partial(permit.fail, ValueError())):
        settle()
    assert not limiter.try_acquire().allowed


def test_plain_functions_block_while_they_wait(clock):
    limiter = RateLimit(Quota(10, burst=1), wait=0.1, key=lambda: "k")

    @joined(limiter, clock)
    def instant():
        return clock.now()

    start = clock.now()
    assert [instant() - start for _ in range(3)] == pytest.approx([0, 0.1, 0.2])
    unlucky = RateLimit(Quota(10, burst=1))
    work = joined(unlucky, clock)(lambda: 1)
    assert work() == 1
    with pytest.raises(RateLimited):
        work()


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_threads_get_no_more_than_the_quota(clock, algorithm):
    work = joined(RateLimit(Quota(500, per=1000.0, algorithm=algorithm)), clock)(lambda: True)

    def many(_):
        done = 0
        for _ in range(400):
            with suppress(RateLimited):
                done += work()
        return done

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(many, range(4))) == 500
    finally:
        sys.setswitchinterval(interval)


def test_the_limits_own_clock_wins_over_the_pipelines(clock):
    own = FakeClock()
    limiter = RateLimit(Quota(1, per=5.0), clock=own)
    work = joined(limiter, clock)(lambda: 1)
    work()
    clock.tick(100)
    with pytest.raises(RateLimited):
        work()
    own.tick(5)
    assert work() == 1
