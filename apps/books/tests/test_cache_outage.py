"""Redis frozen, gone, cut off from one replica; writers that die half-way: answers are right, and in time."""

import asyncio
import contextlib
import socket
import statistics
import threading
from time import monotonic, sleep
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from bookstore.books.cache import trust
from bookstore.books.cache.aside import CacheAside
from bookstore.books.catalogue.store import BookStore
from bookstore.service.database import DatabaseUnavailable

PATIENCE = 30.0
PATHS = ["/v2/books/1", "/v2/books"]


class Wire:
    """A way to Redis that can be cut, or fall silent without being closed."""

    def __init__(self, url):
        self._there = (urlsplit(url).hostname, urlsplit(url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{self._there[1]}", f":{self._listener.getsockname()[1]}")
        self._ends = []
        self._silent = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with self._listener, contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._there)
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._silent:
                    target.sendall(data)
        for end in (source, target):
            end.close()

    def fall_silent(self):
        self._silent = True

    def cut(self):
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(redis_url):
    wire = Wire(redis_url)
    yield wire
    wire.cut()


@pytest.fixture
def twins(database_url, redis_url, wire, run_books, monkeypatch):
    """Two replicas with a book that both have read; the second reaches Redis over the wire."""
    monkeypatch.setattr(trust, "CLOSED", 0.5)
    with (
        run_books(database_url, redis_url=redis_url, hurried=True) as first,
        run_books(database_url, redis_url=wire.url, hurried=True) as second,
    ):
        first.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
        for client in (first, second):
            for path in PATHS:
                _until_cached(client, path)
        yield first, second


def _read(client, path):
    """The price of book 1, and whether it came from the cache."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    return told.get("data", [told])[0]["price"], told["from_cache"]


def _until_cached(client, path="/v2/books/1"):
    until = monotonic() + PATIENCE
    while not _read(client, path)[1]:
        assert monotonic() < until, "the cache didn't come back"
        sleep(0.01)


def _timed(call):
    started = monotonic()
    call()
    return monotonic() - started


@pytest.mark.parametrize("failure", ["cut", "fall_silent"])
def test_a_replica_that_redis_does_not_reach_still_tells_all_others(twins, wire, failure):
    first, second = twins
    getattr(wire, failure)()
    for price in (2, 3):
        second.put("/v2/books/1", json={"price": price}).raise_for_status()
        assert [_read(first, path)[0] for path in PATHS] == [f"{price}.00"] * 2
    assert second.get("/health").json()["services"]["redis"] == "unhealthy"
    assert second.get("/health").json()["status"] == "degraded"
    assert second.get("/health/ready").status_code == 200


def test_the_cache_is_used_again_when_all_reach_it(database_url, redis_url, run_books, monkeypatch):
    monkeypatch.setattr(trust, "CLOSED", 0.5)
    wire = Wire(redis_url)
    with run_books(database_url, redis_url=redis_url, hurried=True) as first:
        with run_books(database_url, redis_url=wire.url, hurried=True) as second:
            second.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
            wire.cut()
            second.put("/v2/books/1", json={"price": 2}).raise_for_status()
            assert _read(first, "/v2/books/1") == ("2.00", False)
        _until_cached(first)


@pytest.mark.quiet
@pytest.mark.parametrize("method", ["freeze", "kill"])
def test_without_redis_postgresql_answers_nearly_as_soon(
    database_url, redis_server, run_books, method, monkeypatch
):
    monkeypatch.setattr(trust, "CLOSED", 0.5)
    with run_books(database_url, redis_url=redis_server.url, hurried=True) as client:
        client.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
        _until_cached(client)
        getattr(redis_server, method)()
        reads = [_timed(lambda path=path: _read(client, path)) for path in PATHS * 20]
        writes = [
            _timed(lambda: client.put("/v2/books/1", json={"price": 5}).raise_for_status()) for _ in range(9)
        ]
        # The first may wait for Redis; nobody does once it is known to be away.
        assert statistics.median(reads) < 0.05
        assert statistics.median(writes) < 0.2
        assert not any(_read(client, path)[1] for path in PATHS)
        assert client.get("/v2/cache").json()["keys"] == []
        if method == "freeze":
            redis_server.resume()
        else:
            redis_server.start()
        _until_cached(client)
        assert _read(client, "/v2/books/1")[0] == "5.00"
        assert client.get("/health").json()["status"] == "healthy"


def test_the_cache_is_closed_before_a_write_has_to_do_it(database_url, redis_server, run_books):
    with (
        run_books(database_url, redis_url=redis_server.url, hurried=True),
        psycopg.connect(database_url) as observer,
    ):
        observer.autocommit = True
        query = "SELECT closed_until > now() FROM cache"
        assert observer.execute(query).fetchone() == (False,)
        redis_server.kill()
        until = monotonic() + PATIENCE
        while observer.execute(query).fetchone() == (False,):
            assert monotonic() < until


def test_what_a_restarted_redis_finds_on_its_disk_is_not_used(
    database_url, redis_server, run_books, monkeypatch
):
    """It may lack the last writes, even if nobody noticed that it was away."""

    async def unnoticed(_):
        pass

    monkeypatch.setattr(trust.Trust, "close", unnoticed)
    with run_books(database_url, redis_url=redis_server.url, hurried=True) as client:
        client.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
        _until_cached(client)
        redis_server.restart()
        until = monotonic() + PATIENCE
        while client.get("/health").json()["status"] != "healthy":
            assert monotonic() < until
        assert not _read(client, "/v2/books/1")[1]
        _until_cached(client)


def test_a_service_starts_without_its_redis_and_meets_it_later(database_url, redis_server, run_books):
    redis_server.stop()
    with run_books(database_url, redis_url=redis_server.url, hurried=True) as client:
        client.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
        assert _read(client, "/v2/books/1") == ("1.00", False)
        redis_server.start()
        _until_cached(client)


def test_a_writer_that_dies_after_its_commit_leaves_nothing_old(twins, monkeypatch):
    first, second = twins

    async def never(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(CacheAside, "_forget", never)
    with pytest.raises(httpx.ReadTimeout):
        second.put("/v2/books/1", json={"price": 2}, timeout=0.5)
    until = monotonic() + PATIENCE
    while first.get("/v1/books/1").json()["price"] != "2.00":
        assert monotonic() < until
    for _ in range(3):
        assert [_read(first, path) for path in PATHS] == [("2.00", False)] * 2


def test_a_write_whose_end_is_not_known_leaves_nothing_old(twins, monkeypatch):
    first, second = twins
    change = BookStore.change

    async def lost(*args):
        await change(*args)
        raise DatabaseUnavailable("lost", lost=True)

    monkeypatch.setattr(BookStore, "change", lost)
    assert second.put("/v2/books/1", json={"price": 2}).status_code == 503
    for _ in range(3):
        assert [_read(first, path) for path in PATHS] == [("2.00", False)] * 2
