"""Who gets what of a lease, and in which order."""

import asyncio
from dataclasses import replace

import pytest

from bookstore.resilience.lease import Grant, Pool
from bookstore.resilience.quota import Quota
from bookstore.resilience.store import Decision

from .far import Redis, close, limiter_of


def granted(units, left=50, due=0.0, whole=2.0):
    return Grant(units, Decision(units > 0, left, due, whole), 7)


async def stand(pool, cost):
    turn = pool.queue(cost)
    try:
        return await turn
    except asyncio.CancelledError:
        pool.leave(cost, turn)
        raise


@pytest.fixture
async def line():
    """A pool that holds nothing, and three who wait for 1, 3 and 2."""
    pool = Pool()
    tasks = [asyncio.create_task(stand(pool, cost)) for cost in (1, 3, 2)]
    await asyncio.sleep(0)
    assert (pool.waiting, pool.next_cost) == (6, 1)
    yield pool, tasks
    pool.fail()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_comes_is_handed_out_in_order(line):
    pool, tasks = line
    pool.fill(10.0, 1.0, 1, granted(9))
    pool.serve(10.0)
    assert (pool.waiting, pool.next_cost, pool.held(10.0)) == (0, 0, 3)  # before any of them has run again
    answers = await asyncio.gather(*tasks)
    assert [answer.remaining for answer in answers] == [58, 55, 53]
    assert {(answer.allowed, answer.retry_after, answer.reset_after) for answer in answers} == {
        (True, 0.0, 2.0)
    }


async def test_who_wants_more_than_has_come_keeps_its_place(line):
    pool, (first, second, third) = line
    pool.fill(10.0, 1.0, 1, granted(3))
    pool.serve(10.0)
    await asyncio.sleep(0)
    assert (first.done(), second.done(), third.done()) == (True, False, False)  # the third wants 2, and waits
    assert (pool.waiting, pool.next_cost, pool.held(10.0)) == (5, 3, 2)
    pool.fill(10.5, 1.0, 3, granted(0, left=0, due=0.5))
    pool.serve(10.5)
    assert not (await second).allowed
    assert (await third).allowed  # less than what was refused, and there
    assert not pool.left


async def test_a_refusal_lasts_until_it_ends_and_a_lease_until_it_is_over():
    pool = Pool()
    pool.fill(10.0, 1.0, 2, granted(0, left=1, due=0.5, whole=0.25))
    assert pool.take(2, 10.25) == (False, 0, 0.25, 0.0)
    assert pool.take(3, 10.25) == (False, 0, 0.25, 0.0)
    assert pool.take(1, 10.25) is None
    assert pool.take(2, 10.5) is None
    pool.fill(11.0, 1.0, 1, granted(5))
    assert pool.take(1, 11.5) == (True, 54, 0.0, 1.5)
    assert not pool.at_rest(11.9)
    assert pool.take(1, 12.0) is None
    assert pool.at_rest(12.0)
    pool.fill(12.0, 1.0, 1, granted(5))  # what was left of the first is gone
    assert (pool.held(12.0), pool.at, pool.empty(), pool.empty()) == (5, 7, 5, 0)


@pytest.mark.parametrize(
    ("grant", "answer"),
    [
        (granted(5, whole=2.0), (True, 54, 0.0, 1.75)),
        (granted(5, whole=0.125), (True, 54, 0.0, 0.0)),  # all of it is there again
        (granted(0, left=3, due=0.5, whole=2.0), (False, 0, 0.25, 1.75)),
        (granted(0, left=3, due=0.5, whole=0.125), (False, 0, 0.25, 0.0)),
    ],
)
def test_what_is_known_here_is_told_with_the_times_that_are_left(grant, answer):
    pool = Pool()
    pool.fill(10.0, 1.0, 1, grant)
    assert pool.take(1, 10.25) == answer


@pytest.mark.parametrize("grant", [granted(1), granted(0, due=0.5)])
def test_a_pool_can_be_forgotten_once_it_neither_holds_nor_knows_anything(grant):
    pool = Pool()
    assert pool.at_rest(10.0)
    pool.fill(10.0, 0.5, 1, grant)
    assert [pool.at_rest(10.0 + late) for late in (0.25, 0.5, 0.75)] == [False, True, True]
    pool.refill = object()  # what comes is for somebody
    assert not pool.at_rest(10.75)


def test_what_comes_is_added_to_what_is_left():
    pool = Pool()
    pool.fill(10.0, 1.0, 1, granted(3))
    pool.take(1, 10.0)
    pool.fill(10.5, 1.0, 1, granted(4, left=46))
    assert (pool.held(11.25), pool.take(2, 11.25)) == (6, (True, 50, 0.0, 1.25))


async def test_who_is_cancelled_before_it_was_its_turn_is_passed_over(line):
    pool, (first, second, third) = line
    second.cancel()
    await asyncio.sleep(0)
    pool.fill(10.0, 1.0, 1, granted(3))
    pool.serve(10.0)
    assert (await first).allowed
    assert (await third).allowed
    assert (pool.waiting, pool.held(10.0)) == (0, 0)


