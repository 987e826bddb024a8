"""Books away, slow, or talking nonsense: 503 within the promise, and nothing is ordered; then all is well."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import psycopg
import pytest

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
    {"id": 2},
    {"id": "1"},
    {"id": None},
]


def test_a_book_that_cannot_be_is_no_book(orders, books, database_url, check_problem):
    for wrong in NONSENSE:
        books.sell(1)
        books.catalogue[1].update(wrong)
        _refused(orders, check_problem)
    for name in ("id", "title", "author", "price"):
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


def test_the_first_book_that_fails_decides(orders, books, database_url, check_problem):
    """Book 9 is not there; what books would say of book 2 is not waited for."""
    books.modes[2] = "hang"
    lines = [{"book_id": book_id, "quantity": 1} for book_id in (1, 2, 9)]
    answer, took = _timed(orders, "/v2/orders", {"items": lines})
    assert "book 9 not found" in check_problem(answer, 404, "not-found")["detail"]
    assert took < 0.9  # the patience with books is 1.0
    assert _kept(database_url) == [0, 0, 0]


def test_all_books_of_a_basket_are_asked_side_by_side(orders, books):
    """Each is held until the last of them is asked: one after the other would never end."""
    books.mode = "held"
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(_timed, orders, "/v2/orders", BASKET)
        until = monotonic() + 0.9
        while len(books.asked) < 2 and monotonic() < until:
            books.arrived.wait(0.01)
        books.hold.set()
        assert answer.result()[0].status_code == 201


def test_a_whole_basket_has_no_more_time_than_one_book(orders, books, database_url, check_problem):
    for book_id in range(1, 101):
        books.sell(book_id)
        books.modes[book_id] = "trickle"
    _refused(
        orders, check_problem, "/v2/orders", {"items": [{"book_id": n, "quantity": 1} for n in range(1, 101)]}
    )
    assert _kept(database_url) == [0, 0, 0]


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
