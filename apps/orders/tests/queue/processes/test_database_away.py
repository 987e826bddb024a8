"""Orders come in twenty a second while their database is frozen, killed and restarted."""

# ruff: noqa: PLR0917 - fixtures

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from time import monotonic, sleep

import httpx
import pytest

pytestmark = pytest.mark.long

RATE = 20
PROMISE = 2.0
FROZEN, DEAD = 5.0, 2.0
ONE = {"book_id": 1, "quantity": 1}


@pytest.fixture
def database_url(fragile):
    return fragile


class Customers:
    """Order at a fixed rate, whatever becomes of the orders before: nobody waits for anybody."""

    def __init__(self, url):
        self.url = url
        self.answers = []
        """Status, seconds, answer, in the order in which they came."""
        self._enough = Event()
        self._pool = ThreadPoolExecutor(RATE * 4)
        self._http = httpx.Client(timeout=30, limits=httpx.Limits(max_connections=RATE * 8))

    def __enter__(self):
        self._pool.submit(self._come)
        return self

    def __exit__(self, *_):
        self._enough.set()
        self._pool.shutdown()
        self._http.close()

    def _come(self):
        began = monotonic()
        for number in count():
            if self._enough.wait(max(0.0, began + number / RATE - monotonic())):
                return
            self._pool.submit(self._order)

    def _order(self):
        started = monotonic()
        answer = self._http.post(f"{self.url}/v1/orders", json=ONE)
        self.answers.append((answer.status_code, monotonic() - started, answer))

    def served(self, since):
        """Whether somebody got an order since so many answers."""
        return any(status == 201 for status, _, _ in self.answers[since:])


def test_no_order_is_lost_and_each_is_answered_in_time(
    postgres_server, start_worker, books, open_book, database_url, eventually
):
    orders = start_worker("bookstore.orders", BOOKS_SERVICE_URL=books.url)
    eventually(lambda: _is_ready(orders))
    with Customers(orders.url) as customers:
        faults = [
            (postgres_server.freeze, FROZEN, postgres_server.resume),
            (postgres_server.kill, DEAD, postgres_server.start),
            (postgres_server.restart, 0.0, lambda: None),
        ]
        for harm, seconds, heal in faults:
            since = len(customers.answers)
            eventually(lambda since=since: customers.served(since))
            harm()
            sleep(seconds)  # the time of the fault is what is promised about
            heal()
        since = len(customers.answers)
        eventually(lambda: customers.served(since))
    answers = customers.answers
    assert {status for status, _, _ in answers} == {201, 503}
    assert all(answer.headers["retry-after"] for status, _, answer in answers if status == 503)
    slowest = max(took for _, took, _ in answers)
    refused = sum(status == 503 for status, _, _ in answers)
    print(f"{len(answers)} orders, {refused} refused, the slowest answer after {slowest:.2f} s")  # noqa: T201
    assert slowest <= PROMISE

    acknowledged = {answer.json()["id"] for status, _, answer in answers if status == 201}
    assert len(acknowledged) == len(answers) - refused
    book = open_book(database_url)
    kept = {order for (order,) in book.ask("SELECT id FROM orders")}
    assert acknowledged <= kept
    start_worker(BOOKS_SERVICE_URL=books.url)
    eventually(lambda: set(book.states()) == {"Validated"})
    assert set(book.changes().values()) == {1}


def _is_ready(worker):
    try:
        return worker.http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False