async def test_who_is_cancelled_after_it_was_its_turn_leaves_it_to_the_others(line):
    pool, (first, second, third) = line
    pool.fill(10.0, 1.0, 1, granted(6))
    pool.serve(10.0)
    assert not pool.left
    second.cancel()
    await asyncio.wait((first, second, third))
    assert (second.cancelled(), pool.held(10.0)) == (True, 3)


async def test_who_was_cancelled_needs_no_answer_when_there_is_none(line):
    pool, (first, second, third) = line
    second.cancel()
    await asyncio.sleep(0)
    pool.fail()
    assert (await first, await third, pool.waiting) == (None, None, 0)


@pytest.mark.parametrize("answered", [False, True])
async def test_who_is_cancelled_after_a_refusal_leaves_nothing(line, answered):
    pool, (first, second, third) = line
    if answered:
        pool.fill(10.0, 1.0, 1, granted(0, due=0.5))
        pool.serve(10.0)
    else:
        pool.fail()
    first.cancel()
    await asyncio.wait((first, second, third))
    assert (first.cancelled(), pool.held(10.0), pool.waiting) == (True, 0, 0)
    assert [task.result() and task.result().allowed for task in (second, third)] == [
        False if answered else None
    ] * 2


async def test_one_caller_in_a_loop_does_not_take_what_others_wait_for(clock):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, lease=5)
    spent = dict.fromkeys("abcd", 0)

    async def spend(name):
        while True:
            await limiter.try_acquire()
            spent[name] += 1

    tasks = [asyncio.create_task(spend(name)) for name in spent]
    await clock.advance(0.0105)
    for task in tasks:
        task.cancel()
    trips = len(redis.asked)
    assert trips == 11
    assert [args[3] for _, args in redis.asked] == [9] * trips  # four who wait, and a lease
    assert min(spent.values()) >= trips - 1
    assert sum(spent.values()) <= 9 * trips
    await close(store, clock)


async def test_a_cost_of_a_whole_lease_is_leased_and_who_only_asks_reserves_nothing(clock):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, Quota(10, burst=5), lease=5)
    asking = asyncio.create_task(limiter.try_acquire(cost=5))
    await clock.advance(0.01)
    assert asking.result().allowed
    assert redis.asked[0][1][2:4] == (5, 10)
    await close(store, clock)
    redis.error = OSError("gone")
    alone, store = limiter_of(redis, clock, Quota(10, burst=1))
    first, second = (asyncio.create_task(alone.try_acquire()) for _ in range(2))
    await clock.advance(0.05)
    assert (first.result().allowed, second.result().allowed) == (True, False)
    await close(store, clock)


async def test_who_need_not_wait_does_not_overtake_those_who_do(clock):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, Quota(20, burst=20), lease=4)
    asking = asyncio.create_task(limiter.try_acquire(cost=3))
    await clock.advance(0.01)
    assert asking.result().allowed
    waiting = asyncio.create_task(limiter.try_acquire(cost=4))
    assert limiter.decide_now(cost=2).allowed  # nobody waits yet
    await asyncio.sleep(0)
    assert limiter.decide_now() is None  # it is there, but more was asked for before
    await clock.advance(0.01)
    assert waiting.result().allowed
    await close(store, clock)


async def test_what_is_leased_can_be_spent_without_waiting_and_nothing_else(clock):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, Quota(10, burst=5), lease=2)
    assert limiter.decide_now() is None  # nobody has asked for that key yet
    assert redis.asked == []
    asking = asyncio.create_task(limiter.try_acquire())
    await asyncio.sleep(0)
    assert limiter.decide_now() is None  # others wait, and come first
    await clock.advance(0.01)
    assert asking.result().allowed
    assert redis.asked[0][1][2:5] == (1, 3, 0)  # one, and a lease, and none of it for later
    assert limiter.decide_now(cost=2).allowed  # all of it at once
    assert limiter.decide_now() is None  # the lease is spent, and the next one is under way
    assert limiter.decide_now(cost=3) is None  # more than a lease is never leased
    await clock.advance(0.01)
    assert len(redis.asked) == 2
    assert limiter.decide_now().allowed
    with pytest.raises(ValueError, match="burst"):
        limiter.decide_now(cost=6)
    await close(store, clock)


async def test_who_waits_in_line_spends_a_lease_first(clock):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, Quota(10, burst=5), lease=2, wait=1.0)
    limiter = replace(limiter, cost=2)
    entering = asyncio.create_task(limiter.admit())
    await clock.advance(0.01)
    entering.result().ok()
    assert redis.asked[0][1][2:4] == (2, 4)  # a whole lease is not too much to be leased
    await close(store, clock)


async def test_who_leaves_in_the_moment_of_the_answer_leaves_it_here(clock, monkeypatch):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, Quota(10, burst=5), lease=2)
    asking = asyncio.create_task(limiter.try_acquire())
    serve = Pool.serve

    def serve_and_cancel(pool, now):
        serve(pool, now)
        asking.cancel()

    with monkeypatch.context() as patch:
        patch.setattr(Pool, "serve", serve_and_cancel)
        await clock.advance(0.01)
    assert asking.cancelled()
    assert [limiter.decide_now() is not None for _ in range(4)] == [True, True, True, False]
    await close(store, clock)
