"""The running system as those see it who order, who run the supplier, and who look after the queue."""

import json
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

PATIENCE = 90.0
PROMISE = 2.0
"""Seconds within which an order is answered, whatever fails."""


class Shop:
    """The services' addresses, a customer's token, and what is asked for with them."""

    def __init__(self, bookstore):
        self.bookstore = bookstore
        self.http = httpx.Client(timeout=20, trust_env=False)
        status = bookstore.status()
        rows = {row["instance"]: row for row in status["services"]}
        self.credentials = Path(status["credentials_file"])
        self.redis_url = rows["redis"]["url"]
        for name in ("gateway", "books", "orders", "accounts", "supplier"):
            setattr(self, name, rows[f"{name}-1"]["url"])
        self.worker, self.control = rows["orders-worker-1"]["url"], rows["supplier-control-1"]["url"]
        self.who = {}

    def register(self):
        """Become a customer whom nobody has seen before."""
        person = {"email": f"ana-{secrets.token_hex(4)}@example.com", "password": "correct horse battery"}
        self.http.post(f"{self.accounts}/auth/register", json={**person, "name": "Ana"}).raise_for_status()
        self.who = self._log_in(person)

    def staff(self):
        """The header of one who works here."""
        known = json.loads(self.credentials.read_text())["accounts"]
        email = "staff@bookstore.local"
        return self._log_in({"email": email, "password": known[email]})

    def _log_in(self, person):
        # Not at the gateway: it lets an address in 20 times a minute.
        answer = self.http.post(f"{self.accounts}/auth/login", json=person).raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def book(self, stock=1000):
        """A new book; gives its number."""
        new = {"title": "Emma", "author": "Jane Austen", "price": "9.49", "stock": stock}
        return self.http.post(f"{self.books}/v2/books", json=new).raise_for_status().json()["id"]

    def order(self, book, *, at=None):
        """Order a copy, again under the same key when told to come back later; gives the last answer.

        Each answer comes in time, whatever it is.
        """
        key = {"Idempotency-Key": secrets.token_hex(8)}
        wish = {"book_id": book, "quantity": 1}
        until = monotonic() + PATIENCE
        while True:
            started = monotonic()
            answer = self.http.post(f"{at or self.gateway}/v1/orders", json=wish, headers=self.who | key)
            assert monotonic() - started < PROMISE
            if answer.status_code != 503 or monotonic() > until:
                return answer
            sleep(float(answer.headers["retry-after"]))

    def accepted(self, count, book, *, at=None):
        """Place orders, eight at a time; gives their ids."""
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: self.order(book, at=at), range(count)))
        assert {answer.status_code for answer in answers} == {201}
        return [answer.json()["id"] for answer in answers]

    def job(self, job_id):
        """A job of the queue, as an operator sees it."""
        return self.http.get(f"{self.orders}/v1/queue/jobs/{job_id}").json()["job"]

    def queue(self):
        """Where all jobs of the queue stand, by kind."""
        return self.http.get(f"{self.orders}/v1/queue").json()["kinds"]

    def states(self, ids):
        """How many of these orders are in each state."""
        found, offset = Counter(), 0
        while page := self.http.get(f"{self.orders}/v2/orders?limit=100&offset={offset}").json()["data"]:
            found += Counter(order["status"] for order in page if order["id"] in ids)
            offset += 100
            if min(order["id"] for order in page) < min(ids):
                break
        return found

    def changes(self, order):
        """The states that an order has been in, one after the other."""
        events = self.http.get(f"{self.orders}/v2/orders/{order}/history").json()["events"]
        return [event["to"] for event in events]

    def fail(self, mode, **parameters):
        """Make the supplier fail."""
        body = {"mode": mode, **parameters}
        self.http.post(f"{self.control}/set_failure_mode", json=body).raise_for_status()

    def counted(self, ids):
        """What the supplier did for these orders: effects and calls, by order."""
        told = self.http.get(f"{self.control}/effects").json()["orders"]
        return {order: told.get(str(order), {"effects": 0, "calls": 0}) for order in ids}

    def each_had_one_effect(self, ids, state="Validated"):
        """Wait until these orders are final: none lost, none twice, each state once."""
        self.eventually(lambda: self.states(ids) == {state: len(ids)})
        assert {each["effects"] for each in self.counted(ids).values()} == {1}
        assert all(self.changes(order) == ["Processing", state] for order in ids)

    def metric(self, name, **labels):
        """The sum of the worker's samples of that name with these labels."""
        lines = self.http.get(f"{self.worker}/metrics").text.splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.partition("{")[0] == name and all(each in line for each in wanted)
        )

    def circuit_moved(self):
        """How often the circuit round the supplier opened, half opened or closed."""
        return self.metric("bookstore_breaker_transitions_total", dependency="supplier")

    def well(self):
        """Whether everything is as it was before somebody broke it."""
        doors = (self.gateway, self.orders, self.worker, self.supplier)
        return all(self.http.get(f"{door}/health").json()["status"] == "healthy" for door in doors)

    @staticmethod
    def eventually(check, seconds=PATIENCE):
        """Wait until `check()` is true; who can't be asked at the moment is asked again."""
        until = monotonic() + seconds
        while True:
            try:
                if found := check():
                    return found
            except (httpx.TransportError, KeyError):  # nobody there, or a problem instead of an answer
                pass
            assert monotonic() < until, "it never came about"
            sleep(0.05)


@pytest.fixture(scope="module")
def open_shop(bookstore):
    """One for all tests of a module."""
    shop = Shop(bookstore)
    with shop.http:
        shop.book()
        yield shop


@pytest.fixture
def shop(open_shop):
    """With a customer of its own. What a test breaks is whole again after it, and the queue is empty."""
    open_shop.register()
    yield open_shop
    open_shop.fail("normal")
    open_shop.eventually(lambda: all(kind["unfinished"] == 0 for kind in open_shop.queue().values()))
    open_shop.eventually(open_shop.well)
