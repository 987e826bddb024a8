"""Leases over a Redis that is slow or gone, and those who wait in line for them, in virtual time."""

import asyncio

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.quota import Quota

from .far import Redis, ask, close, limiter_of


@pytest.fixture
def redis(clock):
    return Redis(clock)


async def test_a_refill_is_on_its_way_before_anybody_waits(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=3)
    assert (await ask(limiter, clock, 0.01))[0].allowed
    assert redis.asked[0][1][2:4] == (1, 4)  # one for who asked, and a lease
    for _ in range(2):
        await limiter.try_acquire()
    assert len(redis.asked) == 1
    await limiter.try_acquire()  # the last of the lease, and nobody had time to fetch more
    await clock.advance(0.01)
    assert redis.asked[1][1][2:4] == (1, 3)
    clock.tick(0.25)
    decision = await limiter.try_acquire()
    assert (decision.remaining, decision.reset_after) == (999_993 + 2, pytest.approx(0.75, abs=0.02))
    await close(store, clock)
    assert redis.asked[-1][1][2] == -2  # given back


async def test_who_asks_steadily_never_waits_for_a_lease(redis, clock):
    limiter, store = limiter_of(redis, clock, Quota(1000, per=1.0), lease=10)
    assert (await ask(limiter, clock, 0.01))[0].allowed
    spent, before = 1, redis.units
    for _ in range(40):
        for _ in range(3):
            assert limiter.decide_now() is not None
            spent += 1
        await clock.advance(0.002)
        assert 10**6 - redis.units - spent <= 10  # and no more is held than one lease
    assert (before - redis.units) // 20 <= len(redis.asked) <= (before - redis.units) // 5 + 1
    await close(store, clock)


async def test_more_is_not_asked_for_while_there_is_known_to_be_none(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=10)
    redis.units = 11
    assert (await ask(limiter, clock, 0.01))[0].allowed  # all that there is: the ten are leased
    for _ in range(9):
        assert limiter.decide_now().allowed
        await clock.advance(0.002)
    assert len(redis.asked) == 2  # once when half was left, and refused
    assert limiter.decide_now().allowed
    await clock.advance(0.002)
    assert not limiter.decide_now().allowed  # known, and not asked for
    assert len(redis.asked) == 3  # as nothing was left
    clock.tick(0.6)
    redis.units = 20
    assert (await ask(limiter, clock, 0.01))[0].allowed
    await close(store, clock)


async def test_never_two_refills_at_once_and_a_cancelled_waiter_loses_nothing(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=10)
    tasks = [asyncio.create_task(limiter.try_acquire()) for _ in range(10)]
    await clock.advance(0)
    assert len(redis.asked) == 1
    for task in tasks[:4]:
        task.cancel()
    await clock.advance(0.01)
    assert [task.cancelled() for task in tasks] == [True] * 4 + [False] * 6
    assert len(redis.asked) == 1
    assert redis.asked[0][1][2:4] == (1, 20)
    for _ in range(14):
        await limiter.try_acquire()  # what the four would have had is still here, and a lease
    assert len(redis.asked) == 1
    await close(store, clock)


async def test_costs_and_leases(redis, clock):
    limiter, _ = limiter_of(redis, clock, lease=5)
    await ask(limiter, clock, 0.01, cost=4)
    tasks = [asyncio.create_task(limiter.try_acquire(cost=cost)) for cost in (4, 3)]
    await clock.advance(0.01)
    assert all(task.result().allowed for task in tasks)  # one is held, two must come, seven may
    assert redis.asked[1][1][2:4] == (2, 7)
    await ask(limiter, clock, 0.01, cost=6)  # more than a lease: by itself
    assert redis.asked[2][1][2:4] == (6, 6)


async def test_a_refusal_is_known_until_it_ends(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=5)
    redis.units = 2
    assert not (await ask(limiter, clock, 0.01, cost=3))[0].allowed
    assert not (await limiter.try_acquire(cost=4)).allowed
    assert len(redis.asked) == 1
    await store.aclose()  # nothing to give back
    assert len(redis.asked) == 1
    assert (await ask(limiter, clock, 0.01, cost=1))[0].allowed  # that was not refused
    assert len(redis.asked) == 3  # and the next one is fetched ahead
    clock.tick(0.5)
    redis.units = 10
    assert (await ask(limiter, clock, 0.01, cost=3))[0].allowed


