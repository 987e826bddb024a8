"""The database frozen, killed, restarted, its connections cut: answers in time, and recovery by itself."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import psycopg
import pytest

from bookstore.service.migrate import upgrade
from bookstore.stores.provision import Database, provision

PROMISE = 2.0
AT_ONCE = 1.0
"""Seconds to the answer where nobody listens, rather than listens and doesn't answer."""
PATIENCE = 15.0


@pytest.fixture
def fragile(postgres_server):
    """The URL of a database on a server that this test may break."""
    database = Database("books_db", "books_user", "secret")
    provision(postgres_server.url, [database])
    return database.url(postgres_server.url)


@pytest.fixture
def books(fragile, run_books):
    upgrade("bookstore.books", fragile)
    with run_books(fragile, hurried=True) as client:
        for _ in range(3):
            answer = client.post("/v2/books", json={"title": "Emma", "author": "Jane Austen", "price": 1})
            assert answer.status_code == 201
        yield client


def _timed(client, method, path, body):
    started = monotonic()
    answer = client.request(method, path, json=body) if body else client.request(method, path)
    return answer, monotonic() - started


def _recovers(client):
    """Asked again and again, the service answers before long; gives the seconds that it took."""
    started = monotonic()
    while client.get("/v1/books/1").status_code != 200 or client.get("/health/ready").status_code != 200:
        assert monotonic() - started < PATIENCE
    return monotonic() - started


CALLS = [
    ("GET", "/v1/books/1", None),
    ("GET", "/v2/books/2", None),
    ("GET", "/v1/books", None),
    ("GET", "/v2/books", None),
    ("POST", "/v1/books", {"title": "Lost", "author": "A", "price": 1}),
    ("PUT", "/v2/books/3", {"price": 2}),
    ("DELETE", "/v1/books/3", None),
    ("GET", "/v2/books?q=emma", None),
    ("GET", "/inventory/1", None),
    ("PUT", "/inventory/3", {"quantity": 5}),
    ("PUT", "/inventory/reservations/a", {"items": [{"book_id": 3, "quantity": 1}]}),
    ("POST", "/inventory/reservations/b/release", None),
    ("GET", "/inventory/reservations", None),
    ("GET", "/v2/books/1/cover", None),
    ("GET", "/health", None),
    ("GET", "/health/ready", None),
]


def _all_refused_in_time(client, check_problem, calls, promise=PROMISE):
    with ThreadPoolExecutor(len(calls)) as pool:
        for answer, took in pool.map(lambda call: _timed(client, *call), calls):
            assert took < promise, (answer.request.url.path, took)
            if answer.request.url.path.startswith("/health"):
                assert (answer.status_code, answer.json()["services"]) == (503, {"database": "unhealthy"})
                assert answer.headers["retry-after"]
            else:
                check_problem(answer, 503, "database-unavailable")


def _fill_the_pool(url, client):
    """Make the service open all its connections: as many writers as it may have wait for one row."""
    with psycopg.connect(url) as other, ThreadPoolExecutor(8) as pool:
        other.execute("SELECT FROM books WHERE id = 1 FOR UPDATE")
        waiting = [pool.submit(client.put, "/v1/books/1", json={"price": 1}) for _ in range(8)]
        with psycopg.connect(url, autocommit=True) as observer:
            query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while observer.execute(query).fetchone() != (8,) and not all(each.done() for each in waiting):
                pass
        other.rollback()


@pytest.mark.quiet
def test_a_frozen_database_is_answered_for_in_time_whoever_waits(
    postgres_server, fragile, books, check_problem
):
    _fill_the_pool(fragile, books)
    postgres_server.freeze()
    try:
        # Reads are asked together: those that come while queries are under way must not wait for their end.
        reads = [("GET", f"/v1/books/{number}", None) for number in range(1, 25)]
        _all_refused_in_time(books, check_problem, reads)
        _all_refused_in_time(books, check_problem, CALLS)
        assert books.get("/health/live").status_code == 200
    finally:
        postgres_server.resume()
    _recovers(books)
    # The server had received some of the writes: each happened wholly or not at all.
    listed = {book["id"]: book for book in books.get("/v2/books").json()["data"]}
    assert {1, 2} <= listed.keys()
    assert listed.get(3, {"price": "2.00"})["price"] in {"1.00", "2.00"}


@pytest.mark.quiet
def test_a_killed_database_is_answered_for_at_once_and_met_again(postgres_server, books, check_problem):
    postgres_server.kill()
    _all_refused_in_time(books, check_problem, CALLS, AT_ONCE)
    assert books.get("/health/live").status_code == 200
    postgres_server.start()
    _recovers(books)
    assert books.get("/v2/books").json()["total"] == 3
    assert books.delete("/v1/books/3").status_code == 200


def test_reads_survive_a_restart_between_them(postgres_server, books):
    postgres_server.restart()
    _recovers(books)
    assert [books.get(f"/v1/books/{number}").status_code for number in (1, 2, 3)] == [200, 200, 200]


def test_reads_do_not_notice_that_their_connections_were_cut(postgres_server, books):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: books.get("/v1/books"), range(16)))
    with psycopg.connect(postgres_server.url, autocommit=True) as administrator:
        administrator.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = 'books_user'"
        )
    answers = [
        books.get(path).status_code for path in ("/v1/books/1", "/v2/books", "/v1/books", "/v2/books/2")
    ]
    assert answers == [200] * 4


@pytest.mark.quiet
def test_a_lock_that_somebody_holds_is_not_waited_for_long(fragile, books, check_problem):
    with psycopg.connect(fragile) as other:
        other.execute("SELECT FROM books WHERE id = 1 FOR UPDATE")
        answer, took = _timed(books, "PUT", "/v1/books/1", {"price": 7})
        assert took < PROMISE
        check_problem(answer, 503, "database-unavailable")
        assert books.get("/v1/books/1").json()["price"] == "1.00"
    assert books.put("/v1/books/1", json={"price": 7}).json()["price"] == "7.00"


def test_a_service_starts_without_its_database_and_is_ready_when_that_comes(
    postgres_server, fragile, run_books, check_problem
):
    postgres_server.stop()
    with run_books(fragile, seed_catalogue=True, hurried=True) as client:
        check_problem(client.get("/v1/books"), 503)
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        postgres_server.start()
        started = monotonic()
        while client.get("/v2/books").headers.get("x-total-count") in {None, "0"}:
            assert monotonic() - started < PATIENCE
        assert client.get("/health/ready").status_code == 200


def test_a_schema_that_is_not_there_yet_is_a_matter_of_waiting(fragile, books, check_problem):
    with psycopg.connect(fragile, autocommit=True) as owner:
        owner.execute("ALTER TABLE books RENAME TO other")
    for method, path, body in CALLS[:7]:
        check_problem(_timed(books, method, path, body)[0], 503, "database-unavailable")
    with psycopg.connect(fragile, autocommit=True) as owner:
        owner.execute("ALTER TABLE other RENAME TO books")
    assert books.get("/v1/books/1").status_code == 200
