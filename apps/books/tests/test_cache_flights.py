"""Those who miss the same entry at once: one query, and nobody is given what was read before they asked."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from bookstore.books.catalogue.store import BookStore
from bookstore.service.testing import eventually

PATIENCE = 20.0
PATH = "/v2/books?limit=3"


@pytest.fixture
def books(database_url, redis_url, run_books):
    with run_books(database_url, redis_url=redis_url) as client:
        client.post("/v2/books", json={"title": "T", "author": "A", "price": 1}).raise_for_status()
        yield client


@pytest.fixture
def held(monkeypatch):
    """Each list that is read in PostgreSQL is held back from now on until `go`."""

    class Held:
        queries = 0
        go = Event()

    page = BookStore.page

    async def late(self, *args):
        found = await page(self, *args)
        Held.queries += 1
        while not Held.go.is_set():  # noqa: ASYNC110 - it is set in another thread
            await asyncio.sleep(0.002)
        return found

    monkeypatch.setattr(BookStore, "page", late)
    return Held


def _misses(client):
    [line] = [
        line
        for line in client.get("/metrics").text.splitlines()
        if line.startswith('bookstore_cache_misses_total{kind="page"}')
    ]
    return float(line.rpartition(" ")[2])


def _price(url):
    answer = httpx.get(f"{url}{PATH}", timeout=PATIENCE)
    return answer.json()["data"][0]["price"], answer.json()["from_cache"]


def test_one_query_answers_all(books, held):
    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(_price, books.base_url) for _ in range(8)]
        try:
            eventually(lambda: _misses(books) == 8)
        finally:
            held.go.set()
        assert {answer.result() for answer in answers} == {("1.00", False)}
    assert held.queries == 1
    assert _price(books.base_url) == ("1.00", True)


def test_who_asks_after_a_write_is_not_given_what_was_read_before_it(books, held):
    with ThreadPoolExecutor(3) as pool:
        early = pool.submit(_price, books.base_url)
        try:
            eventually(lambda: held.queries == 1)
            books.put("/v2/books/1", json={"price": 2}).raise_for_status()
            late = [pool.submit(_price, books.base_url) for _ in range(2)]
            eventually(lambda: _misses(books) == 3)
        finally:
            held.go.set()
        assert early.result() == ("1.00", False)
        assert [answer.result() for answer in late] == [("2.00", False)] * 2
    assert held.queries == 2
    assert _price(books.base_url) == ("2.00", True)


def test_a_query_that_fails_is_tried_anew_for_those_who_came_later(books, held, monkeypatch):
    late, failed = BookStore.page, []

    async def fails_once(self, *args):
        found = await late(self, *args)
        if not failed:
            failed.append(True)
            raise ZeroDivisionError
        return found

    monkeypatch.setattr(BookStore, "page", fails_once)
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(httpx.get, f"{books.base_url}{PATH}", timeout=PATIENCE)
        try:
            eventually(lambda: held.queries == 1)
            later = pool.submit(_price, books.base_url)
            eventually(lambda: _misses(books) == 2)
        finally:
            held.go.set()
        assert early.result().status_code == 500
        assert later.result() == ("1.00", False)
