"""Redis that is slow, gone, or back again, in virtual time."""

import asyncio
from dataclasses import replace

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.errors import RateLimited
from bookstore.resilience.link import Link
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.testing import FakeClock

from .far import Redis, ask, close, limiter_of


@pytest.fixture
def redis(clock):
    return Redis(clock)


async def test_a_stall_costs_its_timeout_once(redis, clock):
    limiter, store = limiter_of(redis, clock, outage="open", timeout=0.05)
    assert await ask(limiter, clock) == ((True, 999_999, 0.0, 1.0), pytest.approx(0.001))
    redis.delay = 3600.0
    tasks = [asyncio.create_task(limiter.try_acquire()) for _ in range(5)]
    await clock.advance(0.05)
    assert all(task.result().allowed and task.result().degraded for task in tasks)
    asked = len(redis.asked)
    for _ in range(100):
        assert (await limiter.try_acquire()).allowed  # at once: no time passes
    assert len(redis.asked) == asked
    redis.delay = 0.001
    await clock.advance(0.5)
    back, _ = await ask(limiter, clock)  # one probe, and it is back
    assert (back.remaining, back.degraded) == (999_998, False)
    assert store.link.breaker.state == "closed"
    await close(store, clock)


async def test_a_process_that_was_held_up_does_not_blame_redis(redis, clock):
    limiter, store = limiter_of(redis, clock, outage="closed", timeout=0.05)
    redis.delay = 0.052
    task = asyncio.create_task(limiter.try_acquire())
    await clock.advance(0)
    clock.tick(0.053)  # both the timer and the reply are due
    await clock.advance(0.01)
    assert task.result().allowed
    redis.delay = 3600.0
    task = asyncio.create_task(limiter.try_acquire())
    await clock.advance(0)
    for late in range(6):
        assert not task.done(), late
        clock.tick(0.06)
        await clock.advance(0)
    assert task.result().degraded  # always held up: it doesn't wait for ever
    await clock.advance(0.5)
    redis.delay = 0.06
    assert (await ask(limiter, clock))[0].degraded
    await close(store, clock)


@pytest.mark.parametrize(("lease", "leased"), [(0, 0), (2, 2)])
async def test_the_local_share_is_less_by_what_went_through_before_the_outage(redis, clock, lease, leased):
    limiter, _ = limiter_of(redis, clock, quota=Quota(10, per=60.0), instances=2, lease=lease)
    for _ in range(3):
        assert not (await ask(limiter, clock, 0.01))[0].degraded
    redis.error = ConnectionError("refused")
    answers = [(await ask(limiter, clock, 0.01))[0] for _ in range(4)]
    assert [each.allowed for each in answers] == [True] * 2 + [False] * 2
    assert [each.degraded for each in answers] == [False] * leased + [True] * (4 - leased)


async def test_recovery_is_probed_by_one_at_a_time(redis, clock):
    limiter, store = limiter_of(redis, clock, outage="open")
    redis.error = ConnectionError("refused")
    await ask(limiter, clock, 0.01)
    await clock.advance(0.5)
    asked = len(redis.asked)
    tasks = [asyncio.create_task(limiter.try_acquire()) for _ in range(20)]
    await clock.advance(0.1)
    assert len(redis.asked) == asked + 1
    assert all(task.done() for task in tasks)
    await clock.advance(0.5)
    await ask(limiter, clock, 0.01)
    assert len(redis.asked) == asked + 1  # the second time it is left alone for longer
    await clock.advance(0.5)
    await ask(limiter, clock, 0.01)
    assert len(redis.asked) == asked + 2
    await close(store, clock)


async def test_open_lets_all_through_and_tells(redis, clock):
    events = []
    store = RedisLimits(redis, outage="open")
    limiter = RateLimit(Quota(2), store=store, name="books")
    pipe = Pipeline("p", limiter, clock=clock, sinks=[events.append])
    redis.error = OSError("gone")

    async def work():
        return 1

    for _ in range(5):
        task = asyncio.create_task(pipe.call(work))
        await clock.advance(0.01)
        assert task.result() == 1
    told = [(e.policy, e.detail) for e in events if e.kind == "degraded"]
    assert told == [("books", {"outage": "open"})] * 5
    assert [(e.policy, e.detail["to"]) for e in events if e.kind == "transition"] == [("redis", "open")]


