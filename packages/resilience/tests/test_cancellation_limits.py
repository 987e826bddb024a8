"""Limits, hedges, flights, stale answers and chaos, cancelled at each of their awaits, alone and together."""

import asyncio
import json

import pytest

from bookstore.resilience import (
    AIMD,
    Adaptive,
    Balancer,
    Breaker,
    Budget,
    Bulkhead,
    Chaos,
    Fallback,
    Hedge,
    Pipeline,
    Quota,
    RateLimit,
    Retry,
    SingleFlight,
    Stale,
    Timeout,
    percentile,
)
from bookstore.resilience.redis import RedisLimits
from bookstore.resilience.testing import cancel_everywhere, permits_at_rest

from .far import reply


async def work(clock):
    await clock.sleep(0.1)
    return "value"


async def fails(clock):
    await clock.sleep(0.1)
    raise ValueError


async def hangs(clock):
    await clock.sleep(1_000)


class Redis:
    """Answers slowly, and has every grant wait."""

    def __init__(self, clock):
        self.clock = clock

    async def evalsha(self, _sha, _count, _key, question):
        await self.clock.sleep(0.01)
        return reply(json.loads(question)[3], 0, 100_000, 0, 7)


def together(_):
    return [
        Fallback(use="other"),
        Stale(fresh=1, stale=10),
        SingleFlight(),
        Hedge(after=0.05, max=2, budget=Budget(0.5, 5)),
        Retry(delay=0.2),
        RateLimit(Quota(5, burst=1), wait=3.0),
        Breaker(),
        Adaptive(AIMD(initial=2), queue=8),
        Timeout(0.3),
        Chaos(0.5, latency=0.05),
    ]


POLICIES = {
    "rate limit": lambda _: [RateLimit(Quota(2, burst=1), wait=5.0)],
    "sliding log": lambda _: [RateLimit(Quota(1, per=0.5, algorithm="sliding_log"), wait=5.0)],
    "redis": lambda clock: [RateLimit(Quota(5), store=RedisLimits(Redis(clock), clock=clock), wait=1.0)],
    "adaptive": lambda _: [Adaptive(AIMD(initial=1), queue=5, wait=3.0)],
    "hedge": lambda _: [Hedge(after=0.03, max=2)],
    "measured hedge": lambda _: [Hedge(after=percentile(0.5, warmup=1))],
    "single flight": lambda _: [SingleFlight()],
    "stale": lambda _: [Stale(fresh=0, stale=10)],
    "revalidating": lambda _: [Stale(fresh=0, stale=10, revalidate=True)],
    "chaos": lambda _: [Chaos(1.0, latency=0.1)],
    "flight and hedge": lambda _: [SingleFlight(), Hedge(after=0.03), Bulkhead(2, queue=4)],
    "together": together,
}


@pytest.mark.parametrize("target", [work, fails, hangs], ids=lambda target: target.__name__)
@pytest.mark.parametrize("policies", POLICIES)
async def test_nothing_leaks(policies, target):
    made = {}

    async def scenario(clock):
        pipe = made["pipe"] = Pipeline("p", *POLICIES[policies](clock), clock=clock)
        neighbour = asyncio.ensure_future(pipe.call(target, clock))
        try:
            await pipe.call(target, clock)
            await pipe.call(target, clock)
        except ValueError:
            pass
        finally:
            neighbour.cancel()
            await asyncio.wait([neighbour])

    def at_rest(clock):
        for policy in made["pipe"].policies:
            permits_at_rest(policy)
        if policies not in ("revalidating", "redis"):  # which finish something in the background
            permits_at_rest(clock)

    if target is hangs:
        hanging = scenario

        async def scenario(clock):
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(hanging(clock))
                await clock.sleep(2.0)
                running.cancel()

    assert await cancel_everywhere(scenario, at_rest) > 0


async def test_leases_of_a_balancer():
    made = {}

    async def scenario(clock):
        balancer = made["balancer"] = Balancer("ab", clock=clock)
        for _ in range(3):
            lease = balancer.pick()
            try:
                await work(clock)
            except BaseException:
                lease.drop()
                raise
            lease.ok()

    def at_rest(clock):
        permits_at_rest(clock)
        assert set(made["balancer"].in_flight.values()) == {0}

    assert await cancel_everywhere(scenario, at_rest) == 3
