"""Books away, slow, or talking nonsense: 503 within the promise, and nothing is ordered; then all is well."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep

import psycopg
import pytest

from bookstore.service.testing import eventually

PROMISE = 2.0
ONE = {"book_id": 1, "quantity": 1}
BASKET = {"items": [{"book_id": 1, "quantity": 1}, {"book_id": 2, "quantity": 1}]}


def _kept(database_url):
    with psycopg.connect(database_url) as database:
        tables = ("orders", "order_lines", "ledger")
        return [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]  # noqa: S608


def _timed(client, path, body):
    started = monotonic()
    return client.post(path, json=body), monotonic() - started


def _refused(client, check_problem, path="/v1/orders", body=ONE):
    answer, took = _timed(client, path, body)
    assert took < PROMISE
    problem = check_problem(answer, 503, "books-unavailable")
    assert "nothing was ordered" in problem["detail"]


def _served(client, body=ONE):
    """The answer once the circuit lets calls through again."""
    while (answer := client.post("/v1/orders", json=body)).status_code == 503:
        pass
    assert answer.status_code == 201, answer.text
    return answer


@pytest.mark.quiet
def test_however_books_fails_nothing_is_ordered_and_it_is_said_in_time(
    orders, books, database_url, check_problem, ways_to_fail
):
    for mode in ways_to_fail:
        books.mode = mode
        with ThreadPoolExecutor(2) as pool:
            for path, body in (("/v1/orders", ONE), ("/v2/orders", BASKET)):
                pool.submit(_refused, orders, check_problem, path, body).result()
        books.mode = "well"
        # A connection that was left half-read must not serve the next one.
        assert _served(orders, {"book_id": 2, "quantity": 1}).json()["book_title"] == "Book 2", mode
    good = len(ways_to_fail)
    assert _kept(database_url) == [good, good, good]


@pytest.mark.quiet
def test_while_books_refuses_orders_are_read_and_refused_and_health_says_which(orders, books, check_problem):
    made = orders.post("/v1/orders", json=ONE)
    books.refuse()
    _refused(orders, check_problem)
    assert orders.get("/v1/orders/1").text == made.text
    assert orders.get("/v2/orders").json()["total"] == 1
    health = orders.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["services"] == {"database": "healthy", "books": "unhealthy"}
    assert orders.get("/health/ready").json() == {"status": "healthy", "services": {"database": "healthy"}}
    books.open()
    _served(orders)
    assert orders.get("/health").json()["status"] == "healthy"


@pytest.mark.quiet
@pytest.mark.parametrize("mode", ["hang", "error"])
def test_health_is_asked_in_time_too(orders, books, mode):
    books.mode = mode
    started = monotonic()
    assert orders.get("/health").json()["services"]["books"] == "unhealthy"
    assert monotonic() - started < PROMISE


NONSENSE = [
    {"price": "-1.00"},
    {"price": "1.999"},
    {"price": "100000000.00"},
    {"price": "NaN"},
    {"price": "1e2"},
    {"price": " 1 "},
    {"price": None},
    {"price": True},
    {"price": []},
    {"title": ""},
    {"title": None},
    {"title": 7},
    {"title": "a\0b"},
    {"title": "a" * 501},
    {"author": "  "},
    {"author": ["a"]},
    {"book_id": 2},
    {"book_id": "1"},
    {"book_id": None},
]


def test_a_book_that_cannot_be_is_no_book(orders, books, database_url, check_problem):
    for wrong in NONSENSE:
        books.sell(1)
        books.catalogue[1].update(wrong)
        _refused(orders, check_problem)
    for name in ("book_id", "title", "author", "price"):
        books.sell(1)
        del books.catalogue[1][name]
        _refused(orders, check_problem)
    assert _kept(database_url) == [0, 0, 0]


def test_what_books_may_tell_one_day_is_passed_over(orders, books):
    books.catalogue[1] |= {"isbn": "978-3-16-148410-0", "formats": [{"kind": "paper"}]}
    assert orders.post("/v1/orders", json=ONE).status_code == 201


@pytest.mark.parametrize("way", ["error", "half_body", "bad_json", "hang"])
def test_one_book_that_fails_stops_the_whole_basket(orders, books, database_url, check_problem, way):
    books.modes[2] = way
    _refused(orders, check_problem, "/v2/orders", BASKET)
    assert _kept(database_url) == [0, 0, 0]


def test_orders_that_arrive_together_share_a_call_and_not_its_refusals(orders, books, check_problem):
    """While a call is held, all others wait for the one after it."""
    books.mode = "held"
    books.stock[2] = 0
    with ThreadPoolExecutor(32) as pool:
        first = pool.submit(orders.post, "/v1/orders", json=ONE)
        eventually(lambda: len(books.asked) == 1)
        later = [
            pool.submit(orders.post, "/v1/orders", json={"book_id": book_id, "quantity": 1})
            for book_id in (1, 2, 9) * 8
        ]
        sleep(0.3)  # most have arrived by then, and it is no matter if some haven't
        books.mode = "well"
        books.hold.set()
        assert first.result().status_code == 201
        for book_id, answer in zip((1, 2, 9) * 8, later, strict=True):
            if book_id == 1:
                assert answer.result().json()["book_title"] == "Book 1"
            else:
                check_problem(answer.result(), {2: 409, 9: 404}[book_id])
    assert len(books.asked) < 1 + len(later)
    assert len(books.held()) == 1 + 8


@pytest.mark.quiet
def test_nobody_waits_longer_than_it_wants_for_those_that_it_shares_a_call_with(orders, books):
    books.mode = "hang"
    with ThreadPoolExecutor(8) as pool:
        patient = [pool.submit(_timed, orders, "/v1/orders", ONE) for _ in range(7)]
        hurried = pool.submit(orders.post, "/v1/orders", json=ONE, headers={"x-deadline-ms": "100"})
        assert hurried.result().json()["type"].endswith(":out-of-time")
        assert not all(each.done() for each in patient)
        for each in patient:
            answer, took = each.result()
            assert (answer.status_code, took < PROMISE) == (503, True)


def test_a_caller_who_leaves_orders_nothing(orders, books, database_url):
    books.mode = "held"
    with pytest.raises(Exception, match="timed out"):
        orders.post("/v1/orders", json=ONE, timeout=0.2)
    books.hold.set()
    books.mode = "well"
    assert orders.post("/v1/orders", json=ONE).status_code == 201
    # Whether the one who left is served to the end is not promised; that nothing is half kept, is.
    kept = _kept(database_url)
    assert kept in ([1, 1, 1], [2, 2, 2])
