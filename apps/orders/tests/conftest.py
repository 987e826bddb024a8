"""The orders service on a real socket, over a real database, with a real server in place of books."""

import asyncio
import json
import threading
from contextlib import contextmanager

import httpx
import psycopg
import pytest

from bookstore.orders import life
from bookstore.orders.app import create_app
from bookstore.orders.settings import OrdersSettings
from bookstore.service import testing
from bookstore.service.database import Database
from bookstore.service.migrate import upgrade
from bookstore.service.testing import eventually
from bookstore.service.testing.patience import patient
from bookstore.service.testing.references import enforce
from bookstore.stores import provision


def whole(status, body):
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def half(body):
    return whole(200, body)[: -len(body) // 2]


WELL = object()
# What is answered, and how it ends: the connection is "kept", "reset" or "closed", or it "hangs" or trickles.
MODES = {
    "well": (WELL, "kept"),
    "held": (WELL, "held"),
    "hang": (b"", "hangs"),
    "reset": (b"", "reset"),
    "close": (b"", "closed"),
    "half_body": (half, "closed"),
    "half_body_reset": (half, "reset"),
    "half_body_hang": (half, "hangs"),
    "half_head": (b"HTTP/1.1 200 X\r\ncontent-le", "closed"),
    "trickle": (b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n", "trickles"),
    "no_http": (b"220 smtp.example.com ESMTP\r\n", "closed"),
    "bad_json": (whole(200, b'{"id": 1, "title": '), "kept"),
    "bad_utf8": (whole(200, b'{"id": 1, "title": "\xff", "author": "a", "price": "1"}'), "kept"),
    "html": (whole(200, b"<html>Welcome to the hotel's network</html>"), "kept"),
    "empty": (whole(200, b""), "kept"),
    "no_content": (b"HTTP/1.1 204 X\r\n\r\n", "kept"),
    "null": (whole(200, b"null"), "kept"),
    "array": (whole(200, b"[]"), "kept"),
    "deep": (whole(200, b'{"x":' + b"[" * 100_000), "kept"),
    "huge": (lambda body: whole(200, body[:-1] + b" " * 9_000_000 + b"}"), "kept"),
    "moved": (b"HTTP/1.1 302 X\r\nlocation: /v1/books/2\r\ncontent-length: 0\r\n\r\n", "kept"),
    "error": (whole(500, b'{"status": 500}'), "kept"),
    "error_with_a_book": (lambda body: whole(502, body), "kept"),
    "unavailable": (whole(503, b'{"status": 503}'), "kept"),
    "throttled": (whole(429, b"{}"), "kept"),
    "forbidden": (whole(403, b"{}"), "kept"),
    "gone": (whole(404, b'{"detail": "nothing answers at /inventory"}'), "kept"),
    "accepted": (lambda body: whole(202, body), "kept"),
}


class Books(testing.Peer):
    """Answers as books does, or as one of MODES says: for a book (`modes`), reservations, or all.

    `asked` are the paths and headers that it was sent. Of a book without a `stock` there is no end.
    """

    def __init__(self):
        self.catalogue = {}
        self.stock = {}
        self.reservations = {}
        """State and lines, by name."""
        self.modes = {}
        self.mode = "well"
        self.reserve_modes = []
        """How the next reservations are answered, one after the other."""
        self.asked = []
        self.hold = threading.Event()
        """What mode `held` waits for."""
        self.arrived = threading.Event()
        """Set at every request."""
        super().__init__()

    def sell(self, book_id, price="9.49", title="Emma", author="Jane Austen"):
        self.catalogue[book_id] = {"book_id": book_id, "title": title, "author": author, "price": price}

    def free(self, book_id):
        held = sum(
            items.get(book_id, 0) for state, items in self.reservations.values() if state != "released"
        )
        return self.stock.get(book_id, 1_000_000_000) - held

    def held(self):
        """What is held or sold, of all books."""
        return [items for state, items in self.reservations.values() if state != "released"]

    def asked_for(self, part):
        return [path for path, _ in self.asked if part in path]

    def close(self):
        self.hold.set()
        super().close()

    def _found(self, method, path, sent):
        """How to answer a request: a mode, a status, and a body (None for a problem)."""
        if path == "/health/live":
            return self.mode if self.mode in {"hang", "error"} else "well", 200, {"status": "healthy"}
        if path.startswith("/inventory/reservations?"):
            return self.mode, 200, {"data": []}  # none is old enough
        if path == "/inventory/reservations":
            return self._reserved(json.loads(sent)["reservations"])
        *_, what, name = path.split("/")
        if method == "PUT":
            refusal = self._held(name, json.loads(sent)["items"]).get("refusal")
            return self.mode, refusal["status"] if refusal else 200, None if refusal else {"state": "held"}
        if what == "inventory":
            known = int(name) in self.catalogue
            body = {"book_id": int(name), "quantity": self.free(int(name)), "reserved": 0}
            return self.mode, 200 if known else 404, body if known else None
        mode = self.reserve_modes.pop(0) if self.reserve_modes else self.mode
        _, items = self.reservations.get(what, (None, {}))
        self.reservations[what] = ({"commit": "committed", "release": "released"}[name], items)
        return mode, 200, {"reservation_id": what}

    def _reserved(self, asked):
        """What becomes of POST /inventory/reservations: the mode is that of the first book that has one."""
        mode = self.reserve_modes.pop(0) if self.reserve_modes else self.mode
        books = [item["book_id"] for each in asked for item in each["items"]]
        mode = next((self.modes[book_id] for book_id in books if book_id in self.modes), mode)
        return mode, 200, {"data": [self._held(each["reservation_id"], each["items"]) for each in asked]}

    def _held(self, name, items):
        wanted = {item["book_id"]: item["quantity"] for item in items}

        def refused(status, slug, detail):
            problem = {"type": f"urn:bookstore:problem:{slug}", "status": status, "detail": detail}
            return {"reservation_id": name, "refusal": problem}

        if self.reservations.get(name, ("held", wanted)) != ("held", wanted):
            return refused(409, "reservation-conflict", f"reservation {name} holds other items")
        if unknown := [book_id for book_id in wanted if book_id not in self.catalogue]:
            return refused(404, "not-found", f"book {unknown[0]} not found")
        if name not in self.reservations:
            if short := [book_id for book_id in wanted if self.free(book_id) < wanted[book_id]]:
                return refused(409, "insufficient-stock", f"too few copies of book {short[0]}")
            self.reservations[name] = ("held", wanted)
        return {"reservation_id": name, "books": [self.catalogue[book_id] for book_id in wanted]}

    async def respond(self, request, writer):
        self.asked.append((request.target, request.headers))
        self.arrived.set()
        mode, status, found = self._found(request.method, request.target, request.body)
        body = json.dumps(found or {"type": "about:blank", "status": status, "detail": "no"}).encode()
        well = whole(status, body)
        answer, end = MODES[mode]
        if end == "held":
            await asyncio.to_thread(self.hold.wait)
        writer.write(well if answer is WELL else answer(body) if callable(answer) else answer)
        await writer.drain()
        match end:
            case "hangs":
                await asyncio.Event().wait()
            case "trickles":
                while True:  # no single wait is long, but there is no end to them
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            case "reset":
                testing.reset(writer)
            case "closed":
                raise ConnectionResetError


@pytest.fixture(scope="session")
def start_books():
    @contextmanager
    def start():
        books = Books()
        yield books
        books.close()

    return start


@pytest.fixture
def books(start_books):
    with start_books() as books:
        for book_id, price in ((1, "19.99"), (2, "24.99"), (3, "0.00"), (4, "99999999.99")):
            books.sell(book_id, price, title=f"Book {book_id}", author=f"Author {book_id}")
        yield books


@pytest.fixture(scope="session")
def accounts():
    """Somebody who makes tokens, as accounts does; `url` is where the keys are."""
    issuer = testing.Issuer()
    with issuer.publishing() as issuer.url:
        yield issuer


@contextmanager
def _orders(database_url, books_url, *, hurried=False, **settings):
    """A running service and a client for it; one that isn't `hurried` bears a busy machine."""

    def create():
        given = {"port": 0, "access_log": False, "books_circuit_open": 0.02, **settings}
        return create_app(OrdersSettings(database_url=database_url, books_service_url=books_url, **given))

    make = create if hurried else patient(create)
    with testing.serving(make) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def run_orders():
    return _orders


@pytest.fixture(scope="session")
def orders_template(postgres_template):
    def migrate(url):
        upgrade("bookstore.orders", url)
        enforce(url)

    return postgres_template("orders", migrate)


@pytest.fixture
def database_url(orders_template):
    with orders_template.fresh() as url:
        yield url


@pytest.fixture
def fragile(postgres_server):
    """The URL of a database on a server that this test may break."""
    database = provision.Database("orders_db", "orders_user", "secret")
    provision.provision(postgres_server.url, [database])
    url = database.url(postgres_server.url)
    upgrade("bookstore.orders", url)
    return url


@pytest.fixture
def orders(database_url, books):
    """A service for this test alone, without any order."""
    with _orders(database_url, books.url) as client:
        yield client


@pytest.fixture(scope="session")
def shared_books(start_books):
    """100 books, book n at n.99; and book 500, the dearest there can be."""
    with start_books() as books:
        for book_id in range(1, 101):
            books.sell(book_id, f"{book_id}.99", title=f"Book {book_id}", author=f"Author {book_id}")
        books.sell(500, "99999999.99")
        yield books


@pytest.fixture(scope="session")
def shared(orders_template, shared_books):
    """A service for all tests that mind their own orders only."""
    with orders_template.fresh() as url, _orders(url, shared_books.url) as client:
        yield client


@pytest.fixture(scope="session")
def ways_to_fail():
    return [mode for mode in MODES if mode not in {"well", "held", "gone"}]


@pytest.fixture(scope="session")
def check_problem():
    return testing.check_problem


@pytest.fixture
def query(database_url):
    """Run SQL in this test's database; gives the rows."""

    def query(sql, *parameters):
        with psycopg.connect(database_url, autocommit=True) as connection:
            cursor = connection.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    return query


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture():
    return eventually


@pytest.fixture(scope="session")
def finish():
    """Bring an order to a final state, as the worker does; gives whether it was still open."""

    def finish(database_url, order_id, to="Validated", cause="validated by the supplier"):
        async def change():
            async with Database(database_url, acquire=20.0) as database, database.transaction() as connection:
                return await life.change(connection, [life.Change(order_id=order_id, to=to, cause=cause)])

        return asyncio.run(change()) == {order_id}

    return finish
