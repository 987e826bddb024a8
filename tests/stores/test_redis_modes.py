"""Whatever uses Redis, on one server, in a cluster, and behind Sentinels: the same list in each."""

import asyncio
import itertools
import secrets
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from bookstore.books.cache import CacheAside, Entry, book_place, page_place
from bookstore.gateway.config.model import Limit
from bookstore.gateway.limits import Counter
from bookstore.orders.queue.doorbell import Doorbell, StreamLost, Trouble
from bookstore.orders.stock.memory import KEYS, StockMemory
from bookstore.resilience import Breaker, CircuitOpen, Pipeline
from bookstore.resilience.quorum import Quorum
from bookstore.service.database import Database
from bookstore.service.redis import connect
from bookstore.service.redis_home import Home, slot_of

STREAM, SIGNAL = "bookstore:validations", "bookstore:signal"
numbers = itertools.count(1)


@asynccontextmanager
async def cache(url, database_url):
    """Two replicas keep books and lists together; neither ever gives what the other has changed."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(database_url, acquire=20.0))
        one, other = replicas = [CacheAside(url, database, ttl=60) for _ in range(2)]
        for replica in replicas:
            await stack.enter_async_context(replica.running())

        async def works():
            number = next(numbers)
            state = b"old"

            async def make():
                return Entry(f'"{number}"', state)

            kept = []
            for place in (book_place(number), page_place(f"limit={number}")):
                await one.read(place, make)
                kept.append((await other.read(place, make))[1])
            async with one.changing([number]):
                state = b"new"
            for place in (book_place(number), page_place(f"limit={number}")):
                entry, _ = await other.read(place, make)
                assert entry.body == b"new"
            return all(kept)

        yield works


@asynccontextmanager
async def limits(url, _):
    """Two gateways count one quota together, the exact one and the one that is spent in small change."""
    async with AsyncExitStack() as stack:
        counters = [await stack.enter_async_context(Counter(url, 2)) for _ in range(2)]
        rules = {quota: Limit(quota=quota, per=3600.0, key="caller") for quota in (10, 5000)}
        limited = {
            quota: [each.limit(f"l{quota}", rule) for each in counters] for quota, rule in rules.items()
        }

        async def works():
            who = secrets.token_hex(8)
            exact = [await limited[10][turn % 2].ask("/", who) for turn in range(12)]
            large = [await limited[5000][turn % 2].ask("/", who) for turn in range(6)]
            counted = not any(decision.degraded for decision in (*exact, *large))
            assert not counted or [decision.allowed for decision in exact] == [True] * 10 + [False] * 2
            assert all(decision.allowed for decision in large)
            return counted

        yield works


@asynccontextmanager
async def queue(url, _):
    """A bell that is rung is heard; what was heard and not removed is found; what is removed is gone."""
    bell = Doorbell(url, STREAM, f"worker-{secrets.token_hex(4)}")

    async def works():
        rung = [next(numbers) for _ in range(3)]
        try:
            with suppress(StreamLost):  # the first time, and wherever a server took over without it
                await bell.ring([0])
            await bell.ring(rung)
            heard = await bell.read(100)
            again = await bell.read_again()
            stale = await bell.stale(0.0)
            await bell.remove([entry.id for entry in {*heard, *again}])
            length = await bell.length()
            await bell.check()
        except (*Trouble, StreamLost):
            return False
        assert set(rung) <= {entry.job_id for entry in heard}
        assert {entry.id for entry in heard} <= {entry.id for entry in again} & {entry.id for entry in stale}
        return length == 0

    yield works
    with suppress(*Trouble):
        await bell.leave()
    await bell.aclose()


@asynccontextmanager
async def signal(url, _):
    """Two processes whose circuit is open are known to a third at its first look."""
    clients = [connect(Home(url, SIGNAL)) for _ in range(3)]

    async def fail():
        raise OSError

    async def work():
        return 1

    def process(client):
        breaker = Breaker(consecutive=1, open_for=3600.0)
        quorum = Quorum(breaker, client, key=SIGNAL, every=0.05, ttl=5.0)
        return quorum, Pipeline("p", quorum, breaker)

    failing = [process(client) for client in clients[:2]]

    async def works():
        for _, pipeline in failing:
            with suppress(OSError, CircuitOpen):
                await pipeline.call(fail)
        quorum, pipeline = process(clients[2])
        await pipeline.call(work)
        await quorum.aclose()
        return quorum.votes == 2

    yield works
    for quorum, _ in failing:
        await quorum.aclose()
    for client in clients:
        await client.aclose()


@asynccontextmanager
async def stock(url, _):
    """What books told last is remembered."""
    async with connect(Home(url, KEYS)) as client:
        memory = StockMemory(client)

        async def works():
            number = next(numbers)
            await memory.keep(number, number * 7)
            known = await memory.recall(number)
            await memory.forget(number)
            return known == number * 7 and await memory.recall(number) is None

        yield works


CONSUMERS = {
    cache: "{books}",
    limits: "{gateway}",
    queue: STREAM,
    signal: SIGNAL,
    stock: KEYS,
}
"""What uses Redis, each with a key of its own or the tag of its keys."""
every_consumer = pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda each: each.__name__)


@every_consumer
async def test_it_works_in_each_mode(mode, consumer, books_database, soon):
    async with consumer(mode.url, books_database) as works:
        await soon(works)


@pytest.mark.long
@pytest.mark.parametrize("end", ["kill", "freeze"])
@every_consumer
async def test_it_works_again_when_its_server_is_gone(whole, consumer, end, books_database, soon):
    """Another takes over; the old one comes back, and nobody takes it for what it was."""
    async with consumer(whole.url, books_database) as works:
        await soon(works)
        gone = await asyncio.to_thread(whole.server_of, CONSUMERS[consumer])
        getattr(gone, end)()
        await soon(works)
        now = await asyncio.to_thread(whole.server_of, CONSUMERS[consumer])
        assert now is not gone
        gone.resume() if end == "freeze" else gone.start()
        for _ in range(20):
            await soon(works)


class Move:
    """A slot on its way from one node of a cluster to another, step by step as `redis-cli` does it."""

    def __init__(self, cluster, keys):
        self._cluster = cluster
        self._slot = slot_of(keys)
        self.source = cluster.server_of(keys)
        self.target = next(node for node in cluster.servers if node is not self.source)

    def _tell(self, server, *words):
        with self._cluster.client(server) as client:
            return client.execute_command("CLUSTER", *words)

    def begin(self):
        """From here on, keys that aren't at the source are asked for at the target."""
        ids = [self._tell(node, "MYID").decode() for node in (self.source, self.target)]
        self._tell(self.target, "SETSLOT", self._slot, "IMPORTING", ids[0])
        self._tell(self.source, "SETSLOT", self._slot, "MIGRATING", ids[1])

    def carry(self):
        """All keys that are there go to the target, each at once."""
        with self._cluster.client(self.source) as source:
            while keys := source.execute_command("CLUSTER", "GETKEYSINSLOT", self._slot, 100):
                source.execute_command(
                    "MIGRATE", "127.0.0.1", self.target.port, "", 0, 5000,
                    "AUTH", self._cluster.password, "KEYS", *keys,
                )  # fmt: skip

    def end(self):
        """From here on the slot is the target's."""
        owner = self._tell(self.target, "MYID").decode()
        for node in (self.target, self.source, *self._cluster.servers):
            self._tell(node, "SETSLOT", self._slot, "NODE", owner)


