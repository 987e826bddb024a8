"""Whose orders are whose: a customer sees and changes its own, those who work here all of them."""

import pytest

ONE = {"book_id": 1, "quantity": 1}
BASKET = {"items": [ONE, {"book_id": 2, "quantity": 1}]}
SECRET = "s3rv1ce-" * 4


@pytest.fixture
def people(accounts):
    return {
        "ana": accounts.bearer("customer", sub="1", customer_id=11),
        "ben": accounts.bearer("customer", sub="2", customer_id=12),
        "nobody's": accounts.bearer("customer", sub="3", customer_id=None),
        "staff": accounts.bearer("staff", sub="4", customer_id=None),
        "ops": accounts.bearer("ops", sub="5", customer_id=None),
        "service": {"Authorization": f"Service {SECRET}"},
        "nobody": {},
    }


@pytest.fixture(params=[False, True], ids=["open", "closed"])
def required(request):
    return request.param


@pytest.fixture
def house(database_url, books, run_orders, accounts, required):
    with run_orders(
        database_url,
        books.url,
        accounts_service_url=accounts.url,
        auth_required=required,
        service_secret=SECRET,
    ) as client:
        yield client


def _ids(client, path, who):
    found = client.get(path, headers=who).json()
    return [order["id"] for order in (found if path.startswith("/v1") else found["data"])]


def test_customers_see_their_own_and_those_who_work_here_all(house, people, check_problem, required):
    for who, body in (
        ("ana", BASKET),
        ("ben", BASKET),
        ("ana", {"items": [ONE]}),
        ("staff", {"items": [ONE]}),
    ):
        made = house.post("/v2/orders", json=body, headers=people[who])
        assert made.status_code == 201
        assert made.json()["customer_id"] == {"ana": 11, "ben": 12, "staff": None}[who]
    sees = {"ana": [3, 1], "ben": [2], "nobody's": []}
    for who in ("staff", "ops", "service", *([] if required else ["nobody"])):
        sees[who] = [4, 3, 2, 1]
    for who, expected in sees.items():
        asked = people[who]
        page = house.get("/v2/orders", headers=asked)
        assert _ids(house, "/v2/orders", asked) == expected
        assert page.json()["total"] == int(page.headers["x-total-count"]) == len(expected)
        assert _ids(house, "/v1/orders", asked) == [number for number in expected if number > 2]
        for number in (1, 2, 3, 4):
            for path in (f"/v2/orders/{number}", f"/v2/orders/{number}/history"):
                answer = house.get(path, headers=asked)
                if number in expected:
                    assert answer.status_code == 200
                else:
                    problem = check_problem(answer, 404, "not-found")
                    assert problem["detail"] == f"order {number} not found"
    for path in ("/v1/orders/2", "/v1/orders/4", "/v2/orders/2/events"):
        check_problem(house.get(path, headers=people["ana"]), 404, "not-found")
    check_problem(house.post("/v2/orders/2/cancel", headers=people["ana"]), 404, "not-found")
    assert house.get("/v2/orders/2", headers=people["ben"]).json()["status"] == "Processing"


CALLS = [
    ("POST", "/v1/orders"),
    ("POST", "/v2/orders"),
    ("GET", "/v1/orders"),
    ("GET", "/v2/orders"),
    ("GET", "/v1/orders/1"),
    ("GET", "/v2/orders/1"),
    ("GET", "/v2/orders/1/history"),
    ("GET", "/v2/orders/1/events"),
    ("POST", "/v2/orders/1/cancel"),
    ("GET", "/v1/orders/check-inventory/1"),
]


def test_without_a_token_nobody_is_asked_who_comes_where_none_is_required(
    house, books, check_problem, required
):
    forged = {"Authorization": "Bearer x.y.z"}
    for method, path in CALLS:
        body = {"content": b"{", "headers": {"Content-Type": "application/json"}} if method == "POST" else {}
        if required:
            check_problem(house.request(method, path, **body), 401, "unauthenticated")
        body["headers"] = {**body.get("headers", {}), **forged}
        check_problem(house.request(method, path, **body), 401, "invalid-token")
    assert books.asked == []


def test_the_customer_is_the_one_of_the_token_and_of_nothing_else(house, people, check_problem):
    told = {**people["ana"], "X-User-Id": "2", "X-Customer-Id": "12", "X-User-Roles": "staff"}
    assert house.post("/v2/orders", json=BASKET, headers=told).json()["customer_id"] == 11
    check_problem(house.post("/v2/orders", json={**BASKET, "customer_id": 12}, headers=told), 422)


def test_books_learns_that_orders_asks_as_a_service(house, books, people):
    house.post("/v1/orders", json=ONE, headers=people["ana"])
    [(_, reserved)] = books.asked
    assert reserved["authorization"] == f"Service {SECRET}"
