"""Whose a job is, when workers die half-way or come back late, and how much of Redis may be full or idle."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from bookstore.orders.queue.app import STREAMS
from bookstore.orders.queue.lane import Lane
from bookstore.orders.queue.ledger import Ledger
from bookstore.orders.queue.metrics import WorkerMetrics
from bookstore.service.database import Database

STREAM = STREAMS["validate"]
LEASE = 0.001


@pytest.fixture
def new_lane(ledger, bell):
    def lane():
        return Lane(
            "validate", ledger, bell, WorkerMetrics(CollectorRegistry()),
            work=None, room=lambda _: 8, lease=LEASE, most_claims=20,
        )  # fmt: skip

    return lane


def _nothing_left(redis):
    return (redis.xlen(STREAM), redis.xpending(STREAM, "workers")["pending"]) == (0, 0)


async def test_a_late_renewal_takes_nothing_back(ledger, book, eventually):
    book.place()
    [first] = await ledger.claim("validate", [1], LEASE)
    [second] = await asyncio.to_thread(eventually, lambda: _claimed(book))
    taken = book.job()
    assert (first.token, second, taken["token"]) == (1, 2, 2)
    await ledger.renew([first], 3600.0)
    assert book.job() == taken


def _claimed(book):
    """Take a job over as another worker does; gives its token, once the first lease is over."""

    async def claim():
        async with Database(book.url) as database:
            return [job.token for job in await Ledger(database).claim("validate", [1], 30.0)]

    return asyncio.run(claim())


async def test_whoever_tidies_may_die_and_keeps_nobody_from_it(new_lane, bell, book, redis, monkeypatch):
    """It has made the jobs due, and dies before their entries are removed. It holds no lock."""
    ids = book.place(250)
    book.do("UPDATE ledger SET published_at = now()")
    await bell.ring(ids)
    assert len(await bell.read(250)) == 250

    async def die(_):
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(bell, "remove", die)
        with pytest.raises(asyncio.CancelledError):
            await new_lane().tidy()
    assert redis.xpending(STREAM, "workers")["pending"] == 250
    await new_lane().tidy()
    assert _nothing_left(redis)
    assert book.ask("SELECT count(*) FROM ledger WHERE published_at IS NULL") == [(250,)]


async def test_five_thousand_idle_entries_are_tidied_a_hundred_at_a_time(new_lane, bell, redis):
    await bell.ring(range(1, 5001))
    while await bell.read(500):
        pass
    assert redis.xpending(STREAM, "workers")["pending"] == 5000
    await new_lane().tidy()
    assert _nothing_left(redis)


async def test_a_cache_that_fills_redis_leaves_the_stream_alone(bell, redis):
    before = {name: redis.config_get(name)[name] for name in ("maxmemory", "maxmemory-policy")}
    try:
        redis.config_set("maxmemory-policy", "volatile-ttl")
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] + 4_000_000)
        await bell.ring(range(1, 101))
        evicted = redis.info("stats")["evicted_keys"]
        with redis.pipeline(transaction=False) as cache:
            for number in range(8000):
                cache.set(f"cache:{number}", b"x" * 1000, ex=3600)
            cache.execute()
        assert redis.info("stats")["evicted_keys"] > evicted
        assert len(await bell.read(1000)) == 100
    finally:
        for name, value in before.items():
            redis.config_set(name, value)
