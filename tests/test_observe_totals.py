"""What services count is what was asked of them: not about, but to the last request, under both names."""

import asyncio
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bookstore.service.requests import OTHER, UNMATCHED

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

REQUESTS, AT_ONCE = 5_000, 16
ONE_BOOK = "/v1/books/{book_id}"
NO_TIME = {"x-deadline-ms": "1"}
ORDER = {"book_id": 1, "quantity": 1}


@dataclass(frozen=True)
class Case:
    """A kind of request, what it is counted under, and what comes of it if that is sure."""

    service: str
    method: str
    path: str
    handler: str
    status: int | None = None
    json: dict = field(default=None)
    headers: dict = field(default_factory=dict)
    onward: tuple[str, str] = ()
    """The service that the gateway passes it on to, and what that counts it under."""


CASES = [
    Case("books", "GET", "/v1/books/1", ONE_BOOK, 200),
    Case("books", "HEAD", "/v1/books/2", ONE_BOOK, 200),
    Case("books", "GET", "/v2/books", "/v2/books", 200),
    Case("books", "GET", "/v1/books/99999999", ONE_BOOK, 404),
    Case("books", "GET", "/v1/books/none", ONE_BOOK),
    Case("books", "POST", "/v1/books", "/v1/books", 400, json={}),
    Case("books", "PATCH", "/v1/books/1", UNMATCHED),
    Case("books", "GET", "/made/up/{n}", UNMATCHED, 404),
    Case("books", "PROPFIND", "/made/up/{n}", UNMATCHED),
    Case("orders", "POST", "/v1/orders", "/v1/orders", json=ORDER),
    Case("orders", "POST", "/v1/orders", "/v1/orders", 503, json=ORDER, headers=NO_TIME),
    Case("orders", "POST", "/v1/orders", "/v1/orders", 400, json={"book_id": "one"}),
    Case("orders", "GET", "/v2/orders", "/v2/orders", 200),
    Case("orders", "GET", "/v1/orders/99999999", "/v1/orders/{order_id}", 404),
    Case("orders", "GET", "/made/up/{n}", UNMATCHED, 404),
    Case("accounts", "GET", "/auth/me", "/auth/me", 401),
    Case("accounts", "POST", "/auth/login", "/auth/login", 400, json={}),
    Case("gateway", "GET", "/v1/books/1", "/v1/books", 200, onward=("books", ONE_BOOK)),
    Case("gateway", "GET", "/v2/books?limit={n}", "/v2/books", onward=("books", "/v2/books")),
    Case("gateway", "GET", "/products", "/products", onward=("books", "/v2/books")),
    Case("gateway", "GET", "/v1/orders", "/v1/orders", 401),
    Case("gateway", "GET", "/made/up/{n}", UNMATCHED, 404),
]


def of_gateway(status):
    """Whether the gateway alone has said so."""
    return status in {401, 429}


@pytest.fixture(scope="module")
def asked(bookstore):
    """Ask all of it, in no order; gives what was counted before, what was answered, what was passed on."""
    urls = {name: bookstore.url(f"{name}-1") for name in {case.service for case in CASES}}
    wishes = list(itertools.islice(itertools.cycle(CASES), REQUESTS))
    random.Random(7).shuffle(wishes)  # noqa: S311 - an order, and no secret
    before = {name: counted(url) for name, url in urls.items()}
    return urls, before, *asyncio.run(ask_all(urls, wishes))


async def ask_all(urls, wishes):
    mine, passed_on, left = Counter(), Counter(), iter(enumerate(wishes, start=1))

    async def ask(client):
        for number, case in left:
            answer = await client.request(
                case.method,
                urls[case.service] + case.path.format(n=number),
                json=case.json,
                headers=case.headers,
            )
            if case.status is not None:
                assert answer.status_code == case.status, (case, answer.text)
            mine[case.service, case.handler, case.method, answer.status_code] += 1
            if case.onward and not of_gateway(answer.status_code):
                passed_on[(*case.onward, case.method, answer.status_code)] += 1

    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        await asyncio.gather(*(ask(client) for _ in range(AT_ONCE)))
    return mine, passed_on


def counted(url):
    """What a service says of itself, by each of its names: route, method, status or its class."""
    found = {"short": Counter(), "convention": Counter(), "durations": Counter()}
    for family in text_string_to_metric_families(httpx.get(f"{url}/metrics", trust_env=False).text):
        for sample in family.samples:
            told = sample.labels
            match sample.name:
                case "http_requests_total":
                    key = told["handler"], told["method"], told["status_class"]
                    found["short"][key] += sample.value
                case "http_server_request_duration_seconds_count":
                    status = int(told["http_response_status_code"])
                    key = told["http_route"] or UNMATCHED, told["http_request_method"], status
                    found["convention"][key] += sample.value
                case "http_request_duration_seconds_count":
                    found["durations"][told["handler"]] += sample.value
    return found


def expected(mine, service):
    """What a service should have counted, under each of its names."""
    made = {"short": Counter(), "convention": Counter(), "durations": Counter()}
    for (name, handler, method, status), count in mine.items():
        if name == service:
            known = OTHER if method == "PROPFIND" else method
            made["short"][handler, known, f"{status // 100}xx"] += count
            made["convention"][handler, known, status] += count
            made["durations"][handler] += count
    return made


def handler_of(key):
    return key if isinstance(key, str) else key[0]


def test_so_many_were_asked(asked):
    *_, mine, passed_on = asked
    assert mine.total() == REQUESTS
    assert {status for *_, status in mine} >= {200, 201, 400, 401, 404, 429, 503}
    assert passed_on


@pytest.mark.parametrize("service", sorted({case.service for case in CASES}))
def test_a_service_counts_what_the_client_counts(asked, service, eventually):
    urls, before, mine, passed_on = asked
    wanted = expected(mine + passed_on, service)
    handlers = set(wanted["durations"])

    def change():
        now = counted(urls[service])
        return {
            name: Counter({
                key: value - before[service][name][key]
                for key, value in now[name].items()
                if handler_of(key) in handlers and value != before[service][name][key]
            })
            for name in now
        }  # fmt: skip

    # An answer is counted when its last byte is out, so the client may know of it a moment earlier.
    eventually(lambda: sum(change()["short"].values()) >= sum(wanted["short"].values()))
    assert change() == wanted
