"""One quota in a real Redis, spent by several processes at once.

What counts is the clock of Redis: an answer may reach a busy process long after its instant, and what a
process sees within five seconds of its own says nothing about the quota. So each process tells what it was
granted, and for which instant.
"""

import asyncio
import json
import sys
from itertools import pairwise

import pytest

from bookstore.resilience.clock import SYSTEM

pytestmark = pytest.mark.redis

RATE, SECOND = 100, 1_000_000

WORKER = """
import asyncio, json, sys, time
from redis.asyncio import Redis
from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits

async def main(url, seconds, tasks, lease, algorithm):
    redis = Redis.from_url(url)
    store = RedisLimits(redis, lease=lease, outage="closed", timeout=20.0)
    limiter = RateLimit(Quota(100, per=1.0, burst=100, algorithm=algorithm), store=store)
    link, told = store.link, []
    known = link.ask

    async def ask(*question):
        answer = await known(*question)
        units, *_, at = map(int, answer.split())
        told.append((at, units))
        return answer

    link.ask = ask
    await redis.ping()
    print("ready", flush=True)
    begin = float(sys.stdin.readline())
    await asyncio.sleep(begin - time.time())
    allowed = 0

    async def spend():
        nonlocal allowed
        while time.time() < begin + seconds:
            decision = await limiter.try_acquire("shared")
            allowed += decision.allowed
            await asyncio.sleep(0.02 if decision.allowed else min(0.05, decision.retry_after + 0.002))

    await asyncio.gather(*(spend() for _ in range(tasks)))
    await store.aclose()
    print(json.dumps([allowed, told]))
    await redis.aclose()

url, seconds, tasks, lease, algorithm = sys.argv[1:]
asyncio.run(main(url, float(seconds), int(tasks), int(lease), algorithm))
"""


async def spent(url, processes, seconds, lease, algorithm):
    """What so many processes let through, and all that Redis told them: instants, and units granted then."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-c", WORKER, url, str(seconds), "20", str(lease), algorithm]
    workers = [
        await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe) for _ in range(processes)
    ]
    for worker in workers:
        assert await worker.stdout.readline() == b"ready\n"
    begin = f"{SYSTEM.wall() + 0.2}\n".encode()
    printed = [json.loads((await worker.communicate(begin))[0]) for worker in workers]
    return sum(allowed for allowed, _ in printed), sorted(tuple(one) for _, told in printed for one in told)


def overdrawn(told, algorithm):
    """Each instant at which more was granted than the quota says, reckoned anew."""
    if algorithm == "sliding_log":
        granted = [at for at, units in told for _ in range(units)]
        return [late for early, late in zip(granted, granted[RATE:], strict=False) if late - early < SECOND]
    full, over = 0.0, []
    for at, units in told:
        full = max(full, at) + units * SECOND / RATE
        if units > 0 and full > at + SECOND + 1:
            over.append(at)
    return over


def least(told):
    """What must have been granted up to the last refusal, if somebody asked all the time."""
    instants = [at for at, _ in told]
    refusals = [at for at, units in told if not units]
    assert refusals
    idle = max(later - earlier for earlier, later in pairwise(instants)) > SECOND / 2
    return RATE if idle else RATE * (refusals[-1] - instants[0]) / SECOND


@pytest.mark.parametrize(
    ("processes", "seconds", "lease", "algorithm"),
    [
        (4, 1.5, 0, "gcra"),
        (4, 1.5, 0, "sliding_log"),
        (4, 1.5, 10, "gcra"),
        pytest.param(8, 5, 0, "gcra", marks=pytest.mark.long),
    ],
)
async def test_several_processes_share_one_quota(redis_url, processes, seconds, lease, algorithm):
    allowed, told = await spent(redis_url, processes, seconds, lease, algorithm)
    granted = sum(units for _, units in told)
    assert overdrawn(told, algorithm) == []
    assert granted >= least(told) - processes * lease
    if lease:  # less what was leased and ran out unused
        assert 0 <= granted - allowed <= 2 * processes * lease * (seconds + 1)
    else:
        assert granted == allowed
