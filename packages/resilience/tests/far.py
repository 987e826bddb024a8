"""A Redis whose answers are given, slow or none, and a limit that asks it."""

import asyncio
import json

from bookstore.resilience.quota import Quota
from bookstore.resilience.ratelimit import RateLimit
from bookstore.resilience.redis import RedisLimits


def reply(*numbers):
    """As a script answers."""
    return " ".join(map(str, numbers)).encode()


class Redis:
    """Answers after `delay`, or not at all: as many units as are wanted, until none is left."""

    def __init__(self, clock, units=10**6):
        self.clock = clock
        self.units = units
        self.delay = 0.001
        self.error = None
        self.asked = []
        self.known = True
        self.due = 0

    async def evalsha(self, _sha, _count, key, question):
        args = tuple(json.loads(question))
        self.asked.append((key, args))
        await self.clock.sleep(self.delay)
        if not self.known:
            raise NoScriptError
        if self.error is not None:
            raise self.error
        cost, want = args[2], args[3]
        granted = want if want <= self.units else cost if cost <= self.units else 0
        self.units -= granted
        return reply(granted, self.units, self.due if granted else 500_000, 1_000_000, len(self.asked))

    async def eval(self, text, *args):
        assert "redis.call" in text
        self.known = True
        return await self.evalsha("", *args)


class NoScriptError(Exception):
    pass


def limiter_of(redis, clock, quota=Quota(100, per=1.0), **settings):  # noqa: B008 - frozen
    wait = settings.pop("wait", 0.0)
    store = RedisLimits(redis, clock=clock, **settings)
    return RateLimit(quota, store=store, wait=wait, clock=clock), store


async def close(store, clock):
    closing = asyncio.create_task(store.aclose())
    await clock.advance(1)
    assert closing.done()
    assert clock.pending == 0


async def ask(limiter, clock, seconds=1.0, **how):
    task = asyncio.create_task(limiter.try_acquire(**how))
    begun = clock.now()
    took = []
    task.add_done_callback(lambda _: took.append(clock.now() - begun))
    await clock.advance(seconds)
    return task.result(), took[0]