async def test_closed_refuses_all(redis, clock):
    limiter, _ = limiter_of(redis, clock, outage="closed")
    redis.error = OSError("gone")
    first, _ = await ask(limiter, clock, 0.01)
    second, _ = await ask(limiter, clock, 0.01)
    assert (first.allowed, first.retry_after, first.degraded) == (False, 0.5, True)
    assert (second.allowed, second.retry_after) == (False, pytest.approx(0.491))
    with pytest.raises(RateLimited):
        async with limiter:
            pass


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
async def test_local_gives_a_share(redis, clock, algorithm):
    limiter, _ = limiter_of(redis, clock, Quota(20, per=10.0, algorithm=algorithm), instances=4)
    redis.error = OSError("gone")
    await ask(limiter, clock, 0.01, key="other")
    answers = [await limiter.try_acquire() for _ in range(9)]
    assert [answer.allowed for answer in answers] == [True] * 5 + [False] * 4
    assert all(answer.degraded for answer in answers)
    assert (await limiter.try_acquire("k", cost=20)).allowed  # more than the share, so all of it
    assert not (await limiter.try_acquire("k")).allowed
    clock.tick(10)
    asked = len(redis.asked)
    await ask(limiter, clock, 0.01)
    assert len(redis.asked) == asked + 1


async def test_the_local_share_may_wait(redis, clock):
    limiter, store = limiter_of(redis, clock, Quota(10, burst=1), wait=0.2, outage="local")
    redis.error = OSError("gone")
    await ask(limiter, clock, 0.01, key="other")
    begun = clock.now()

    async def enter():
        async with limiter:
            return round(clock.now() - begun, 6)

    tasks = [asyncio.create_task(enter()) for _ in range(4)]
    await clock.advance(0.4)
    assert [task.result() for task in tasks[:3]] == [0, 0.1, 0.2]
    assert isinstance(tasks[3].exception(), RateLimited)
    first, second, third = (asyncio.create_task(enter()) for _ in range(3))
    await clock.advance(0.05)
    asked = len(redis.asked)
    second.cancel()  # the third has its place now, and Redis, which gave none, gets none back
    await clock.advance(0.06)
    assert (first.done(), second.cancelled(), third.result()) == (True, True, pytest.approx(0.5))
    await close(store, clock)
    assert len(redis.asked) == asked


async def test_scripts_are_loaded_again(redis, clock):
    limiter, _ = limiter_of(redis, clock)
    redis.known = False
    assert (await ask(limiter, clock))[0].allowed
    assert len(redis.asked) == 2
    redis.error = Exception("NOSCRIPT No matching script")
    await ask(limiter, clock)
    assert len(redis.asked) == 4


# --- leases --------------------------------------------------------------------------------------------


async def test_a_refill_is_on_its_way_before_anybody_waits(redis, clock):
    limiter, store = limiter_of(redis, clock, lease=3)
    assert (await ask(limiter, clock, 0.01))[0].allowed
    assert redis.asked[0][1][2:4] == (1, 4)  # one for who asked, and a lease
    for _ in range(2):
        await limiter.try_acquire()
    assert len(redis.asked) == 1
    await limiter.try_acquire()  # the last of the lease: the next is fetched now
    await clock.advance(0.01)
    assert redis.asked[1][1][2:4] == (1, 3)
    clock.tick(0.25)
    decision = await limiter.try_acquire()
    assert (decision.remaining, decision.reset_after) == (999_993 + 2, pytest.approx(0.75, abs=0.02))
    await close(store, clock)
    assert redis.asked[-1][1][2] == -2  # given back


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
    await ask(limiter, clock, 0.01, cost=4)
    assert (await ask(limiter, clock, 0.01, cost=3))[0].allowed  # one is held, two must come, seven may
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


