"""Redis loses servers under orders: it is a doorbell, and what it loses was never the only copy."""

import asyncio
from itertools import count
from time import monotonic

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from redis.exceptions import RedisError

from bookstore.books.cache import CacheAside, Entry, book_place
from bookstore.books.cache.trust import CLOSED
from bookstore.orders.queue.doorbell import Doorbell, StreamLost, Trouble
from bookstore.orders.queue.ledger import Ledger
from bookstore.orders.queue.metrics import WorkerMetrics
from bookstore.orders.queue.model import STREAMS
from bookstore.orders.queue.relay import Relay
from bookstore.service.database import Database
from bookstore.service.redis import connect
from bookstore.service.redis_home import Home

pytestmark = pytest.mark.long

STREAM = STREAMS["validate"]
NEVER = 3600.0
"""Seconds after which a bell is rung again by itself: what comes sooner, comes for another reason."""


@pytest.fixture
def shop(whole, running, books_database, orders_database):
    with running(
        whole.url, books_database, orders_database, ledger_republish=NEVER, worker_lease=5.0
    ) as shop:
        yield shop


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_orders_taken_while_a_master_dies_are_all_done_once(whole, shop, end, eventually):
    book = shop.book()
    with shop.under_load(book) as taken:
        eventually(lambda: len(taken) > 10)
        gone = whole.server_of(STREAM)
        getattr(gone, end)()
        before = len(taken)
        eventually(lambda: whole.server_of(STREAM) not in {gone, None})
        eventually(lambda: len(taken) > before + 20)
    gone.resume() if end == "freeze" else gone.start()
    more = [shop.order(book) for _ in range(5)]
    shop.has_done({*taken, *more})


async def test_a_bell_that_only_the_old_master_heard_is_rung_again(whole, orders_database, soon):
    """Replicas are told a moment later, so what was rung in the last moment may be lost with the master."""
    with psycopg.connect(orders_database) as connection:
        connection.execute("INSERT INTO orders (lines, total_price) SELECT 1, 1 FROM generate_series(1, 5)")
        connection.execute("INSERT INTO ledger (order_id) SELECT id FROM orders")
    bell = Doorbell(whole.url, STREAM, "worker-1")
    async with Database(orders_database, acquire=20.0) as database:
        relay = Relay("validate", Ledger(database), bell, WorkerMetrics(CollectorRegistry()), republish=NEVER)

        async def rung():
            try:
                await relay.round()
                return await bell.length() == 5
            except (*Trouble, StreamLost):
                return False

        with pytest.raises(StreamLost):  # the first to ring makes the stream
            await bell.ring([0])
        old = await asyncio.to_thread(whole.server_of, STREAM)
        with whole.client(old) as client:
            client.wait(1, 5000)  # the stream is everywhere, and empty
            deaf = whole.replica_of(old)
            deaf.freeze()
            client.client_kill_filter(_type="replica")  # or it would find in its socket what it was told
        await soon(rung)
        old.kill()
        deaf.resume()
        await soon(rung)
        assert await asyncio.to_thread(whole.server_of, STREAM) is deaf
    await bell.aclose()


async def test_a_frozen_server_costs_a_bounded_time_and_then_another_is_found(whole, soon):
    """Also the one that is asked first where the master is: all are asked together."""
    patience = 0.25
    async with connect(Home(whole.url, STREAM), patience=patience) as client:
        await client.set(STREAM, b"1")
        await client.wait(1, 2000)
        gone = await asyncio.to_thread(whole.server_of, STREAM)
        gone.freeze()
        slowest = 0.0

        async def answers():
            nonlocal slowest
            started = monotonic()
            try:
                return await client.get(STREAM) == b"1" and await client.set(STREAM, b"1")
            except RedisError:
                return False
            finally:
                slowest = max(slowest, monotonic() - started)

        await soon(answers)
        assert slowest < 2.0  # finding, connecting, introducing ourselves and asking, at the worst
        assert await asyncio.to_thread(whole.server_of, STREAM) is not gone
        gone.resume()
        for _ in range(50):
            assert await client.get(STREAM) == b"1"


async def test_a_master_that_wakes_up_too_late_is_given_nothing(sentinel, soon):
    """It takes itself for the master still, and connections to it are open."""
    old, new = sentinel.servers
    async with connect(Home(sentinel.url, STREAM)) as client:

        async def write(value, count=16):
            """By as many connections as there are keys."""
            try:
                await asyncio.gather(*(client.set(f"key-{number}", value) for number in range(count)))
            except RedisError:
                return False
            return True

        assert await write("before")
        old.freeze()
        # One connection learns of it; the others are idle, and end up at the old master when it wakes.
        await soon(lambda: write("meanwhile", 1))
        for watcher in sentinel.watchers:
            watcher.freeze()  # nobody tells it
        old.resume()
        assert await write("late")
        with sentinel.client(old) as waked, sentinel.client(new) as there:
            assert {there.get(f"key-{number}") for number in range(16)} == {b"late"}
            assert b"late" not in {waked.get(f"key-{number}") for number in range(16)}


async def test_who_still_reaches_the_old_master_is_told_nothing_old(sentinel, books_database, soon):
    """A network is parted: one replica of books reaches the new master, and one still the old one."""
    old, new = sentinel.servers
    state = b"1"

    async def make():
        return Entry('"1"', state)

    async with Database(books_database, acquire=20.0) as database:
        here, there = (CacheAside(server.url, database, ttl=3600) for server in (old, new))
        place = book_place(1)

        async def cached():
            return (await here.read(place, make))[1]

        async with here.running():
            await soon(cached)
            with sentinel.client(new) as client:
                client.execute_command("REPLICAOF", "NO", "ONE")  # the old one isn't told
            async with there.running():
                began = monotonic()
                for number in count(2):
                    # Longer than the cache stays closed when its server has changed.
                    if monotonic() - began > 3 * CLOSED:
                        break
                    async with there.changing([1]):
                        state = b"%d" % number
                    await there.read(place, make)
                    hit = await here.hit(place)
                    assert hit is None or hit.body == state
                    assert (await here.read(place, make))[0].body == state
