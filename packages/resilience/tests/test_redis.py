"""Limits in a real Redis, in real time."""

import asyncio

import pytest
from redis.asyncio import BlockingConnectionPool, Redis

from bookstore.resilience import Breaker, Pipeline
from bookstore.resilience.clock import SYSTEM
from bookstore.resilience.errors import RateLimited
from bookstore.resilience.quorum import Quorum
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.testing import FakeClock

pytestmark = pytest.mark.redis

BOTH = pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])


@pytest.fixture
async def redis(redis_url):
    client = Redis.from_url(redis_url)
    await client.flushall()
    await client.script_flush()
    await client.config_resetstat()
    yield client
    await client.aclose()


async def scripts_run(redis):
    stats = await redis.info("commandstats")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval")}


@pytest.fixture
async def limits(redis):
    """Makes stores, and closes them before the client is."""
    made = []

    def make(client=redis, **settings):
        made.append(RedisLimits(client, **{"timeout": 2.0, **settings}))
        return made[-1]

    yield make
    for store in made:
        await store.aclose()


@BOTH
async def test_the_same_answers_as_in_this_process(algorithm, limits):
    quota = Quota(5, per=60.0, algorithm=algorithm)
    limiter = RateLimit(quota, store=limits())
    clock = FakeClock()
    local = RateLimit(quota, clock=clock)
    for key, cost in (("a", 1), ("a", 3), ("b", 5), ("a", 2), ("a", 1), ("a", 1), ("b", 1)):
        near, far = local.try_acquire(key, cost), await limiter.try_acquire(key, cost)
        assert (far.allowed, far.remaining) == (near.allowed, near.remaining)
        assert far.retry_after == pytest.approx(near.retry_after, abs=0.5)
        assert far.reset_after == pytest.approx(near.reset_after, abs=0.5)


@BOTH
async def test_one_round_trip_a_decision_and_a_reload_when_flushed(redis, algorithm, limits):
    limiter = RateLimit(Quota(1000, per=1e6, algorithm=algorithm), store=limits())
    for n in range(20):
        assert (await limiter.try_acquire()).remaining == 999 - n
    assert await scripts_run(redis) == {"evalsha": 20, "eval": 1}  # the first one was not known yet
    await redis.script_flush()
    assert (await limiter.try_acquire()).remaining == 979
    assert await scripts_run(redis) == {"evalsha": 21, "eval": 2}


@BOTH
async def test_a_key_always_has_a_time_to_live(redis, algorithm, limits):
    limiter = RateLimit(Quota(100, per=1.0, burst=100, algorithm=algorithm), store=limits())
    for n in range(150):
        await limiter.try_acquire()
        if n % 10 == 0:
            for key in await redis.keys("*"):
                assert await redis.pttl(key) in {-2, *range(1101)}  # -2: over by now; -1 would be for ever
    while await redis.keys("*"):
        pass


async def test_a_burst_far_below_the_rate_still_limits(limits):
    limiter = RateLimit(Quota(100, per=1.0, burst=10), store=limits())
    start = SYSTEM.now()
    allowed = sum([(await limiter.try_acquire()).allowed for _ in range(30)])
    assert 10 <= allowed <= 11 + 100 * (SYSTEM.now() - start)


async def test_a_key_that_outlived_its_time_is_worth_no_more_than_a_rest(redis, limits):
    limiter = RateLimit(Quota(5, per=1000.0), store=limits())
    await limiter.try_acquire()
    (key,) = await redis.keys("*")
    seconds, _ = await redis.time()
    await redis.set(key, (seconds - 3600) * 1_000_000)
    answer = await limiter.try_acquire()
    assert (answer.remaining, round(answer.reset_after)) == (4, 200)


async def test_a_whole_burst_is_granted_at_once_whatever_the_fractions(limits):
    store = limits()
    for limit in range(2, 40):
        desk = RateLimit(Quota(limit, per=1000.0), store=store)._desk
        grant = await desk._ask("", 1, limit, 0.0)
        assert (grant.units, grant.decision.remaining) == (limit, 0)
        spent = await desk._ask("other", limit - 1, limit - 1, 0.0)
        assert (spent.units, spent.decision.remaining) == (limit - 1, 1)


@BOTH
@pytest.mark.parametrize("decodes", [False, True])
async def test_numbers_of_any_size_and_answers_in_either_form(redis_url, algorithm, decodes, limits):
    client = Redis.from_url(redis_url, decode_responses=decodes)
    store = limits(client)
    for limit, per in ((2, 1e9), (10**9, 1e9), (2, 1e3 / 3)):
        limiter = RateLimit(Quota(limit, per=per, algorithm=algorithm), store=store)
        answers = [await limiter.try_acquire() for _ in range(2)]
        assert [answer.remaining for answer in answers] == [limit - 1, limit - 2]
    assert answers[1].reset_after == pytest.approx(per, abs=2.0)
    await store.aclose()
    await client.aclose()


