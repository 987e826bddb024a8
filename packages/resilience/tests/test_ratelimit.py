"""Limits in this process: whom they let through, and what they answer."""

import asyncio
import json

import pytest

from bookstore.resilience import Pipeline, RateLimited
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.store import Decision, Local
from bookstore.resilience.testing import FakeClock

from .far import reply


def granted(limiter, times, key="", cost=1):
    return sum(limiter.try_acquire(key, cost).allowed for _ in range(times))


def test_gcra_lets_the_burst_through_then_one_per_step(clock):
    limiter = RateLimit(Quota(10, per=1.0, burst=5), clock=clock)
    assert granted(limiter, 5) == 5
    refused = limiter.try_acquire()
    assert refused == Decision(allowed=False, remaining=0, retry_after=0.1, reset_after=0.5)
    clock.tick(0.1)
    assert granted(limiter, 2) == 1
    clock.tick(10)
    assert granted(limiter, 200) == 5


def test_a_refusal_costs_nothing(clock):
    limiter = RateLimit(Quota(10, burst=5), clock=clock)
    assert limiter.try_acquire(cost=3) == Decision(
        allowed=True, remaining=2, retry_after=0.0, reset_after=pytest.approx(0.3)
    )
    for _ in range(50):
        refused = limiter.try_acquire(cost=3)
        assert (refused.allowed, refused.remaining, refused.retry_after) == (False, 2, 0.1)
    assert granted(limiter, 3) == 2


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
@pytest.mark.parametrize("cost", [6, 0, -1, 1.5, True])
def test_a_cost_that_can_never_be_granted_is_a_mistake(clock, algorithm, cost):
    limiter = RateLimit(Quota(5, algorithm=algorithm), clock=clock)
    with pytest.raises(ValueError, match="cost"):
        limiter.try_acquire(cost=cost)
    with pytest.raises(ValueError, match="cost"):
        RateLimit(Quota(5, algorithm=algorithm), cost=cost)


def test_fractions_of_a_call_are_not_lost(clock):
    limiter = RateLimit(Quota(1.5, burst=3), clock=clock)
    admitted = 0
    for _ in range(60):
        admitted += limiter.try_acquire().allowed
        clock.tick(0.5)
    assert admitted == 47


def test_rest_adds_to_what_is_left_up_to_the_burst(clock):
    limiter = RateLimit(Quota(10, burst=10), clock=clock)
    assert granted(limiter, 5) == 5
    clock.tick(0.11)
    assert limiter.try_acquire().remaining == 5  # 6.1 less the one just taken
    clock.tick(60)
    assert limiter.try_acquire().remaining == 9


def test_sliding_log_forgets_a_call_when_it_is_as_old_as_the_window(clock):
    limiter = RateLimit(Quota(5, per=1.0, algorithm="sliding_log"), clock=clock)
    clock.tick(0.9)
    assert granted(limiter, 9) == 5
    clock.tick(0.1)
    refused = limiter.try_acquire()
    assert refused == Decision(allowed=False, remaining=0, retry_after=0.9, reset_after=0.9)
    clock.tick(0.9)
    assert granted(limiter, 9) == 5


def test_sliding_log_tells_when_a_higher_cost_fits(clock):
    limiter = RateLimit(Quota(4, per=10.0, algorithm="sliding_log"), clock=clock)
    assert limiter.try_acquire() == Decision(allowed=True, remaining=3, retry_after=0.0, reset_after=10.0)
    for _ in range(2):
        clock.tick(1)
        limiter.try_acquire()
    assert limiter.try_acquire(cost=3).retry_after == 9.0  # when the calls of 0 s and 1 s have left
    assert limiter.try_acquire(cost=1).allowed
    clock.tick(8)
    assert limiter.try_acquire(cost=1) == Decision(
        allowed=True, remaining=0, retry_after=0.0, reset_after=10.0
    )


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_keys_do_not_share(clock, algorithm):
    limiter = RateLimit(Quota(2, algorithm=algorithm), clock=clock)
    assert [granted(limiter, 3, key) for key in "abc"] == [2, 2, 2]


@pytest.mark.parametrize("algorithm", ["gcra", "sliding_log"])
def test_key_churn_forgets_only_keys_at_rest(clock, algorithm):
    limiter = RateLimit(Quota(1, per=10.0, algorithm=algorithm), clock=clock)
    states = limiter.store.open(limiter.quota, "", None).meter
    states = states._full if algorithm == "gcra" else states._logs
    for n in range(1500):
        assert limiter.try_acquire(f"a{n}").allowed
    assert len(states) == 1500  # all of them still matter
    clock.tick(5)
    for n in range(400):
        limiter.try_acquire(f"b{n}")
    clock.tick(5)
    for n in range(200):
        limiter.try_acquire(f"c{n}")
    assert 600 <= len(states) <= 648
    assert not limiter.try_acquire("b7").allowed


def test_limits_share_counts_by_store_name_and_quota(clock):
    store = Local()
    quota = Quota(1, per=10.0)
    one, two, other = (RateLimit(quota, store=store, name=name, clock=clock) for name in ("a", "a", "b"))
    assert [limit.try_acquire().allowed for limit in (one, two, other)] == [True, False, True]
    assert repr(store) == "Local()"
    assert store == Local() != quota  # as a setting
    assert RateLimit(quota, clock=clock).try_acquire().allowed


