"""Orders that go by the express are answered as the handlers answer them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bookstore.orders.express import Express

ONE = {"book_id": 1, "quantity": 1}
ITEMS = {"items": [ONE, {"book_id": 2, "quantity": 3}, ONE]}


@pytest.fixture
def taken(monkeypatch):
    """Which of the requests that the express was offered it has taken."""
    taken = []
    take = Express.take

    def noted(self, request, line):
        passage = take(self, request, line)
        taken.append(passage is not None)
        return passage

    monkeypatch.setattr(Express, "take", noted)
    return taken


GOOD = {
    "v1": ("/v1/orders", ONE, {}),
    "v2": ("/v2/orders", ITEMS, {}),
    "little time": ("/v1/orders", ONE, {"x-deadline-ms": "1500"}),
    "no time that can be read": ("/v1/orders", ONE, {"x-deadline-ms": "soon"}),
    "ids": ("/v2/orders", ITEMS, {"x-request-id": "mine"}),
}
REFUSED = {
    "unknown": ("/v1/orders", {"book_id": 9, "quantity": 1}, {}),
    "too few": ("/v2/orders", {"items": [{"book_id": 3, "quantity": 1}]}, {}),
}
LEFT_TO_THE_HANDLERS = {
    "no time": ("/v1/orders", ONE, {"x-deadline-ms": "0"}),
    "no number": ("/v1/orders", {"book_id": "1", "quantity": 1}, {}),
    "too many": ("/v1/orders", {"book_id": 1, "quantity": 10_001}, {}),
    "too many in lines": ("/v2/orders", {"items": [{"book_id": 1, "quantity": 9000}] * 2}, {}),
    "no JSON": ("/v1/orders", "one", {}),
    "no token": ("/v1/orders", ONE, {"authorization": "Bearer x"}),
    "a key": ("/v1/orders", ONE, {"idempotency-key": "a b"}),
    "another type": ("/v1/orders", ONE, {"content-type": "text/plain"}),
}


def _told(answer):
    """All that may not differ between two orders of the same."""
    ours = {"location", "date", "content-length", "x-request-id", "x-trace-id"}
    headers = {name: value for name, value in answer.headers.items() if name not in ours}
    differs = {"id", "job_id", "created_at", "updated_at", "request_id", "trace_id"}
    return answer.status_code, headers, {k: v for k, v in answer.json().items() if k not in differs}


@pytest.mark.parametrize("case", [*GOOD, *REFUSED, *LEFT_TO_THE_HANDLERS])
def test_both_ways_tell_the_same(orders, books, taken, case):
    books.stock[3] = 0
    path, body, headers = (GOOD | REFUSED | LEFT_TO_THE_HANDLERS)[case]
    by_express = orders.post(path, json=body, headers=headers)
    assert taken == [case in GOOD or case in REFUSED]
    by_handler = orders.post(f"{path}?", json=body, headers=headers, params={"by": "handler"})
    assert taken[1:] == [False]
    assert _told(by_express) == _told(by_handler)
    if case in GOOD:
        assert by_express.headers["location"] == f"{path}/{by_express.json()['id']}"
        assert orders.get(by_express.headers["location"]).content == by_express.content


@pytest.mark.quiet
def test_trouble_is_told_alike(orders, books, taken):
    books.mode = "error"
    told = [_told(orders.post(f"/v1/orders{query}", json=ONE)) for query in ("", "?a=b")]
    assert taken == [True, False]
    assert told[0] == told[1]
    assert told[0][0] == 503


def test_a_customer_orders_for_itself(database_url, books, run_orders, accounts, taken):
    settings = {"auth_required": True, "accounts_service_url": accounts.url}
    with run_orders(database_url, books.url, **settings) as orders:
        who = {"Authorization": f"Bearer {accounts.token(accounts.claims(customer_id=7))}"}
        assert orders.post("/v2/orders", json=ITEMS).status_code == 401
        made = [orders.post("/v2/orders", json=ITEMS, headers=who).json()["customer_id"] for _ in range(2)]
    assert made == [7, 7]
    assert taken == [False, False, True]  # the first time that a token is seen, it has to be looked at


@pytest.mark.quiet
def test_five_orders_that_fail_together_open_the_circuit(database_url, books, run_orders, taken):
    books.mode = "held"
    with (
        run_orders(database_url, books.url, books_circuit_open=600.0) as orders,
        ThreadPoolExecutor(6) as pool,
    ):
        first = pool.submit(orders.post, "/v1/orders", json=ONE)
        books.arrived.wait(20)
        others = [pool.submit(orders.post, "/v1/orders", json=ONE) for _ in range(5)]
        while len(taken) < 6:  # their call comes after the first one
            threading.Event().wait(0.01)
        books.mode = "error"
        books.hold.set()
        assert first.result().status_code == 201
        assert [each.result().status_code for each in others] == [503] * 5
        assert len(books.asked_for("/inventory/reservations")) == 2
        [books_circuit] = [
            each for each in orders.get("/v2/circuits").json()["data"] if each["dependency"] == "books"
        ]
        assert books_circuit["state"] == "open"


def test_who_leaves_without_an_answer_is_counted_so(orders, books, taken, eventually):
    books.mode = "held"
    with pytest.raises(httpx.TimeoutException):
        orders.post("/v1/orders", json=ONE, timeout=0.2)
    assert taken == [True]
    books.hold.set()
    left = 'http_response_status_code="499",http_route="/v1/orders",le="+Inf"} 1.0'
    eventually(lambda: left in orders.get("/metrics").text)