async def test_keys_are_tagged_and_quotas_apart(redis, limits):
    store = limits(prefix="shop")
    for name, quota in (("a", Quota(5)), ("a", Quota(6)), ("b", Quota(5))):
        await RateLimit(quota, store=store, name=name).try_acquire("user:7")
    keys = {key.decode() for key in await redis.keys("*")}
    assert keys == {"shop:5/1/5:{a:user:7}", "shop:6/1/6:{a:user:7}", "shop:5/1/5:{b:user:7}"}


@BOTH
async def test_the_clients_clock_changes_nothing(algorithm, limits):
    quota = Quota(10, per=100.0, algorithm=algorithm)
    allowed = 0
    for skew in (-3600.0, 0.0, 3600.0):
        clock = FakeClock(start=100_000.0 + skew)
        limiter = RateLimit(quota, store=limits(clock=clock), clock=clock)
        for _ in range(6):
            allowed += (await limiter.try_acquire()).allowed
    assert allowed == 10


@BOTH
async def test_a_clock_of_redis_that_goes_back_grants_nothing_extra_and_stops_nobody(
    redis, algorithm, limits
):
    quota = Quota(10, per=1.0, algorithm=algorithm)
    limiter = RateLimit(quota, store=limits())
    for _ in range(10):
        await limiter.try_acquire()
    (key,) = await redis.keys("*")
    hour = 3_600_000_000  # as if it had been an hour later when this was written
    if algorithm == "gcra":
        await redis.set(key, float(await redis.get(key)) + hour)
    else:
        await redis.rpush(key, *[int(at) + hour for at in await redis.lrange(key, 0, -1)])
        await redis.ltrim(key, 10, -1)
    refused = await limiter.try_acquire()
    assert not refused.allowed
    assert refused.retry_after <= 1.0
    while not (await limiter.try_acquire()).allowed:
        pass


@BOTH
async def test_waiting_in_redis(algorithm, limits):
    quota = Quota(1, per=0.4, algorithm=algorithm)
    limiter = RateLimit(quota, store=limits(), wait=1.0)

    async def enter():
        async with limiter:
            return SYSTEM.now() - start

    start = SYSTEM.now()
    times = await asyncio.gather(*(enter() for _ in range(5)), return_exceptions=True)
    let_in = sorted(t for t in times if isinstance(t, float))  # in the order in which Redis heard of them
    # Nobody before its turn; how late a sleeper wakes is the machine's business.
    assert [time >= 0.4 * n - 0.01 for n, time in enumerate(let_in)] == [True] * 3
    assert sum(isinstance(t, RateLimited) for t in times) == 2


@BOTH
async def test_a_cancelled_waiter_gives_its_place_back(algorithm, limits):
    store = limits()
    limiter = RateLimit(Quota(1, per=30.0, algorithm=algorithm), store=store, wait=100.0)
    pipe = Pipeline("p", limiter)

    async def work():
        return 1

    assert await pipe.call(work) == 1
    for _ in range(10):
        task = asyncio.create_task(pipe.call(work))
        await asyncio.sleep(0.03)
        assert not task.done()
        task.cancel()
        await asyncio.wait((task,))
    await store.aclose()
    after = await limiter.try_acquire()
    assert not after.allowed
    assert after.retry_after <= 30.0  # not 330


async def test_a_cancelled_call_never_hands_its_reply_to_the_next(redis_url, limits):
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=1)
    one = Redis.from_pool(pool)  # one connection for all
    store = limits(one)
    limiter = RateLimit(Quota(100_000, per=1000.0), store=store)
    await limiter.try_acquire()
    for turns in range(60):
        task = asyncio.create_task(limiter.try_acquire("cancelled"))
        for _ in range(turns % 12):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        assert await one.echo(f"n{turns}") == f"n{turns}".encode()
        decision = await limiter.try_acquire(f"key{turns}")
        assert (decision.allowed, decision.remaining) == (True, 99_999)
    await store.aclose()
    await one.aclose()


@BOTH
async def test_a_caller_cancelled_while_it_asks_costs_nothing(algorithm, limits):
    store = limits()
    limiter = RateLimit(Quota(100, per=1000.0, algorithm=algorithm), store=store)
    stayed = 0
    for turns in range(20):
        task = asyncio.create_task(limiter.try_acquire())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait((task,))
        stayed += not task.cancelled()
    await store.aclose()
    assert (await limiter.try_acquire()).remaining == 99 - stayed


class Counted(Redis):
    pipelines = 0

    def pipeline(self, **how):
        assert how == {"transaction": False}  # others may be served in between
        self.pipelines += 1
        return super().pipeline(**how)


