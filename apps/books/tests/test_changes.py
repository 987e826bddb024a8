"""Whoever keeps what books looked like is told of every change: after its commit, before its answer."""

import httpx
import psycopg
import pytest

from bookstore.books.settings import BooksSettings
from bookstore.books.stock import api
from bookstore.books.stock.store import StockStore
from bookstore.service.app import Service
from bookstore.service.database import Database
from bookstore.service.tokens import RemoteKeys, access_with

STOCK = "SELECT id, on_hand - reserved FROM books ORDER BY id"


class Told:
    """Takes down which books have changed, and what anybody else could see of them at that moment."""

    def __init__(self, url):
        self.url = url
        self.books, self.seen = [], []

    async def changed(self, book_ids):
        self.books.append(sorted(book_ids))
        async with await psycopg.AsyncConnection.connect(self.url) as other:
            self.seen.append(dict(await (await other.execute(STOCK)).fetchall()))


@pytest.fixture
def told(database_url):
    with psycopg.connect(database_url) as database:
        database.execute(
            "INSERT INTO books (title, author, price, on_hand)"
            " SELECT 'B', 'A', 1, 10 FROM generate_series(1, 3)"
        )
    return Told(database_url)


@pytest.fixture
async def client(told):
    settings = BooksSettings(database_url=told.url, port=0, access_log=False)
    async with Database(told.url) as database, RemoteKeys(settings.accounts_service_url) as keys:
        service = Service(
            "probe",
            "1",
            settings,
            handlers=api.handlers,
            provide={"stock": StockStore(database), "changed": told.changed},
            access=access_with(settings, keys),
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(service.asgi), base_url="http://probe"
        ) as client:
            yield client


def _items(*lines):
    return {"items": [{"book_id": book_id, "quantity": quantity} for book_id, quantity in lines]}


async def test_every_write_of_stock_is_told_once_others_can_see_it(client, told):
    held = "/inventory/reservations/a"
    for method, path, body, books, seen in [
        ("PUT", "/inventory/1", {"quantity": 7}, [1], {1: 7, 2: 10, 3: 10}),
        ("PUT", held, _items((3, 2), (1, 1)), [1, 3], {1: 6, 2: 10, 3: 8}),
        # The same again is told again: the process that did it may have died before it could.
        ("PUT", held, _items((1, 1), (3, 2)), [1, 3], {1: 6, 2: 10, 3: 8}),
        ("POST", f"{held}/commit", None, [1, 3], {1: 6, 2: 10, 3: 8}),
        ("POST", f"{held}/commit", None, [1, 3], {1: 6, 2: 10, 3: 8}),
        ("PUT", "/inventory/reservations/b", _items((2, 10)), [2], {1: 6, 2: 0, 3: 8}),
        ("POST", "/inventory/reservations/b/release", None, [2], {1: 6, 2: 10, 3: 8}),
        ("POST", "/inventory/reservations/b/release", None, [2], {1: 6, 2: 10, 3: 8}),
    ]:
        answer = await client.request(method, path, json=body)
        assert answer.is_success, answer.text
        assert (told.books.pop(), told.seen.pop()) == (books, seen)
        assert told.books == []


async def test_what_changes_nothing_is_not_told(client, told):
    await client.put("/inventory/reservations/a", json=_items((1, 1)))
    await client.put("/inventory/reservations/late", json=_items((1, 1)))
    await client.post("/inventory/reservations/late/release")
    told.books.clear()
    for method, path, body, status in [
        ("GET", "/inventory/1", None, 200),
        ("PUT", "/inventory/1", {"quantity": 0}, 409),
        ("PUT", "/inventory/9", {"quantity": 1}, 404),
        ("PUT", "/inventory/reservations/b", _items((1, 10)), 409),
        ("PUT", "/inventory/reservations/b", _items((9, 1)), 404),
        ("PUT", "/inventory/reservations/a", _items((1, 2)), 409),
        ("PUT", "/inventory/reservations/late", _items((1, 1)), 409),
        ("POST", "/inventory/reservations/c/commit", None, 404),
        ("POST", "/inventory/reservations/late/commit", None, 409),
        ("GET", "/inventory/reservations", None, 200),
    ]:
        assert (await client.request(method, path, json=body)).status_code == status, (method, path)
    assert told.books == []
