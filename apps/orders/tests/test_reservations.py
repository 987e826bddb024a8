"""Stock is held with the order or not at all, whatever fails in between."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from time import monotonic

import pytest

from bookstore.contracts.orders import Line
from bookstore.orders.model import NewOrder
from bookstore.orders.store import OrderStore, ReservationGone
from bookstore.service.database import Database

PROMISE = 2.0
ONE = {"book_id": 1, "quantity": 1}
BASKET = {
    "items": [{"book_id": 1, "quantity": 2}, {"book_id": 2, "quantity": 1}, {"book_id": 1, "quantity": 1}]
}


def _released(books, eventually):
    eventually(lambda: books.reservations and not books.held())


def test_what_is_ordered_is_held_under_the_name_that_the_order_keeps(orders, books, query):
    assert orders.post("/v2/orders", json=BASKET).status_code == 201
    [(name, held)] = books.reservations.items()
    assert held == ("held", {1: 3, 2: 1})
    assert query("SELECT id, reservation_id FROM orders") == [(1, name)]
    assert query("SELECT id, order_id FROM reservations") == [(name, 1)]


@pytest.mark.quiet
@pytest.mark.parametrize(("path", "body"), [("/v1/orders", ONE), ("/v2/orders", BASKET)])
def test_too_few_copies_are_a_409_that_names_the_book(  # noqa: PLR0917
    orders, books, query, check_problem, path, body
):
    books.stock[1] = 0
    problem = check_problem(orders.post(path, json=body), 409, "insufficient-stock")
    assert "book 1" in problem["detail"]
    assert query("SELECT count(*) FROM orders") == query("SELECT count(*) FROM ledger") == [(0,)]
    assert books.reservations == {}
    books.stock[1] = 3
    assert orders.post(path, json=body).status_code == 201


def test_a_book_that_is_not_on_sale_is_a_404_that_names_it(orders, books, query, check_problem):
    problem = check_problem(orders.post("/v1/orders", json={"book_id": 9, "quantity": 1}), 404, "not-found")
    assert "book 9 not found" in problem["detail"]
    assert query("SELECT count(*) FROM orders") == [(0,)]
    assert books.reservations == {}


@pytest.mark.quiet
def test_of_many_at_once_as_many_are_served_as_there_are_copies(orders, books, query, check_problem):
    books.stock[1] = 50
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: orders.post("/v1/orders", json=ONE), range(200)))
    made = [answer for answer in answers if answer.status_code == 201]
    assert len(made) == len({answer.json()["id"] for answer in made}) == 50
    for answer in answers:
        if answer not in made:
            check_problem(answer, 409, "insufficient-stock")
    assert query("SELECT count(*), count(DISTINCT reservation_id) FROM orders") == [(50, 50)]


@pytest.mark.parametrize("way", ["reset", "close", "half_body", "half_head"])
def test_an_answer_that_is_lost_on_the_way_is_asked_for_again_and_holds_once(orders, books, way):
    books.reserve_modes = [way]
    assert orders.post("/v1/orders", json=ONE).status_code == 201
    assert books.held() == [{1: 1}]
    assert len(books.asked_for("/inventory/reservations")) == 2


@pytest.mark.quiet
@pytest.mark.parametrize(
    "way", ["hang", "trickle", "error", "unavailable", "forbidden", "moved", "throttled"]
)
def test_when_books_cannot_hold_nothing_is_ordered_and_nothing_stays_held(  # noqa: PLR0917
    orders, books, query, check_problem, eventually, way
):
    books.reserve_modes = [way] * 3
    started = monotonic()
    answer = orders.post("/v1/orders", json=ONE)
    assert monotonic() - started < PROMISE
    check_problem(answer, 503, "books-unavailable")
    books.reserve_modes = []
    _released(books, eventually)
    assert query("SELECT count(*) FROM orders") == [(0,)]
    assert query("SELECT order_id FROM reservations") == [(None,)]


def test_what_the_database_refuses_is_released(orders, books, query, check_problem, eventually):
    query("ALTER TABLE ledger RENAME TO elsewhere")
    check_problem(orders.post("/v1/orders", json=ONE), 503, "database-unavailable")
    _released(books, eventually)
    query("ALTER TABLE elsewhere RENAME TO ledger")
    assert orders.post("/v1/orders", json=ONE).status_code == 201


@pytest.mark.parametrize("left", ["0", "-5"])
def test_a_caller_without_any_time_left_is_refused_before_anybody_is_asked(
    orders, books, check_problem, left
):
    answer = orders.post("/v1/orders", json=ONE, headers={"x-deadline-ms": left})
    check_problem(answer, 503, "out-of-time")
    assert books.asked == []


@pytest.mark.quiet
def test_no_longer_is_worked_than_the_caller_waits(orders, books, query, check_problem, eventually):
    books.mode = "hang"
    started = monotonic()
    answer = orders.post("/v1/orders", json=ONE, headers={"x-deadline-ms": "200", "Idempotency-Key": "k"})
    took = monotonic() - started
    check_problem(answer, 503, "out-of-time")
    assert 0.15 < took < 0.9  # books itself would be waited for 1.0
    assert int(books.asked[0][1]["x-deadline-ms"]) <= 200
    assert query("SELECT count(*) FROM orders") == [(0,)]
    books.mode = "well"
    eventually(lambda: not query("SELECT FROM idempotency_keys"))
    assert orders.post("/v1/orders", json=ONE, headers={"Idempotency-Key": "k"}).status_code == 201


@pytest.mark.parametrize("left", ["", "soon", "nan", "inf", "1e9", "99999"])
def test_a_deadline_that_says_nothing_changes_nothing(orders, books, left):
    assert orders.post("/v1/orders", json=ONE, headers={"x-deadline-ms": left}).status_code == 201
    assert int(books.asked[0][1]["x-deadline-ms"]) <= 1700


LINE = Line(
    book_id=1, book_title="a", book_author="b", quantity=1, unit_price=Decimal(1), total_price=Decimal(1)
)


async def test_a_reservation_belongs_to_its_order_or_to_nobody_whoever_is_first(database_url, query):
    async with Database(database_url, acquire=20.0) as database:
        orders = OrderStore(database)
        await orders.keep([NewOrder([LINE], None, "kept")])
        assert not await orders.give_up("kept")
        assert await orders.give_up("gone")
        # Both are committed together with one that has nothing to do with it.
        kept = await orders.keep([NewOrder([LINE], None, name) for name in ("gone", "other")])
        late, other = kept.values()
        assert isinstance(late, ReservationGone)
        assert query("SELECT id, order_id FROM reservations ORDER BY id") == [
            ("gone", None), ("kept", 1), ("other", other.id),
        ]  # fmt: skip
        assert query("SELECT count(*) FROM orders") == [(2,)]