async def test_who_asks_at_the_same_time_travels_together(redis, redis_url, limits):
    pool = BlockingConnectionPool.from_url(redis_url, max_connections=1)  # one connection for all
    client = Counted.from_pool(pool)
    limiter = RateLimit(Quota(150, per=1000.0, algorithm="sliding_log"), store=limits(client))
    answers = await asyncio.gather(*(limiter.try_acquire() for _ in range(200)))
    assert sorted(answer.remaining for answer in answers if answer.allowed) == list(range(150))
    assert client.pipelines == 4
    assert (await scripts_run(redis))["evalsha"] == 200
    await redis.script_flush()
    other = [limiter.try_acquire("other") for _ in range(9)]
    assert sorted(answer.remaining for answer in await asyncio.gather(*other)) == list(range(141, 150))
    await client.aclose()


async def test_a_flush_in_the_middle_of_a_batch(redis, limits):
    limiter = RateLimit(Quota(100, per=1000.0), store=limits())
    link = limiter.store.link
    known = link._ferry._trip

    async def trip(questions):
        await redis.script_flush()
        return await known(questions)

    link._ferry._trip = trip
    answers = await asyncio.gather(*(limiter.try_acquire() for _ in range(20)))
    assert sorted(answer.remaining for answer in answers) == list(range(80, 100))
    assert link.breaker.state == "closed"


async def test_what_goes_back_to_a_log_is_what_was_granted(redis, limits):
    limiter = RateLimit(Quota(5, per=1000.0, algorithm="sliding_log"), store=limits())
    for _ in range(3):
        await limiter.try_acquire()
    (key,) = await redis.keys("*")
    first, second, third = await redis.lrange(key, 0, -1)
    await limiter._desk._give_back("", 1, int(second))
    await limiter._desk._give_back("", 1, int(second))  # it is gone already
    assert await redis.lrange(key, 0, -1) == [first, third]
    assert (await limiter.try_acquire()).remaining == 2


# --- leases --------------------------------------------------------------------------------------------


async def test_one_round_trip_for_ten(redis, limits):
    store = limits(lease=10)
    limiter = RateLimit(Quota(100, per=1000.0), store=store)
    answers = [await limiter.try_acquire() for _ in range(100)]
    assert all(answer.allowed for answer in answers)
    assert [answer.remaining for answer in answers[:10]] == list(range(99, 89, -1))
    assert not (await limiter.try_acquire()).allowed
    ran = await scripts_run(redis)
    assert ran["evalsha"] <= 11
    assert [(await limiter.try_acquire()).allowed for _ in range(50)] == [False] * 50
    assert await scripts_run(redis) == ran  # refusals are known here as well
    await store.aclose()


async def test_many_at_once_with_a_lease_are_exact(limits):
    store = limits(lease=10)
    limiter = RateLimit(Quota(95, per=1000.0), store=store)
    answers = await asyncio.gather(*(limiter.try_acquire() for _ in range(300)))
    assert sum(answer.allowed for answer in answers) == 95
    await store.aclose()


async def test_what_is_leased_is_given_back(limits):
    store = limits(lease=10)
    limiter = RateLimit(Quota(100, per=1000.0), store=store)
    await limiter.try_acquire()
    await store.aclose()
    other = RateLimit(Quota(100, per=1000.0), store=limits())
    assert (await other.try_acquire()).remaining == 98


async def test_an_idle_lease_is_over_in_time(limits):
    store = limits(lease=10, lease_ttl=0.1)
    limiter = RateLimit(Quota(20, per=1000.0), store=store)
    assert (await limiter.try_acquire()).remaining == 19
    await asyncio.sleep(0.15)
    assert (await limiter.try_acquire()).remaining == 8  # a new lease: the ten left of the first are gone
    await store.aclose()


async def test_algorithms_and_near_quotas_never_share_a_key(limits):
    store = limits(outage="closed")
    quotas = [Quota(1_234_567, per=6e6), Quota(1_234_568, per=6e6)]
    quotas += [Quota(5, per=60.0), Quota(5, per=60.0, algorithm="sliding_log")]
    for quota in quotas:
        limiter = RateLimit(quota, store=store)
        left = [(await limiter.try_acquire("k")).remaining for _ in range(2)]
        assert left == [quota.limit - 1, quota.limit - 2]


# --- the quorum ----------------------------------------------------------------------------------------


async def test_votes_of_a_quorum(redis):
    made = [Quorum(Breaker(), redis, key="votes", timeout=2.0, every=0.1, ttl=0.4) for _ in range(3)]
    for quorum in made[:2]:
        quorum.breaker.force_open()
    for quorum in made:
        await quorum._look()
    assert made[2].votes == 2
    assert 0 < await redis.pttl("votes") <= 400
    made[0].breaker.reset()
    await made[0]._look()
    assert made[0].votes == 1
    await asyncio.sleep(0.45)
    await made[2]._look()
    assert made[2].votes == 0
