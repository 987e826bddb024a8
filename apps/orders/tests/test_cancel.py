"""Cancelling an order, and its history."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

ONE = {"items": [{"book_id": 1, "quantity": 2}]}


@pytest.fixture
def order(orders):
    return orders.post("/v2/orders", json=ONE).json()


def _changes(client, order_id=1):
    history = client.get(f"/v2/orders/{order_id}/history").json()
    assert history["order_id"] == order_id
    assert all(list(event) == ["from", "to", "at", "cause"] for event in history["events"])
    times = [datetime.fromisoformat(event["at"]) for event in history["events"]]
    assert times == sorted(times)
    return [(event["from"], event["to"], event["cause"]) for event in history["events"]]


def test_a_new_order_has_one_event(orders, order):
    assert _changes(orders) == [(None, "Processing", "ordered")]
    at = orders.get("/v2/orders/1/history").json()["events"][0]["at"]
    assert at == order["created_at"]


def test_each_change_is_told_with_its_cause(orders, order, finish, database_url):
    assert finish(database_url, order["id"], "Rejected", "quantity over 1000")
    assert _changes(orders)[1:] == [("Processing", "Rejected", "quantity over 1000")]
    assert orders.get("/v2/orders/1").json()["status"] == "Rejected"


def test_an_order_in_processing_is_cancelled_and_its_stock_given_up(
    orders, order, books, query, check_problem
):
    answer = orders.post("/v2/orders/1/cancel")
    assert answer.status_code == 200
    cancelled = answer.json()
    assert cancelled == {**order, "status": "Cancelled", "updated_at": cancelled["updated_at"]}
    assert cancelled == orders.get("/v2/orders/1").json()
    assert orders.get("/v1/orders/1").json()["status"] == "Cancelled"
    assert _changes(orders)[1:] == [("Processing", "Cancelled", "cancelled by the operator")]
    [name] = books.reservations
    assert query("SELECT settlement, reservation_id FROM ledger WHERE kind = 'settle'") == [("release", name)]
    problem = check_problem(orders.post("/v2/orders/1/cancel"), 409, "order-final")
    assert "Cancelled" in problem["detail"]
    assert len(_changes(orders)) == 2


@pytest.mark.parametrize("state", ["Validated", "Rejected", "Failed"])
def test_a_final_order_stays_as_it_is(orders, order, finish, database_url, check_problem, state):  # noqa: PLR0917
    finish(database_url, order["id"], state)
    problem = check_problem(orders.post("/v2/orders/1/cancel"), 409, "order-final")
    assert state in problem["detail"]
    assert orders.get("/v2/orders/1").json()["status"] == state
    assert len(_changes(orders)) == 2


def test_of_cancel_and_finish_the_first_one_decides(orders, database_url, finish):
    for number in range(1, 9):
        orders.post("/v2/orders", json=ONE)
        with ThreadPoolExecutor(3) as pool:
            finished = pool.submit(finish, database_url, number)
            cancelled = [pool.submit(orders.post, f"/v2/orders/{number}/cancel") for _ in range(2)]
            won = [each.result().status_code == 200 for each in cancelled]
            assert [*won, finished.result()].count(True) == 1
        state = orders.get(f"/v2/orders/{number}").json()["status"]
        assert state == ("Cancelled" if any(won) else "Validated")
        assert [to for _, to, _ in _changes(orders, number)] == ["Processing", state]


@pytest.mark.parametrize("order_id", ["2", "0", "-1", "abc", "01", "9" * 30])
@pytest.mark.parametrize(("method", "what"), [("GET", "history"), ("POST", "cancel"), ("GET", "events")])
def test_of_no_order_there_is_nothing_to_tell(orders, check_problem, order_id, method, what):
    check_problem(orders.request(method, f"/v2/orders/{order_id}/{what}"), 404, "not-found")


@pytest.mark.parametrize(("method", "what"), [("POST", "history"), ("GET", "cancel"), ("POST", "events")])
def test_other_methods_are_405(shared, check_problem, method, what):
    check_problem(shared.request(method, f"/v2/orders/1/{what}"), 405)