async def test_a_lease_is_over_after_its_time(redis, clock):
    limiter, _ = limiter_of(redis, clock, lease=5, lease_ttl=0.4)
    await ask(limiter, clock, 0.01)
    clock.tick(0.38)
    assert (await limiter.try_acquire()).allowed
    clock.tick(0.02)
    await ask(limiter, clock, 0.01)
    assert len(redis.asked) == 2


async def test_leases_in_an_outage(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=3, outage="closed")
    await ask(limiter, clock, 0.01)
    redis.error = OSError("gone")
    for _ in range(3):
        assert (await limiter.try_acquire()).allowed  # what is held is good
    await clock.advance(0.01)  # the refill has failed by now
    assert not (await ask(limiter, clock, 0.01))[0].allowed
    await close(store, clock)


async def test_a_lease_first_and_then_in_line(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=2, wait=1.0)
    redis.units = 2

    async def enter():
        async with limiter:
            return clock.now()

    tasks = [asyncio.create_task(enter()) for _ in range(3)]
    await clock.advance(0.1)
    assert [task.exception() is None for task in tasks] == [True, True, False]
    assert redis.asked[-1][1][4] == 1e6  # asked for a place in line
    await close(store, clock)


async def test_pools_of_keys_at_rest_are_forgotten(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=2, lease_ttl=0.5)
    for n in range(40):
        tasks = [asyncio.create_task(limiter.try_acquire(f"{n}/{m}")) for m in range(50)]
        await clock.advance(0.6)
        assert all(task.result().allowed for task in tasks)
    (desk,) = store._desks.values()
    assert len(desk._pools) <= 1024 + 50
    redis.delay = 0
    await close(store, clock)


async def test_a_place_in_line_is_waited_for_or_given_back(redis, clock):
    limiter, store = limiter_of(redis, clock, wait=1.0)
    pipe = Pipeline("p", limiter, clock=clock)

    async def work():
        return clock.now() - begun

    begun = clock.now()
    redis.due = 300_000
    stays, leaves = (asyncio.create_task(pipe.call(work)) for _ in range(2))
    await clock.advance(0.2)
    leaves.cancel()
    await clock.advance(0.2)
    assert stays.result() == pytest.approx(0.301)
    assert leaves.cancelled()
    assert redis.asked[-1][1][2] == -1
    redis.units = 0
    refused = asyncio.create_task(pipe.call(work))
    await clock.advance(0.1)
    assert refused.exception().retry_after == 0.5
    await close(store, clock)


async def test_closing_waits_for_what_is_under_way(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=2)
    task = asyncio.create_task(limiter.try_acquire())
    await clock.advance(0)
    task.cancel()
    closing = asyncio.create_task(store.aclose())
    await clock.advance(0.01)
    assert closing.done()
    assert clock.pending == 0
    assert redis.units == 10**6
    assert repr(store) == "RedisLimits(lease=2, outage='local')"


async def test_a_round_trip_that_is_cancelled_itself_teaches_nothing(redis, clock):
    limiter, store = limiter_of(redis, clock)
    task = asyncio.create_task(limiter.try_acquire())
    await clock.advance(0)
    (trip,) = store.link._tasks
    trip.cancel()
    await clock.advance(0.01)
    assert task.cancelled()
    assert store.link.breaker.state == "closed"


@pytest.mark.parametrize(("units", "asked"), [(10, [2, -2]), (1, [2])])
async def test_who_is_cancelled_while_asking_gives_back_what_comes(redis, clock, units, asked):
    limiter, store = limiter_of(redis, clock)
    redis.units = units
    task = asyncio.create_task(limiter.try_acquire(cost=2))
    await clock.advance(0.0005)
    task.cancel()
    await clock.advance(0.0001)
    assert task.cancelled()
    closing = asyncio.create_task(store.aclose())  # which waits for that
    await clock.advance(0.0001)
    assert not closing.done()
    await clock.advance(0.01)
    assert closing.done()
    assert not store.link._tasks
    assert [args[2] for _, args in redis.asked] == asked
    assert redis.asked[-1][1][6] == len(asked) - 1  # by the instant of the grant, which here is its number
