"""What the seeds' guides say of orders, line by line, with their own bodies."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from time import monotonic

import pytest

JSON = {"Content-Type": "application/json"}


def _post(client, body):
    return client.post("/v1/orders", content=body, headers=JSON)


def test_seed_003_the_workflow(orders, books):
    books.sell(1, "18.99", title="The Catcher in the Rye", author="J.D. Salinger")
    # Step 2: create an order for the book.
    made = _post(orders, '{"book_id": 1, "quantity": 3}')
    assert made.status_code == 201
    order = json.loads(made.text, parse_float=Decimal)
    assert list(order)[:8] == [
        "id", "book_id", "book_title", "book_author", "quantity", "unit_price", "total_price", "created_at",
    ]  # fmt: skip
    assert (order["id"], order["book_id"], order["quantity"]) == (1, 1, 3)
    assert (order["book_title"], order["book_author"]) == ("The Catcher in the Rye", "J.D. Salinger")
    assert (order["unit_price"], order["total_price"]) == (Decimal("18.99"), Decimal("56.97"))
    # Steps 3 and 4: verify the order, list all orders.
    assert orders.get("/v1/orders/1").text == made.text
    assert orders.get("/v1/orders").json() == [made.json()]
    # Step 5: health.
    health = orders.get("/health").json()
    assert (health["status"], health["services"]) == ("healthy", {"database": "healthy", "books": "healthy"})


def test_seed_003_many_orders_rapidly(orders):
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda n: _post(orders, f'{{"book_id": 1, "quantity": {n}}}'), range(1, 11)))
    assert {answer.status_code for answer in made} == {201}
    listed = orders.get("/v1/orders").json()
    assert sorted(order["quantity"] for order in listed) == list(range(1, 11))


@pytest.mark.parametrize(
    "body", ['{"book_id": -1, "quantity": 2}', '{"book_id": 1, "quantity": 0}', '{"book_id": 1}']
)
def test_seed_003_validation_errors_are_400(shared, check_problem, body):
    check_problem(_post(shared, body), 400, "validation")


def test_seed_003_what_is_not_there_is_404(shared, check_problem):
    check_problem(_post(shared, '{"book_id": 999, "quantity": 2}'), 404, "not-found")
    check_problem(shared.get("/v1/orders/999999"), 404, "not-found")


@pytest.mark.quiet
def test_seed_003_without_books_orders_fail_gracefully_and_health_shows_it(
    orders, books, check_problem, eventually
):
    books.refuse()
    for _ in range(7):  # its circuit opens on the way
        started = monotonic()
        check_problem(_post(orders, '{"book_id": 1, "quantity": 2}'), 503, "books-unavailable")
        assert monotonic() - started < 2.0
    health = orders.get("/health")
    assert health.status_code == 200
    assert health.json()["services"] == {"database": "healthy", "books": "unhealthy"}
    books.open()
    eventually(lambda: _post(orders, '{"book_id": 1, "quantity": 2}').status_code == 201)


def test_seed_002_an_order_tells_its_job(orders):
    made = orders.post("/v2/orders", json={"items": [{"book_id": 1, "quantity": 1}]}).json()
    assert made["job_id"] == orders.get("/v2/orders").json()["data"][0]["job_id"] == 1


def test_seed_002_live_ready_whoami(orders):
    assert orders.get("/health/live").json()["status"] == "healthy"
    assert orders.get("/health/ready").json()["status"] == "healthy"
    assert {"service", "version", "hostname", "pid", "instance"} == orders.get("/whoami").json().keys()
