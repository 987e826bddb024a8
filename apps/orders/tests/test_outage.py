"""The database frozen, killed, restarted, and lost in the middle of a commit."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import monotonic
from urllib.parse import urlsplit

import psycopg
import pytest

from bookstore.service.testing import Loopback

PROMISE = 2.0
PATIENCE = 15.0
ONE = {"book_id": 1, "quantity": 1}


@pytest.fixture
def fragile_orders(fragile, books, run_orders):
    with run_orders(fragile, books.url, hurried=True) as client:
        assert client.post("/v1/orders", json=ONE).status_code == 201
        yield client


def _timed(client, method, path, body, headers=None):
    started = monotonic()
    return client.request(method, path, json=body, headers=headers), monotonic() - started


def _recovers(client):
    started = monotonic()
    while client.get("/v1/orders/1").status_code != 200 or client.get("/health/ready").status_code != 200:
        assert monotonic() - started < PATIENCE


BASKET = {"items": [ONE, {"book_id": 2, "quantity": 3}]}
CALLS = [
    ("POST", "/v1/orders", ONE),
    ("POST", "/v2/orders", BASKET),
    ("GET", "/v1/orders/1", None),
    ("GET", "/v2/orders/1", None),
    ("GET", "/v1/orders", None),
    ("GET", "/v2/orders", None),
    ("POST", "/v1/orders", ONE),
]


def _all_refused_in_time(client, check_problem):
    with ThreadPoolExecutor(len(CALLS)) as pool:
        for answer, took in pool.map(lambda call: _timed(client, *call), CALLS):
            assert took < PROMISE, (answer.request.method, answer.request.url.path, took)
            check_problem(answer, 503, "database-unavailable")


def _whole(url):
    """The orders that are kept, each with all of its lines and one job; anything else is half an order."""
    with psycopg.connect(url) as database:
        rows = database.execute(
            "SELECT o.id, o.lines, (SELECT count(*) FROM order_lines l WHERE l.order_id = o.id),"
            " (SELECT count(*) FROM ledger l WHERE l.order_id = o.id) FROM orders o"
        ).fetchall()
    for _, lines, kept_lines, jobs in rows:
        assert (kept_lines, jobs) == (lines, 1)
    return len(rows)


@pytest.mark.quiet
def test_a_frozen_database_is_answered_for_in_time(postgres_server, fragile, fragile_orders, check_problem):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: fragile_orders.get("/v2/orders"), range(32)))
    postgres_server.freeze()
    try:
        _all_refused_in_time(fragile_orders, check_problem)
        _all_refused_in_time(fragile_orders, check_problem)
        assert fragile_orders.get("/health/live").status_code == 200
        health = fragile_orders.get("/health")
        assert (health.status_code, health.json()["services"]["database"]) == (503, "unhealthy")
    finally:
        postgres_server.resume()
    _recovers(fragile_orders)
    # What had reached the frozen server may happen when it thaws, but wholly.
    assert _whole(fragile) >= 1


@pytest.mark.quiet
def test_slow_books_and_a_frozen_database_together_keep_the_promise(
    postgres_server, books, fragile_orders, check_problem
):
    books.mode = "held"
    books.arrived.clear()
    postgres_server.freeze()
    release = threading.Timer(0.9, books.hold.set)  # books answers at the end of the patience with it
    try:
        release.start()
        answer, took = _timed(fragile_orders, "POST", "/v1/orders", ONE)
        assert took < PROMISE
        check_problem(answer, 503)
    finally:
        release.cancel()
        postgres_server.resume()
    _recovers(fragile_orders)


@pytest.mark.quiet
def test_a_killed_database_is_answered_for_and_met_again(
    postgres_server, fragile, fragile_orders, check_problem
):
    postgres_server.kill()
    _all_refused_in_time(fragile_orders, check_problem)
    postgres_server.start()
    _recovers(fragile_orders)
    assert _whole(fragile) == 1
    assert fragile_orders.post("/v1/orders", json=ONE).status_code == 201


def test_a_restarted_database_and_cut_connections_are_not_noticed_by_readers(postgres_server, fragile_orders):
    with psycopg.connect(postgres_server.url, autocommit=True) as administrator:
        administrator.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'orders_user'"
        )
    assert fragile_orders.get("/v1/orders/1").status_code == 200
    postgres_server.restart()
    _recovers(fragile_orders)
    assert fragile_orders.post("/v1/orders", json=ONE).status_code == 201


class Proxy(Loopback):
    """Stands between the service and PostgreSQL; once `armed`, it cuts the line at the next order."""

    def __init__(self, port):
        self.upstream = port
        self.armed = None
        """`before`: the server never sees what is marked. `after`: it does, and its answer is lost."""
        self.mark = b"INSERT INTO orders"
        super().__init__()

    async def serve(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            return  # the server is away
        back = asyncio.create_task(self._pass(far_reader, writer))
        try:
            while data := await reader.read(65_536):
                armed = self.armed if self.mark in data else None
                if armed:
                    self.armed = None
                    if armed == "after":
                        await _cancelled(back)
                        far_writer.write(data)
                        await far_reader.read(65_536)  # the answer: what it tells of is committed
                    break
                far_writer.write(data)
        finally:
            far_writer.transport.abort()
            await _cancelled(back)

    async def _pass(self, reader, writer):
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.transport.abort()


async def _cancelled(task):
    task.cancel()
    await asyncio.wait({task})


@contextmanager
def _proxied(url):
    port = urlsplit(url).port
    proxy = Proxy(port)
    yield proxy, url.replace(f":{port}/", f":{proxy.port}/")
    proxy.close()


@pytest.mark.quiet
@pytest.mark.parametrize(("cut", "kept"), [("before", 0), ("after", 1)])
def test_a_connection_lost_in_mid_commit_is_answered_503_and_the_order_is_whole_or_not_there(  # noqa: PLR0917
    database_url, books, run_orders, check_problem, cut, kept
):
    with _proxied(database_url) as (proxy, url), run_orders(url, books.url, hurried=True) as client:
        assert client.get("/health/ready").status_code == 200
        proxy.armed = cut
        answer, took = _timed(client, "POST", "/v2/orders", BASKET)
        assert took < PROMISE
        check_problem(answer, 503, "database-unavailable")
        assert _whole(database_url) == kept
        assert client.get("/v2/orders").json()["total"] == kept
        assert client.post("/v2/orders", json=BASKET).status_code == 201
        assert _whole(database_url) == kept + 1


@pytest.mark.quiet
@pytest.mark.parametrize("mark", [b"INSERT INTO idempotency_keys", b"INSERT INTO orders", b"COMMIT"])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_the_same_key_finds_an_order_whose_commit_lost_its_answer(  # noqa: PLR0917
    database_url, books, run_orders, check_problem, eventually, mark, cut
):
    key = {"Idempotency-Key": "k"}
    with _proxied(database_url) as (proxy, url), run_orders(url, books.url, hurried=True) as client:
        assert client.get("/health/ready").status_code == 200
        proxy.mark, proxy.armed = mark, cut
        answer, took = _timed(client, "POST", "/v1/orders", ONE, key)
        assert took < PROMISE
        check_problem(answer, 503, "database-unavailable")
        again = eventually(
            lambda: (found := client.post("/v1/orders", json=ONE, headers=key)).status_code == 201 and found
        )
        # What the server saw of the commit is kept with its answer; of anything before that nothing is.
        assert ("idempotent-replay" in again.headers) == ((mark, cut) == (b"COMMIT", "after"))
        assert _whole(database_url) == 1
        eventually(lambda: books.held() == [{1: 1}])
        assert client.post("/v1/orders", json=ONE, headers=key).content == again.content


def test_many_orders_at_once_are_all_kept_once(shared):
    before = shared.get("/v2/orders").json()["total"]

    def order(number):
        return shared.post("/v2/orders", json={"items": [{"book_id": 1 + number % 100, "quantity": 1}]})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(order, range(80)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 80
    assert len({answer.json()["job_id"] for answer in answers}) == 80
    assert shared.get("/v2/orders").json()["total"] == before + 80