@pytest.mark.long
@every_consumer
async def test_it_goes_with_its_slot(cluster, consumer, books_database, soon):
    """MOVED: who asks the old owner is led to the new one, and back."""
    async with consumer(cluster.url, books_database) as works:
        await soon(works)
        for _ in range(2):
            move = await asyncio.to_thread(Move, cluster, CONSUMERS[consumer])
            for step in (move.begin, move.carry, move.end):
                await asyncio.to_thread(step)
                # Whatever it does while it can't ask, it does nothing wrong.
                for _ in range(3):
                    await works()
            await soon(works)
            assert await asyncio.to_thread(cluster.server_of, CONSUMERS[consumer]) is move.target


@pytest.mark.long
async def test_the_bell_rings_on_while_its_slot_is_on_its_way(cluster, soon):
    """ASK: a stream is one key, so whoever finds it gone follows it, however long its slot is on its way."""
    async with queue(cluster.url, None) as works:
        await soon(works)
        move = await asyncio.to_thread(Move, cluster, STREAM)
        await asyncio.to_thread(move.begin)
        await soon(works)
        await asyncio.to_thread(move.carry)
        for _ in range(5):
            await soon(works)
        with cluster.client(move.source) as source:
            assert source.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot_of(STREAM)) == 0
        await asyncio.to_thread(move.end)
        await soon(works)