async def test_decide_is_the_same_for_any_store(clock):
    limiter = RateLimit(Quota(1), clock=clock)
    assert (await limiter.decide()).allowed
    assert not (await limiter.decide()).allowed


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("limit", {"limit": 0}),
        ("limit", {"limit": -1}),
        ("limit", {"limit": float("nan")}),
        ("limit", {"limit": float("inf")}),
        ("limit", {"limit": 1.5, "algorithm": "sliding_log"}),
        ("per", {"limit": 1, "per": 0}),
        ("per", {"limit": 1, "per": -1.0}),
        ("burst", {"limit": 1, "burst": 0}),
        ("burst", {"limit": 1, "burst": 1.5}),
        ("burst", {"limit": 5, "burst": 6, "algorithm": "sliding_log"}),
        ("burst", {"limit": 5, "burst": 4, "algorithm": "sliding_log"}),
        ("algorithm", {"limit": 1, "algorithm": "leaky"}),
    ],
)
def test_wrong_quotas_name_the_field(field, settings):
    with pytest.raises(ValueError, match=f"^{field} must"):
        Quota(**settings)


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan")])
def test_wrong_waits_name_the_field(wait):
    with pytest.raises(ValueError, match="wait"):
        RateLimit(Quota(1), wait=wait)


def test_quota_defaults():
    assert Quota(100) == Quota(100, per=1.0, burst=100, algorithm="gcra")
    assert Quota(0.5).most == 1
    assert Quota(2.9).most == 2


class Redis:
    async def evalsha(self, *_):
        return reply(1, 9, 0, 0, 0)


async def test_what_must_be_awaited_says_so():
    limiter = RateLimit(Quota(10), store=RedisLimits(Redis()))
    with pytest.raises(TypeError, match="await"):
        limiter.acquire()
    with pytest.raises(TypeError, match="loop"):
        Pipeline("p", limiter)(lambda: 1)
    assert await limiter.decide() == (True, 9, 0.0, 0.0)
    assert RateLimit(limiter.quota, store=limiter.store)._desk is limiter._desk


class Hangs:
    async def evalsha(self, *_):
        await asyncio.Event().wait()


class HasRoomLater:
    def __init__(self):
        self.patience = []

    async def evalsha(self, _sha, _count, _key, question):
        self.patience.append(json.loads(question)[5])
        return reply(1, 0, 300_000, 0, 0)


@pytest.mark.parametrize("own", [False, True])
async def test_a_store_goes_by_its_own_clock_or_the_pipelines(clock, own):
    other = FakeClock()
    store = RedisLimits(Hangs(), outage="closed", clock=clock if own else None)
    pipe = Pipeline("p", RateLimit(Quota(1), store=store), clock=other if own else clock)
    task = asyncio.create_task(pipe.call(asyncio.sleep, 0))
    await other.advance(1)
    assert not task.done()
    await clock.advance(0.05)
    assert isinstance(task.exception(), RateLimited)


@pytest.mark.parametrize("owner", ["store", "limit", "pipeline"])
async def test_a_place_in_line_is_waited_for_by_the_nearest_clock(clock, owner):
    other = FakeClock()
    clocks = {"store": None, "limit": None, "pipeline": other, owner: clock}
    store = RedisLimits(HasRoomLater(), clock=clocks["store"])
    limiter = RateLimit(Quota(1), store=store, wait=1.0, clock=clocks["limit"])
    pipe = Pipeline("p", limiter, clock=clocks["pipeline"])
    task = asyncio.create_task(pipe.call(asyncio.sleep, 0))
    await other.advance(1)
    await clock.advance(0.299)
    assert not task.done()
    await clock.advance(0.001)
    assert task.done()


async def test_a_cancelled_probe_leaves_room_for_the_next(clock):
    store = RedisLimits(Hangs(), outage="closed", clock=clock)
    limiter = RateLimit(Quota(1), store=store, clock=clock)
    asyncio.create_task(limiter.decide())  # noqa: RUF006 - it ends with its timeout
    await clock.advance(0.05 + 0.5)
    probe = asyncio.create_task(limiter.decide())
    await clock.advance(0)
    for trip in list(store.link._tasks):
        trip.cancel()
    await clock.advance(0)
    assert probe.cancelled()
    store.link.breaker.acquire().ok()


async def test_nobody_has_less_patience_than_the_longest_wait(clock):
    redis = HasRoomLater()
    store = RedisLimits(redis, clock=clock)
    for wait in (1.0, 20.0, 1.0):
        pipe = Pipeline("p", RateLimit(Quota(1), store=store, wait=wait))
        await clock.finish(pipe.call(asyncio.sleep, 0))
    assert redis.patience == [10e6, 20e6, 20e6]


def test_a_store_by_default():
    store = RedisLimits(Hangs())
    assert (store.lease, store.outage, store.instances, store.lease_ttl) == (0, "local", 1, 1.0)


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("lease", {"lease": -1}),
        ("outage", {"outage": "panic"}),
        ("instances", {"instances": 0}),
        ("timeout", {"timeout": 0}),
        ("lease_ttl", {"lease_ttl": 0}),
    ],
)
def test_wrong_settings_of_a_store_name_the_field(field, settings):
    with pytest.raises(ValueError, match=field):
        RedisLimits(None, **settings)


def test_what_is_counted_here_is_known_at_once():
    limiter = RateLimit(Quota(2, per=60.0))
    assert [limiter.decide_now("a").allowed for _ in range(3)] == [True, True, False]
    assert limiter.decide_now("b").remaining == 1
