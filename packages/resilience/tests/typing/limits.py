"""What a limit answers depends on where it counts."""

from collections.abc import Awaitable
from typing import assert_type

from redis.asyncio import Redis

from bookstore.resilience import (
    Adaptive,
    Balancer,
    Decision,
    Gradient2,
    Hedge,
    Pipeline,
    Quota,
    RateLimit,
    percentile,
)
from bookstore.resilience.redis import RedisLimits

local = RateLimit(Quota(5))
assert_type(local, RateLimit[Decision])
assert_type(local.try_acquire("key"), Decision)

shared = RateLimit(Quota(5), store=RedisLimits(Redis()))
assert_type(shared, RateLimit[Awaitable[Decision]])


async def ask() -> None:
    assert_type(await shared.try_acquire("key"), Decision)
    assert_type(await local.decide("key"), Decision)
    assert_type(await shared.decide("key"), Decision)


assert_type(Balancer(["http://a"]).pick().target, str)

pipe = Pipeline("p", Hedge(after=percentile(0.95)), local, Adaptive(Gradient2(initial=10)))


@pipe
async def double(number: int) -> int:
    return 2 * number


async def use() -> None:
    assert_type(await double(3), int)
