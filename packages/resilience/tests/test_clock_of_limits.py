"""Whose clock a limit in Redis goes by, and what a probe that is cut off leaves behind."""

import asyncio

import pytest

from bookstore.resilience import Pipeline
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.testing import FakeClock

from .far import Redis, ask, limiter_of


@pytest.mark.parametrize("owner", ["pipeline", "limit", "store"])
def test_leases_go_by_the_clock_of_the_pipeline_unless_another_was_given(clock, owner):
    own = FakeClock()
    store = RedisLimits(Redis(clock), lease=2, clock=own if owner == "store" else None)
    limiter = RateLimit(Quota(5), store=store, clock=own if owner == "limit" else None)
    Pipeline("p", limiter, clock=clock)
    assert limiter._desk._clock is (clock if owner == "pipeline" else own)


async def test_a_probe_that_is_cancelled_makes_way_for_the_next(clock):
    redis = Redis(clock)
    limiter, store = limiter_of(redis, clock, outage="closed")
    redis.error = OSError("gone")
    await ask(limiter, clock, 0.01)
    await clock.advance(0.5)
    redis.error = None
    probe = asyncio.create_task(limiter.try_acquire())
    await clock.advance(0)
    (trip,) = store.link._tasks
    trip.cancel()
    await asyncio.wait((probe,))
    assert store.link.breaker.state == "half_open"
    assert (await ask(limiter, clock, 0.01))[0].allowed
    assert store.link.breaker.state == "closed"
