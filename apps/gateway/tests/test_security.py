"""What a hostile client sends, on a raw socket; more of that is in test_proxy, _limits and _identity."""

import asyncio
import time

import pytest

from bookstore.gateway.client import Client, Watch
from bookstore.service.problem import Problem


async def test_headers_have_an_end(gateway):
    async with gateway() as front:
        for size, status in ((30_000, 200), (40_960, 431), (300_000, 431)):
            reply = await front.ask("GET", "/v1/books", "X-A: " + "a" * size)
            assert (size, reply.status) == (size, status)
        assert reply.problem["type"] == "urn:bookstore:problem:header-fields-too-large"
        many = [f"X-A{number}: a" for number in range(120)]
        assert (await front.ask("GET", "/v1/books", *many)).status == 431
        assert len(front.books.heads) == 1


async def test_who_asks_for_another_protocol(gateway):
    async with gateway() as front:
        upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: x"]
        reply = await front.ask("GET", "/v1/books", *upgrade)
        assert (reply.status, reply.problem["type"]) == (501, "urn:bookstore:problem:not-implemented")
        assert (await front.ask("GET", "/v1/books", "Upgrade: h2c", "HTTP2-Settings: x")).status == 200
        assert b"upgrade" not in front.books.heads[0]


IDS = [
    ("X-Request-ID: " + "a" * 5000, b"x-request-id: aaaa"),
    ("X-Request-ID: a b", b"x-request-id: a b"),
    ("traceparent: 00-zz-1-01", b"traceparent: 00-zz"),
    ("traceparent: 00-" + "0" * 32 + "-" + "1" * 16 + "-01", b"traceparent: 00-0000000000"),
    ("tracestate: " + "a=" + "b" * 600, b"tracestate"),
]


@pytest.mark.parametrize(("header", "seen"), IDS, ids=[header[:24] for header, _ in IDS])
async def test_ids_that_are_none_are_replaced(gateway, header, seen):
    async with gateway() as front:
        headers = ["traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01"] if "tracestate" in header else []
        await front.ask("GET", "/v1/books", *headers, header)
        assert seen not in front.books.heads[0]
        assert b"\r\nx-request-id: " in front.books.heads[0]
        assert b"\r\ntraceparent: 00-" in front.books.heads[0]


@pytest.mark.quiet
async def test_idle_connections_keep_nobody_from_being_served(gateway):
    async with gateway() as front:
        idle = await asyncio.gather(*(front.connect() for _ in range(500)))
        for _, writer in idle[:250]:
            writer.write(b"GET /v1/books HTTP/1.1\r\nHo")
        began = time.monotonic()
        assert (await front.ask("GET", "/health/live")).status == 200
        assert time.monotonic() - began < 1
        for _, writer in idle:
            writer.transport.abort()


async def test_who_sends_a_byte_now_and_then_is_not_waited_for(monkeypatch):
    """A body has to come with 500 bytes a second, after its first grace."""
    now = 0.0
    loop = asyncio.get_running_loop()

    async def receive():
        nonlocal now
        now += 1.0
        await asyncio.sleep(0)
        assert now < 100, "it waits for ever"
        return {"type": "http.request", "body": b"x", "more_body": True}

    class Clock:
        def __getattr__(self, name):
            return getattr(loop, name)

        def time(self):
            return now

    monkeypatch.setattr("bookstore.gateway.client.asyncio.get_running_loop", Clock)
    client = Client(receive, 1000, 0, 30.0, Watch())
    with pytest.raises(Problem) as refused:
        await client.body(keep=65_536)
    assert refused.value.status == 408
    assert now < 35


@pytest.mark.parametrize(
    "headers",
    [b"Connection: close, X-User-Id, X-Forwarded-For, traceparent", b"Connection:\r\nConnection: X-A"],
)
async def test_what_connection_names_is_gone_and_ours_is_there(gateway, headers):
    async with gateway() as front:
        await front.send(
            b"GET /v1/books HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nX-User-Id: 1\r\n"
            + headers
            + b"\r\nConnection: close\r\n\r\n"
        )
        head = front.books.heads[0]
        assert b"\r\nx-forwarded-for: 127.0.0.1\r\n" in head
        assert b"\r\ntraceparent: 00-" in head
        assert b"x-user-id" not in head
        assert b"\r\nconnection:" not in head
        assert (b"\r\nx-a: 1\r\n" in head) is (b"X-A" not in headers)


async def test_a_redirect_of_the_service_is_passed_on_and_leads_nowhere_inside(gateway):
    async def script(peer):
        while await peer.request():
            there = front.books.url.encode()
            await peer.answer(b"HTTP/1.1 302 Found\r\nlocation: %b/x\r\ncontent-length: 0\r\n\r\n" % there)

    async with gateway(script) as front:
        reply = await front.ask("GET", "/v1/books")
        assert (reply.status, reply.header("location")) == (302, "/x")
        assert len(front.books.heads) == 1
