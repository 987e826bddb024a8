"""Nobody who waits for an answer waits for a connection that those hold for whom nobody waits."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from bookstore.service.testing import eventually

STOCK = 1000
PATH = "/inventory/reservations"
WORKERS, EACH = 2, 32
"""Workers that catch up, and how many reservations each settles at a time."""
CONNECTIONS = 8
"""What a service has that isn't told otherwise."""


@contextmanager
def _somebody_holds(database_url, query):
    """A lock that is held for as long as the block lasts."""
    with psycopg.connect(database_url) as somebody:
        somebody.execute(query)
        yield


@pytest.fixture
def count(database_url):
    """How many others are connected to the database now, and are so."""
    with psycopg.connect(database_url, autocommit=True) as watcher:
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND ({})"
        )
        yield lambda how: watcher.execute(query.format(how)).fetchone()[0]


@pytest.fixture
def waiting(count):
    """How many connections wait for a lock now."""
    return lambda: count("wait_event_type = 'Lock'")


@pytest.fixture
def two(database_url, redis_server, run_books, count, waiting):
    """A service whose connections are all open, with a Redis of its own, and two books."""
    with run_books(database_url, redis_url=redis_server.url, hurried=True) as client:
        new = {"title": "T", "author": "A", "price": 1, "stock": STOCK}
        books = [client.post("/v2/books", json=new).json()["id"] for _ in range(2)]

        def open_them():
            with ThreadPoolExecutor(CONNECTIONS) as pool, _somebody_holds(database_url, "LOCK books"):
                reads = [pool.submit(client.get, f"/inventory/{books[0]}") for _ in range(CONNECTIONS)]
                eventually(lambda: waiting() == CONNECTIONS or all(read.done() for read in reads))

        while count("backend_type = 'client backend'") < CONNECTIONS:
            open_them()
        yield client, *books


def _reserve(client, names, book):
    """What becomes of reservations that orders asks for together."""
    lines = [{"book_id": book, "quantity": 1}]
    wanted = [{"reservation_id": name, "items": lines} for name in names]
    answer = client.post(PATH, json={"reservations": wanted})
    assert answer.status_code == 200, answer.text
    return [each.get("refusal") for each in answer.json()["data"]]


def test_orders_are_taken_while_workers_reserve_again_what_somebody_holds(database_url, two, waiting):
    client, sold, other = two
    lines = {"items": [{"book_id": sold, "quantity": 1}]}
    paths = [f"{PATH}/again-{number}" for number in range(WORKERS * EACH)]
    with ThreadPoolExecutor(len(paths)) as pool:
        with _somebody_holds(database_url, f"SELECT FROM books WHERE id = {sold} FOR UPDATE"):
            reserved = [pool.submit(client.put, path, json=lines) for path in paths]
            eventually(waiting)
            for number in range(10):
                assert _reserve(client, [f"order-{number}"], other) == [None]
                assert waiting() <= 1
        assert {each.result().status_code for each in reserved} <= {201, 503}
        again = pool.map(lambda path: client.put(path, json=lines).status_code, paths)
        assert set(again) <= {200, 201}
    assert client.get(f"/inventory/{sold}").json()["reserved"] == len(paths)


def _settled(client, how, names):
    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(lambda name: client.post(f"{PATH}/{name}/{how}").status_code, names))


@pytest.mark.parametrize("how", ["commit", "release"])
def test_orders_are_taken_while_workers_settle_a_book_that_somebody_holds(database_url, two, waiting, how):
    client, sold, other = two
    names = [f"{how}-{number}" for number in range(WORKERS * EACH)]
    assert _reserve(client, names, sold) == [None] * len(names)
    with ThreadPoolExecutor(len(names)) as pool:
        with _somebody_holds(database_url, f"SELECT FROM books WHERE id = {sold} FOR UPDATE"):
            settled = [pool.submit(client.post, f"{PATH}/{name}/{how}") for name in names]
            eventually(waiting)
            for number in range(10):
                assert _reserve(client, [f"order-{number}"], other) == [None]
                assert client.get(f"/v1/books/{sold}").status_code == 200
                assert waiting() <= 1  # one connection does, for all of them
        statuses = {each.result().status_code for each in settled}
    assert statuses <= {200, 503}  # it was held for longer than they wait, or not
    assert _settled(client, how, names) == [200] * len(names)
    left = STOCK - len(names) if how == "commit" else STOCK
    assert client.get(f"/inventory/{sold}").json() == {"book_id": sold, "quantity": left, "reserved": 0}


def test_only_those_that_sold_a_book_that_somebody_holds_are_asked_to_come_again(
    database_url, two, check_problem
):
    client, sold, other = two
    assert _reserve(client, ["a"], sold) == _reserve(client, ["b"], other) == [None]
    with _somebody_holds(database_url, f"SELECT FROM books WHERE id = {sold} FOR UPDATE"):
        with ThreadPoolExecutor(2) as pool:
            one, another = pool.map(lambda name: client.post(f"{PATH}/{name}/commit"), "ab")
        check_problem(one, 503, "books-busy")
        assert another.json()["state"] == "committed"
        assert client.get(f"{PATH}/a").json()["state"] == "held"
    assert client.post(f"{PATH}/a/commit").json()["state"] == "committed"


def test_reads_go_on_while_all_that_was_settled_waits_for_the_cache_to_be_closed(
    database_url, redis_server, two, waiting
):
    client, sold, other = two
    names = [f"order-{number}" for number in range(WORKERS * EACH)]
    assert _reserve(client, names, sold) == [None] * len(names)
    with ThreadPoolExecutor(len(names)) as pool:
        with _somebody_holds(database_url, "SELECT FROM cache FOR UPDATE"):
            redis_server.kill()
            settled = [pool.submit(client.post, f"{PATH}/{name}/commit") for name in names]
            eventually(waiting)
            for _ in range(10):
                assert client.get(f"/v1/books/{other}").status_code == 200
                assert client.get(f"/inventory/{other}").status_code == 200
                assert waiting() <= 1
        assert {each.result().status_code for each in settled} <= {200, 503}
    assert _settled(client, "commit", names) == [200] * len(names)
