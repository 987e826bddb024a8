"""Plain requests go to their service and back without a task; nobody must be able to tell."""

import asyncio
import re

import pytest

from bookstore.gateway.errand import Errand
from bookstore.gateway.proxy import Proxy
from bookstore.gateway.upstreams import Delivery

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
LONG_WAY = "Content-Length: 0"
"""Makes a request one that the express isn't offered."""


WARM = "/v1/books/warm"
"""Whoever asks for that leaves a connection behind that can be used again."""


def doing(then):
    """Does this with each request, but those that are only there to warm."""

    async def script(peer):
        while head := await peer.request():
            if WARM.encode() in head:
                await peer.answer(OK)
            else:
                await then(peer)

    return script


def saying(*pieces):
    async def then(peer):
        for piece in pieces:
            await peer.answer(piece)
            await asyncio.sleep(0)

    return doing(then)


async def resets(peer):
    peer.reset()
    await asyncio.sleep(0)


async def hangs(peer):
    await peer.gone()
    raise ConnectionError


@pytest.fixture
def no_long_way(monkeypatch):
    """From the call of this on, whatever needs a task fails."""

    def close():
        async def refused(*_):
            raise AssertionError("this was to go without a task")

        monkeypatch.setattr(Proxy, "__call__", refused)
        monkeypatch.setattr(Delivery, "__aenter__", refused)

    return close


ANSWERS = {
    "200": OK,
    "304": b'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n',
    "404": b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nx-request-id: theirs\r\n\r\ngone",
    "500": b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\nserver: x\r\n\r\nno",
    "503 with a date": b"HTTP/1.1 503 Later\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "closing": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
    "redirect": b"HTTP/1.1 302 Found\r\nlocation: /v1/books/7\r\ncontent-length: 0\r\n\r\n",
}
REQUESTS = {
    "plain": ("GET", "/v1/books/7?x=1", []),
    "HEAD": ("HEAD", "/v1/books/7", []),
    "of another page": ("GET", "/v1/books", ["Origin: https://shop.example"]),
    "with its own ids": (
        "GET",
        "/v1/books",
        ["X-Request-ID: mine", "traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01", "baggage: scenario=s"],
    ),
    "with what stays here": (
        "GET",
        "/v1/books",
        ["X-User-Id: 1", "X-Deadline-Ms: 1", "Connection: x-a", "x-a: 1"],
    ),
    "from afar": ("GET", "/v1/books", ["X-Forwarded-For: 10.1.2.3, 10.9.9.9"]),
}
MADE_UP = re.compile(rb"(?<=[ -])[0-9a-f]{16,32}(?=-|\r|$)|(?<=x-deadline-ms: )\d+|(?<=date: ).*?(?=\r)")


