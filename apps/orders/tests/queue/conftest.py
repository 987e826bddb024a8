"""A worker over a real database and a real Redis, in this process or in one of its own; and orders for it."""

import asyncio
import json
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
import redis as redis_client

from bookstore.orders.life import Change, change
from bookstore.orders.queue.app import STREAMS, create_app
from bookstore.orders.queue.doorbell import Doorbell, StreamLost
from bookstore.orders.queue.ledger import Ledger
from bookstore.orders.queue.settings import WorkerSettings
from bookstore.service.database import Database
from bookstore.service.testing import Peer, eventually, reset, serving

PATIENCE = 90.0
QUICK = {"worker_lease": 1.0, "ledger_republish": 1.0}


VERDICT = object()
# What is done and how it is answered: `counts` says whether the order is taken in before.
MODES = {
    "normal": (True, VERDICT),
    "hang": (False, "hang"),
    "error": (False, (500, b"{}", b"")),
    "unavailable": (False, (503, b"{}", b"retry-after: 1\r\n")),
    "throttled": (False, (429, b"{}", b"retry-after: 1\r\n")),
    "refused": (False, (422, b'{"detail": "no"}', b"")),
    "conflict": (False, (409, b"{}", b"")),
    "accept_then_reset": (True, "reset"),
    "half_body": (True, "half"),
    "bad_json": (True, (200, b"<html>", b"")),
    "other_order": (True, (200, b'{"order_id": 99999, "status": "validated", "reason": null}', b"")),
    "other_status": (True, (200, b'{"order_id": 1, "status": "maybe", "reason": null}', b"")),
    "deep": (True, (200, b"[" * 100_000, b"")),
    "empty": (True, (200, b"", b"")),
    "moved": (False, (302, b"", b"location: /elsewhere\r\n")),
}


