"""The circuit round books: open it refuses at once, and says so; unknown books never open it."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

ONE = {"book_id": 1, "quantity": 1}


@pytest.fixture
def patient(database_url, books, run_orders):
    """Its circuit stays open for as long as a test may take."""
    with run_orders(database_url, books.url, books_circuit_open=600.0, books_timeout=0.2) as client:
        yield client


def _metric(client, name, **labels):
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    for line in client.get("/metrics").text.splitlines():
        if line.startswith(f"{name}{{") and all(each in line for each in wanted):
            return float(line.rpartition(" ")[2])
    raise LookupError(name)


def _is(client, state):
    return _metric(client, "bookstore_breaker_state", dependency="books", state=state) == 1


@pytest.mark.quiet
def test_after_five_failures_books_is_not_called_and_the_answer_comes_at_once(
    patient, books, query, check_problem
):
    assert _is(patient, "closed")
    books.mode = "hang"
    for _ in range(5):
        check_problem(patient.post("/v1/orders", json=ONE), 503, "books-unavailable")
    asked = len(books.asked)
    took = []
    for _ in range(3):
        started = monotonic()
        answer = patient.post("/v1/orders", json=ONE)
        took.append(monotonic() - started)
    assert min(took) < 0.2  # the patience with books
    problem = check_problem(answer, 503, "books-unavailable")
    assert "nothing was ordered" in problem["detail"]
    assert 590 < int(answer.headers["retry-after"]) <= 600
    assert len(books.asked) == asked
    assert _is(patient, "open")
    # One was the order; letting go of what may be held is refused as well.
    assert _metric(patient, "bookstore_breaker_rejected_total", dependency="books") >= 1
    books.mode = "well"
    assert patient.get("/health").json()["services"]["books"] == "unhealthy"
    assert patient.get("/health/ready").status_code == 200
    assert query("SELECT count(*) FROM orders") == [(0,)]


def test_unknown_books_and_too_few_copies_do_not_open_it(patient, books, check_problem):
    books.stock[2] = 0
    for _ in range(10):
        check_problem(patient.post("/v1/orders", json={"book_id": 999, "quantity": 1}), 404)
        check_problem(patient.post("/v1/orders", json={"book_id": 2, "quantity": 1}), 409)
        check_problem(patient.get("/v1/orders/check-inventory/999"), 404)
    assert patient.post("/v1/orders", json=ONE).status_code == 201
    assert _is(patient, "closed")


def test_a_caller_who_leaves_no_time_does_not_open_it(patient, books):
    books.mode = "held"
    for _ in range(8):
        assert patient.post("/v1/orders", json=ONE, headers={"x-deadline-ms": "20"}).status_code == 503
    books.hold.set()
    books.mode = "well"
    assert patient.post("/v1/orders", json=ONE).status_code == 201


def test_it_closes_once_books_is_back(orders, books, eventually):
    books.refuse()
    for _ in range(3):
        assert orders.post("/v1/orders", json=ONE).status_code == 503
    books.open()
    eventually(lambda: orders.post("/v1/orders", json=ONE).status_code == 201)
    assert _is(orders, "closed")
    with ThreadPoolExecutor(10) as pool:  # nobody is sent away while others are on trial
        answers = [*pool.map(lambda _: orders.post("/v1/orders", json=ONE).status_code, range(10))]
    assert answers == [201] * 10
    assert orders.get("/health").json()["services"]["books"] == "healthy"