def shown(raw):
    """A head without what differs from one request to the next."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = MADE_UP.sub(b"*", head).replace(b"content-length: 0\r\n", b"", 1).split(b"\r\n")
    return lines[0], sorted(line for line in lines[1:] if line.lower() != b"content-length: 0"), body


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize(("method", "target", "headers"), REQUESTS.values(), ids=REQUESTS)
async def test_both_ways_ask_and_answer_alike(gateway, method, target, headers, answer):
    if method == "HEAD":
        answer = (
            answer.partition(b"\r\n\r\n")[0].replace(b"transfer-encoding: chunked", b"x: y") + b"\r\n\r\n"
        )
    more = {"cors": {"origins": ["https://shop.example"]}, "trusted_proxies": ["10.9.0.0/16", "127.0.0.0/8"]}
    async with gateway(saying(answer), **more) as front:
        told = []
        for long_way in ([], [LONG_WAY]):
            await front.ask("GET", WARM)
            told.append(shown((await front.ask(method, target, *headers, *long_way)).raw))
        heads = [head for head in front.books.heads if head.startswith(f"{method} {target} ".encode())]
    assert told[0] == told[1]
    assert [shown(head) for head in heads] == [shown(heads[0])] * 2


async def test_a_usual_request_needs_no_task(gateway, no_long_way):
    async with gateway() as front:
        await front.ask("GET", WARM)
        no_long_way()
        for method in ("GET", "HEAD"):
            assert (await front.ask(method, "/v1/books")).status == 200


async def unavailable(peer):
    await peer.answer(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("then", [resets, unavailable, hangs], ids=["reset", "503", "too slow"])
async def test_a_target_that_fails_on_a_connection_that_is_used_again(gateway, then):
    """What was begun without a task is gone on with: the other target is asked, which counts as a retry."""
    retry = {"attempts": 2, "on": ["connect", "reset", "503", "timeout"]}
    changes = {"timeout": {"attempt": 0.3}, "retry": retry, "upstream": {"pick": "round_robin"}}
    async with gateway([doing(then), saying(OK)], **changes) as front:
        for _ in range(2):
            await front.ask("GET", WARM)
        assert (await front.ask("GET", "/v1/books")).body == b"ok"
        line = 'bookstore_retry_attempts_total{dependency="books",outcome="sent"}'
        assert await front.metric(line) == 1


async def test_an_answer_in_pieces(gateway):
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"
    async with gateway(saying(head, b"ab", b"cd")) as front:
        await front.ask("GET", WARM)
        assert (await front.ask("GET", "/v1/books")).body == b"abcd"


async def test_a_service_that_never_answers_on_a_connection_that_is_used_again(gateway):
    async with gateway(doing(hangs), timeout={"attempt": 0.1, "total": 0.1}) as front:
        await front.ask("GET", WARM)
        assert (await front.ask("GET", "/v1/books")).status == 504


async def test_a_client_that_leaves_gives_back_all_that_it_held(gateway):
    async with gateway(doing(hangs), timeout={"attempt": 30.0, "total": 30.0}) as front:
        await front.ask("GET", WARM)
        _, writer = await front.connect()
        writer.write(b"GET /v1/books HTTP/1.1\r\nHost: x\r\n\r\n")
        await front.busy(2)
        assert await front.metric('bookstore_bulkhead_in_flight{dependency="books"}') == 1
        writer.transport.abort()
        await front.books.lets_go()
        assert await front.metric('bookstore_bulkhead_in_flight{dependency="books"}') == 0
        assert (
            await front.metric(
                f'bookstore_gateway_target_in_flight{{target="{front.books.url}",upstream="books"}}'
            )
            == 0
        )
        labels = 'http_request_method="GET",http_response_status_code="499",http_route="/v1/books"'
        gone = f"http_server_request_duration_seconds_count{{{labels}}}"
        assert await front.metric(gone) == 1


async def test_requests_that_come_at_once_are_answered_in_their_order(gateway):
    async def tells(peer):
        await peer.answer(
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n" + peer._service.heads[-1].split()[1][-1:]
        )

    async with gateway(doing(tells)) as front:
        await front.ask("GET", WARM)
        asked = b"".join(b"GET /v1/books/%d HTTP/1.1\r\nHost: x\r\n\r\n" % each for each in range(1, 5))
        reply = await front.send(asked + b"GET /v1/books/5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert re.findall(rb"\r\n\r\n(\d)", reply.raw) == [b"1", b"2", b"3", b"4", b"5"]


async def test_what_is_unreadable_comes_after_the_answers_that_are_owed(gateway):
    async with gateway() as front:
        await front.ask("GET", WARM)
        reply = await front.send(b"GET /v1/books HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+)", reply.raw) == [b"200", b"400"]


async def test_a_refused_request_is_counted_once(gateway):
    limits = {"few": {"quota": 2, "per": 60.0, "key": "address"}}
    async with gateway(limits=limits, route={"limit": "few"}) as front:
        statuses = [(await front.ask("GET", "/v1/books")).status for _ in range(4)]
        assert statuses == [200, 200, 429, 429]
        for outcome in ("allowed", "refused"):
            assert (
                await front.metric(f'bookstore_limiter_decisions_total{{outcome="{outcome}",scope="few"}}')
                == 2
            )


async def test_an_open_circuit_and_a_full_service_are_told_once(gateway):
    changes = {"timeout": {"attempt": 30.0, "total": 30.0}, "upstream": {"max_in_flight": 1}}
    async with gateway(doing(hangs), **changes) as front:
        await front.ask("GET", WARM)
        _, writer = await front.connect()
        writer.write(b"GET /v1/books HTTP/1.1\r\nHost: x\r\n\r\n")
        await front.busy(2)
        reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.problem["detail"]) == (
            503,
            "the books service has as many requests as it can take",
        )
        assert await front.metric('bookstore_bulkhead_rejected_total{dependency="books"}') == 1
        writer.transport.abort()


@pytest.mark.interpreted
async def test_whatever_goes_wrong_in_a_callback_is_answered_and_gives_everything_back(gateway, monkeypatch):
    def fails(*_):
        raise ArithmeticError

    async with gateway() as front:
        await front.ask("GET", WARM)
        with monkeypatch.context() as patch:
            patch.setattr(Errand, "answer", fails)
            reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.problem["detail"]) == (500, "something went wrong here")
        assert await front.metric('bookstore_bulkhead_in_flight{dependency="books"}') == 0
        labels = 'handler="/v1/books",method="GET",status_class="5xx"'
        assert await front.metric(f"http_requests_total{{{labels}}}") == 1
        assert (await front.ask("GET", "/v1/books")).status == 200