class Outside(Peer):
    """What a worker calls: the supplier, and the reservations of books.

    `modes` says how the supplier takes an order, `mode` how it takes one in `every` of the others.
    `effects` are what it did by order. `reservations` are those of books.
    """

    def __init__(self):
        self.mode = "normal"
        self.modes = {}
        self.every = 1
        """Every how many calls `mode` is meant for."""
        self.books_mode = "normal"
        self.calls = Counter()
        self.effects = Counter()
        self.questions = {}
        self.headers = []
        self.reservations = {}
        self.settled = Counter()
        self.gate = threading.Event()
        """Nothing is answered while this is clear."""
        self.gate.set()
        self.arrived = threading.Event()
        """Whether the supplier was asked anything. Books is asked by the worker's own rounds as well."""
        self.most_at_once = self._at_once = 0
        super().__init__()

    def close(self):
        self.gate.set()
        super().close()

    async def respond(self, request, writer):
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = await self._answer(request)
        finally:
            self._at_once -= 1
        await self._send(writer, answer)

    async def _answer(self, request):
        target = urlsplit(request.target)
        if target.path != "/validate":
            return self._books(request.method, target)
        self.arrived.set()
        self.headers.append(request.headers)
        question = json.loads(request.body)
        order_id = question["order_id"]
        assert request.headers["idempotency-key"] == str(order_id)
        self.questions[order_id] = question
        self.calls[order_id] += 1
        named = self.modes.get(order_id)
        mode = named or (self.mode if self.calls.total() % self.every == 0 else "normal")
        counts, answer = MODES[mode]
        if counts:
            self.effects[order_id] = self.effects[order_id] or 1
        while not self.gate.is_set():  # noqa: ASYNC110 - a test's thread opens it
            await asyncio.sleep(0.01)
        if answer == "hang":
            await asyncio.Event().wait()
        if answer in (VERDICT, "half"):
            bad = any(item["quantity"] > 1000 for item in question["items"])
            verdict = {
                "order_id": order_id,
                "status": "rejected" if bad else "validated",
                "reason": "too many" if bad else None,
            }
            whole = (200, json.dumps(verdict).encode(), b"")
            return whole if answer is VERDICT else ("half", whole)
        return answer

    def _books(self, method, target):
        if self.books_mode == "error":
            return (500, b"{}", b"")
        if target.path == "/inventory/reservations":
            query = {name: values[0] for name, values in parse_qs(target.query).items()}
            held = sorted(name for name, state in self.reservations.items() if state == "held")
            page = [name for name in held if name > query.get("after", "")][: int(query["limit"])]
            data = [{"reservation_id": name, "state": "held", "items": []} for name in page]
            return (200, json.dumps({"data": data}).encode(), b"")
        name, _, verb = target.path.removeprefix("/inventory/reservations/").partition("/")
        state = self.reservations.get(name)
        if method == "PUT":
            if self.books_mode == "sold_out":
                return (409, b"{}", b"")
            self.reservations.setdefault(name, "held")
            return (200 if self.reservations[name] == "held" else 409, b"{}", b"")
        wanted = {"commit": "committed", "release": "released"}[verb]
        if state is None and verb == "commit":
            return (404, b"{}", b"")
        if state in (None, "held"):
            self.reservations[name] = wanted
            self.settled[name] += 1
        return (200 if self.reservations[name] == wanted else 409, b"{}", b"")

    async def _send(self, writer, answer):
        if answer == "reset":
            reset(writer)
        half = answer[0] == "half"
        status, body, extra = answer[1] if half else answer
        head = b"HTTP/1.1 %d X\r\n%bcontent-length: %d\r\n\r\n" % (status, extra, len(body))
        writer.write(head + (body[: len(body) // 2] if half else body))
        await writer.drain()
        if half:
            raise ConnectionResetError


@pytest.fixture(scope="session", name="eventually")
def eventually_fixture():
    return eventually


@pytest.fixture
def outside():
    outside = Outside()
    yield outside
    outside.close()


class Book:
    """The database from outside, as an operator sees it."""

    def __init__(self, url):
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)

    def ask(self, query, *parameters):
        return self.connection.execute(query, parameters).fetchall()

    def do(self, query, *parameters):
        self.connection.execute(query, parameters)

    def place(self, count=1, *, quantity=1, reserve=None):
        """Keep orders as the orders service does; gives their ids. `reserve` makes their reservations."""
        ids = [
            row[0]
            for row in self.ask(
                "INSERT INTO orders (lines, total_price, reservation_id)"
                " SELECT 1, 1.00 * %s, CASE WHEN %s THEN gen_random_uuid()::text END"
                " FROM generate_series(1, %s) RETURNING id",
                quantity, reserve is not None, count,
            )
        ]  # fmt: skip
        self.do(
            "INSERT INTO order_lines SELECT unnest(%s), 1, 7, 'Emma', 'Austen', %s, 1, %s",
            ids,
            quantity,
            quantity,
        )
        self.do(
            "INSERT INTO reservations (id, order_id) SELECT reservation_id, id FROM orders"
            " WHERE id = ANY(%s) AND reservation_id IS NOT NULL",
            ids,
        )
        self.do(
            "INSERT INTO order_events (order_id, to_state, cause) SELECT unnest(%s), 'Processing', 'ordered'",
            ids,
        )
        if reserve is not None:
            reserve.reservations |= {
                name: "held"
                for (name,) in self.ask("SELECT reservation_id FROM orders WHERE id = ANY(%s)", ids)
            }
        self.do("INSERT INTO ledger (order_id) SELECT unnest(%s)", ids)
        return ids

    def states(self, *ids):
        query = "SELECT status FROM orders WHERE %s::bigint[] IS NULL OR id = ANY(%s) ORDER BY id"
        return [state for (state,) in self.ask(query, list(ids) or None, list(ids))]

    def unfinished(self):
        return self.ask("SELECT count(*) FROM ledger WHERE finished_at IS NULL")[0][0]

    def job(self, job_id=1):
        """The row of a job, by column."""
        cursor = self.connection.execute("SELECT * FROM ledger WHERE id = %s", (job_id,))
        return dict(zip([column.name for column in cursor.description], cursor.fetchone(), strict=True))

    def changes(self):
        """How often each order changed its state, beside its first."""
        return dict(self.ask("SELECT order_id, count(*) - 1 FROM order_events GROUP BY order_id"))

    def cancel(self, order):
        """Cancel an order as the orders service does."""

        async def cancel():
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
                await change(connection, [Change(order_id=order, to="Cancelled", cause="cancelled")])

        asyncio.run(cancel())

    def settled(self):
        """Wait until nothing is left to be done."""
        eventually(lambda: self.unfinished() == 0)


@pytest.fixture
def open_book():
    with ExitStack() as stack:

        def open_book(url):
            book = Book(url)
            stack.callback(book.connection.close)
            return book

        yield open_book


@pytest.fixture
def book(database_url, open_book):
    return open_book(database_url)


@pytest.fixture
def redis(redis_url):
    with redis_client.Redis.from_url(redis_url) as client:
        yield client


class Worker:
    """A worker, by its address."""

    def __init__(self, url, process=None, log=None):
        self.http = httpx.Client(base_url=url, timeout=10)
        self.url = url
        self.process = process
        self.log = log

    def metric(self, name, **labels):
        """The sum of the samples of that name with these labels."""
        total = 0.0
        for line in self.http.get("/metrics").text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.partition("{")[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                total += float(value)
        return total

    def lines(self, text):
        return sum(text in line for line in self.log.read_text().splitlines())

    def signal(self, number):
        self.process.send_signal(number)

    def dies(self):
        self.process.wait(PATIENCE)
        return self.process.returncode


@pytest.fixture(scope="session")
def worker_at():
    return Worker


@pytest.fixture
def run_worker(book, redis_url, outside):
    """Run a worker in this process."""

    @contextmanager
    def run(**settings):
        given = {
            "port": 0, "access_log": False, "drain_finish": 2.0, "database_url": book.url,
            "redis_url": redis_url, "books_service_url": outside.url, "supplier_service_url": outside.url,
            **QUICK, **settings,
        }  # fmt: skip
        with serving(lambda: create_app(WorkerSettings(**given))) as url:
            worker = Worker(url)
            with worker.http:
                yield worker

    return run


@pytest.fixture
def worker(run_worker):
    with run_worker() as worker:
        yield worker


@pytest.fixture
def pending(redis):
    """How many entries are in the streams, and how many of them somebody has read."""

    def count():
        lengths = sum(redis.xlen(stream) for stream in STREAMS.values())
        groups = [
            group
            for stream in STREAMS.values()
            if redis.exists(stream)
            for group in redis.xinfo_groups(stream)
        ]
        return lengths, sum(group["pending"] for group in groups)

    return count


@pytest.fixture
async def ledger(book):
    async with Database(book.url) as database:
        yield Ledger(database)


@pytest.fixture
async def bell(redis_url):
    """A doorbell on a stream that is there."""
    bell = Doorbell(redis_url, STREAMS["validate"], "me")
    with pytest.raises(StreamLost):
        await bell.ring([1])
    yield bell
    await bell.aclose()
