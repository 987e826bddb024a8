"""What the buttons do: real requests through a gateway, which may answer whatever it likes."""

import asyncio
import json
import threading

import pytest

from bookstore.service.testing import eventually
from bookstore.service.testing.peer import Peer, reset
from bookstore.service.testing.problems import check_problem

from .stand import answer

URL = "/v2/monitor/try"
BOOKS = {"data": [{"id": 5, "title": "<b>Emma</b>"}], "total": 1}


class Gateway(Peer):
    """Lets people register, log in and buy. `mode` is "well", or what happens to each request instead."""

    def __init__(self):
        self.mode = "well"
        self.asked = []
        self.gate = threading.Event()
        self.gate.set()
        self.at_once = self.most_at_once = 0
        super().__init__()

    async def respond(self, request, writer):
        if request.target == "/health":
            writer.write(answer())
            return
        self.asked.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            while not self.gate.is_set():  # noqa: ASYNC110 - a test's thread opens it
                await asyncio.sleep(0.01)
            await self._answer(request, writer)
        finally:
            self.at_once -= 1

    async def _answer(self, request, writer):
        if self.mode == "reset":
            reset(writer)
        if self.mode == "silent":
            await asyncio.Event().wait()
        if self.mode == "endless":
            writer.write(
                b"HTTP/1.1 200 OK\r\nX-Trace-Id: " + b"a" * 5000 + b"\r\nContent-Length: 99999999\r\n\r\n"
            )
            while True:
                writer.write(b"<script>" * 8192)
                await writer.drain()
        status, told = self._told(request) if self.mode == "well" else (self.mode, {})
        body = json.dumps(told).encode()
        trace = b"X-Trace-Id: " + b"f" * 32 + b"\r\nX-Request-Id: r1\r\n"
        writer.write(b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, trace, len(body), body))
        await writer.drain()

    def _told(self, request):
        match request.method, request.target.partition("?")[0]:
            case "POST", "/auth/register":
                return 201, {}
            case "POST", "/auth/login":
                return 200, {
                    "access_token": "s3cret",
                    "refresh_token": "r",
                    "token_type": "bearer",
                    "expires_in": 600,
                }
            case "POST", "/v2/orders":
                return 201, {"id": 77}
            case "GET", "/v2/books":
                return 200, BOOKS
            case "GET", "/v2/books/5" | "/v2/orders/77":
                return 200, {"id": 5}
        return 404, {}


@pytest.fixture
def gateway():
    gateway = Gateway()
    yield gateway
    gateway.gate.set()
    gateway.close()


@pytest.fixture
def monitor(watched, accounts, gateway):
    client = watched({"accounts_service_url": accounts.url}, gateway=gateway)
    client.headers.update(accounts.bearer("ops"))
    return client


def attempt(monitor, what):
    answered = monitor.post(URL, json={"what": what})
    assert answered.status_code == 200, answered.text
    return answered.json()


def asked(gateway):
    return [(request.method, request.target.partition("?")[0]) for request in gateway.asked]


def test_a_book_is_bought_by_a_customer_who_is_registered_once(monitor, gateway):
    told = attempt(monitor, "buy")
    assert [(each["method"], each["path"].partition("?")[0], each["status"]) for each in told["answers"]] == [
        ("POST", "/auth/register", 201),
        ("POST", "/auth/login", 200),
        ("GET", "/v2/books", 200),
        ("POST", "/v2/orders", 201),
        ("GET", "/v2/orders/77", 200),
    ]
    assert "s3cret" not in json.dumps(told)
    ordered = told["answers"][3]
    assert (ordered["trace_id"], ordered["request_id"], ordered["body"]) == ("f" * 32, "r1", '{"id": 77}')
    assert told["summary"] == told["summary"] | {"requests": 5, "by_status": {"200": 3, "201": 2}}
    attempt(monitor, "buy")
    assert asked(gateway).count(("POST", "/auth/register")) == 1
    assert asked(gateway).count(("POST", "/auth/login")) == 1
    orders = [request for request in gateway.asked if request.target == "/v2/orders"]
    assert json.loads(orders[0].body) == {"items": [{"book_id": 5, "quantity": 1}]}
    assert {request.headers["authorization"] for request in orders} == {"Bearer s3cret"}
    assert len({request.headers["idempotency-key"] for request in orders}) == 2
    register = json.loads(gateway.asked[0].body)
    assert register["email"].startswith("console-")
    assert register["email"].endswith("@example.com")


def test_looking_round_needs_nobody_to_be_registered(monitor, gateway):
    assert attempt(monitor, "browse")["summary"]["by_status"] == {"200": 4}
    assert [each["path"] for each in attempt(monitor, "book")["answers"]][-1] == "/v2/books/5"
    assert not [request for request in gateway.asked if request.method == "POST"]


@pytest.mark.parametrize(
    ("mode", "status"), [(503, 503), (429, 429), ("reset", None), ("endless", 200)], ids=str
)
@pytest.mark.parametrize("what", ["browse", "book", "buy"])
def test_what_fails_is_shown_as_it_is(monitor, gateway, what, mode, status):
    gateway.mode = mode
    told = attempt(monitor, what)
    assert {each["status"] for each in told["answers"]} == {status}
    assert told["summary"]["by_status"] == {str(status or "none").lower(): len(told["answers"])}
    assert all(len(each["body"]) <= 2000 and len(each["trace_id"]) <= 128 for each in told["answers"])
    if mode == "endless":  # the beginning is shown, but of what may let somebody in
        assert told["answers"][-1]["body"].startswith("<script>")


def test_a_crowd_of_twenty_comes_two_hundred_times_and_one_crowd_at_a_time(monitor, gateway):
    gateway.gate.clear()
    told = {}
    crowd = threading.Thread(target=lambda: told.update(attempt(monitor, "flood")))
    crowd.start()
    eventually(lambda: gateway.at_once == 20)
    check_problem(monitor.post(URL, json={"what": "flood"}), 409, "flood-runs")
    gateway.gate.set()
    crowd.join(30)
    assert told["summary"]["requests"] == 200
    assert told["summary"]["by_status"] == {"200": 200}
    assert gateway.most_at_once == 20
    assert len(told["answers"]) == 2  # a few of each status
    assert told["summary"]["p50_ms"] <= told["summary"]["p95_ms"]
    assert len(gateway.asked) == 200


def test_without_a_gateway_there_is_nothing_to_try(watched, accounts, stand):
    monitor = watched({"accounts_service_url": accounts.url}, books=stand())
    for what in ("browse", "buy", "flood"):
        answered = monitor.post(URL, json={"what": what}, headers=accounts.bearer("ops"))
        check_problem(answered, 503, "no-gateway")