async def test_redis_is_left_alone_for_ten_seconds_at_the_most(redis, clock):
    limiter, _ = limiter_of(redis, clock, outage="closed")
    redis.error = OSError("gone")
    waits = []
    for _ in range(7):
        await ask(limiter, clock, 0.01)
        waits.append((await limiter.try_acquire()).retry_after)
        await clock.advance(waits[-1])
    assert waits == pytest.approx([0.491, 0.991, 1.991, 3.991, 7.991, 9.991, 9.991])


@pytest.mark.parametrize("own", [False, True])
async def test_a_round_trip_is_timed_by_the_clock_of_the_pipeline_unless_the_store_has_one(redis, clock, own):
    other = FakeClock()
    store = RedisLimits(redis, outage="open", clock=clock if own else None)
    limiter = RateLimit(Quota(5), store=store)
    pipe = Pipeline("p", limiter, clock=other if own else clock)
    redis.delay = 3600.0

    async def work():
        return 1

    task = asyncio.create_task(pipe.call(work))
    await clock.advance(0.04)
    assert not task.done()
    await clock.advance(0.01)
    assert task.result() == 1
    await close(store, clock)


class Pooled:
    connection_pool = None

    def pipeline(self):
        """As a client has it that keeps connections."""


class Cluster:
    def pipeline(self):
        """As a client of a cluster has it: one script at a time is all that is asked of it."""


class Bare:
    connection_pool = None


@pytest.mark.parametrize(("client", "several"), [(Pooled, True), (Cluster, False), (Bare, False)])
def test_only_a_client_with_a_pool_takes_several_scripts_at_once(client, several):
    assert Link(client(), 1.0, None)._together is several


async def test_a_share_comes_back_as_slowly_as_it_is_small(redis, clock):
    redis.error = OSError("gone")
    quota = Quota(10, per=1.0, burst=4)
    limiter, store = limiter_of(redis, clock, quota, instances=2, lease=2)
    first = asyncio.create_task(limiter.try_acquire())
    await clock.advance(0.001)
    answers = [await first, await limiter.try_acquire(), await limiter.try_acquire()]
    assert [each.allowed for each in answers] == [True, True, False]  # half of what may come at once
    await clock.advance(0.19)
    assert not (await limiter.try_acquire()).allowed
    await clock.advance(0.01)
    assert (await limiter.try_acquire()).allowed  # five a second
    await close(store, clock)


async def test_each_of_more_processes_than_units_may_have_one(redis, clock):
    redis.error = OSError("gone")
    limiter, store = limiter_of(redis, clock, Quota(2, per=60.0, algorithm="sliding_log"), instances=5)
    answers = [(await ask(limiter, clock, 0.01))[0].allowed for _ in range(2)]
    assert answers == [True, False]
    await close(store, clock)


async def test_what_is_told_where_all_are_let_through(redis, clock):
    redis.error = OSError("gone")
    limiter, store = limiter_of(redis, clock, Quota(10), outage="open")
    assert (await ask(limiter, clock, 0.01, cost=4))[0] == (True, 6, 0.0, 0.0)
    await close(store, clock)


async def test_what_is_told_where_nobody_is_let_through(redis, clock):
    redis.error = OSError("gone")
    limiter, store = limiter_of(redis, clock, Quota(10), outage="closed")
    decision, _ = await ask(limiter, clock, 0.01)
    assert decision == (False, 0, decision.retry_after, decision.retry_after)
    assert decision.retry_after > 0
    await close(store, clock)


async def test_who_leaves_the_line_gives_back_no_more_than_he_was_charged(redis, clock):
    redis.error = OSError("gone")
    limiter, store = limiter_of(redis, clock, Quota(10, per=1.0, burst=4), instances=2, wait=10.0)
    costly = replace(limiter, cost=4)  # more than the share of one process: charged as all of it
    entering = asyncio.create_task(costly.admit())
    await clock.advance(0.01)
    entering.result()
    waiting = asyncio.create_task(costly.admit())
    await clock.advance(0.01)
    waiting.cancel()
    await clock.advance(0)
    assert not (await ask(limiter, clock, 0.01))[0].allowed
    await close(store, clock)
