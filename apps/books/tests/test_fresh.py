"""Nobody reads a book as it was before an acknowledged write: two replicas, whatever befalls Redis."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import cycle
from threading import Event, Lock
from time import monotonic

import httpx
import pytest

from bookstore.books.cache import trust
from bookstore.books.catalogue.store import BookStore
from bookstore.stores.redis import redis_command

WRITES = 15
PATIENCE = 30.0


def _slowly(method):
    """The same query, but it takes a while until it is sent, and until its answer is used."""

    async def slow(self, *args):
        await asyncio.sleep(random.choice((0, 0, 0.002, 0.015)))  # noqa: S311
        found = await method(self, *args)
        await asyncio.sleep(random.choice((0, 0.002, 0.015, 0.03)))  # noqa: S311
        return found

    return slow


@pytest.fixture
def slow_readers(monkeypatch):
    for name in ("get", "newest", "page"):
        monkeypatch.setattr(BookStore, name, _slowly(getattr(BookStore, name)))


def _answer(ask, *args, **kwargs):
    """The answer. On a busy machine PostgreSQL may be late, never Redis; so a price may be written twice."""
    while (answer := ask(*args, **kwargs)).status_code != 200:
        assert answer.json()["type"] == "urn:bookstore:problem:database-unavailable", answer.text
    return answer


class Witness:
    """Writes prices that only grow, reads them everywhere, and knows what each read must have seen."""

    def __init__(self, urls, books):
        self.urls = urls
        self.acknowledged = dict.fromkeys(books, 0)
        self.done = Event()
        self.lock = Lock()
        self.hits = self.reads = 0
        self.stale = []

    def write(self, books, enough):
        """Each book has one writer, which goes from replica to replica, and leaves readers some time."""
        with ExitStack() as stack:
            clients = [stack.enter_context(httpx.Client(base_url=url, timeout=10)) for url in self.urls]
            for price, client in enumerate(cycle(clients), start=1):
                for book in books:
                    version = random.choice(("v1", "v2"))  # noqa: S311
                    _answer(client.put, f"/{version}/books/{book}", json={"price": price})
                    self.acknowledged[book] = price
                    seen = self.reads + random.choice((0, 0, 4, 8, 12))  # noqa: S311
                    while self.reads < seen and not self.done.is_set():
                        self.done.wait(0.001)
                if price >= WRITES and enough():
                    return

    def read(self, url):
        ways = ("/v2/books/{}", "/v2/books/{}", "/v1/books/{}", "/v2/books?limit=50", "/v1/books?limit=50")
        with httpx.Client(base_url=url, timeout=10) as client:
            while not self.done.is_set():
                book = random.choice(list(self.acknowledged))  # noqa: S311
                way = random.choice(ways)  # noqa: S311
                least = self.acknowledged[book]
                told = _answer(client.get, way.format(book)).json()
                listed = told if isinstance(told, list) else told.get("data", [told])
                price = next(float(each["price"]) for each in listed if each["id"] == book)
                with self.lock:
                    self.reads += 1
                    self.hits += isinstance(told, dict) and told.get("from_cache", False)
                    if price < least:
                        self.stale.append((way, book, price, least))

    def testify(self, vandal):
        with ThreadPoolExecutor(16) as pool:
            readers = [pool.submit(self.read, url) for url in self.urls * 2]
            havoc = pool.submit(vandal, self)
            try:
                books = list(self.acknowledged)
                writers = [pool.submit(self.write, books[place::2], havoc.done) for place in range(2)]
                for writer in writers:
                    writer.result()
                havoc.result()
            finally:
                self.done.set()
            for reader in readers:
                reader.result()
        assert self.stale == []

    def until_hits(self, more):
        """Until the cache has answered so many more times."""
        until, before = monotonic() + PATIENCE, self.hits
        while self.hits < before + more:
            assert monotonic() < until, "the cache didn't come back"
            self.done.wait(0.01)

    def until_writes(self, more):
        until, before = monotonic() + PATIENCE, sum(self.acknowledged.values())
        while sum(self.acknowledged.values()) < before + more:
            assert monotonic() < until, "nothing is written"
            self.done.wait(0.001)


def _calm(witness, _):
    witness.until_hits(50)


def _flushed(witness, server):
    for _ in range(30):
        witness.until_writes(2)
        redis_command(server.url, "FLUSHALL")
    witness.until_hits(5)


def _frozen(witness, server):
    for _ in range(3):
        witness.until_hits(5)
        server.freeze()
        witness.until_writes(3)
        server.resume()
    witness.until_hits(5)


def _restarted(witness, server):
    """With what had reached its disk, which may lack the last second."""
    for _ in range(2):
        witness.until_hits(5)
        server.kill()
        witness.until_writes(3)
        server.start()
    witness.until_hits(5)


@pytest.mark.parametrize("vandal", [_calm, _flushed, _frozen, _restarted])
@pytest.mark.usefixtures("slow_readers")
def test_no_read_is_older_than_a_write_acknowledged_before_it(
    vandal, database_url, redis_server, run_books, monkeypatch
):
    monkeypatch.setattr(trust, "CLOSED", 0.5)
    with (
        run_books(database_url, redis_url=redis_server.url, hurried=True) as first,
        run_books(database_url, redis_url=redis_server.url, hurried=True) as second,
    ):
        books = [
            first.post("/v2/books", json={"title": "T", "author": "A", "price": 0}).json()["id"]
            for _ in range(6)
        ]
        witness = Witness([str(first.base_url), str(second.base_url)], books)
        witness.testify(lambda witness: vandal(witness, redis_server))
        assert witness.hits
