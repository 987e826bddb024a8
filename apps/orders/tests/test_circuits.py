"""An operator's hand on the circuits of orders and its worker: it is on the ones that calls go through."""

import pytest

from bookstore.service.testing.problems import check_problem

ORDER = {"items": [{"book_id": 1, "quantity": 1}]}


def switch(client, dependency, action, headers):
    return client.post(f"/v2/circuits/{dependency}", json={"action": action}, headers=headers)


@pytest.fixture
def house(database_url, books, accounts, run_orders):
    with run_orders(database_url, books.url, accounts_service_url=accounts.url) as client:
        yield client


def test_forced_open_no_order_is_taken_and_books_is_not_asked(house, books, accounts):
    ops = accounts.bearer("ops")
    assert switch(house, "books", "force_open", ops).json()["state"] == "forced_open"
    asked = books.asked_for("reservations")
    refused = house.post("/v2/orders", json=ORDER)
    check_problem(refused, 503)
    assert books.asked_for("reservations") == asked
    assert switch(house, "books", "reset", ops).json()["state"] == "closed"
    assert house.post("/v2/orders", json=ORDER).status_code == 201
    assert {each["dependency"] for each in house.get("/v2/circuits").json()["data"]} == {"books", "redis"}


def test_nobody_switches_without_a_token(house, accounts):
    check_problem(switch(house, "books", "force_open", {}), 401)
    check_problem(switch(house, "books", "force_open", accounts.bearer("customer", "staff")), 403)
    assert {each["state"] for each in house.get("/v2/circuits").json()["data"]} == {"closed"}
