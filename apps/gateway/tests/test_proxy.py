"""The gateway on a real socket, in front of raw services: what passes through it."""

import asyncio
import re

import pytest

from .raw import CHUNKED, MEBI, OK

WAYS = [
    ("/v1/books/1", "books"),
    ("/v2/books?q=x", "books"),
    ("/v2/cache", "books"),
    ("/v2/orders/1", "orders"),
    ("/auth/login", "accounts"),
    ("/v1/customers/1", "accounts"),
    ("/.well-known/jwks.json", "accounts"),
]


async def test_each_path_goes_to_its_service(gateway):
    async with gateway() as front:
        for target, service in WAYS:
            reply = await front.ask("GET", target)
            assert (reply.status, reply.body) == (200, b"ok")
            assert [name for name, each in front.services.items() if each.heads] == [service]
            front.services[service].heads.clear()


async def test_what_the_service_gets(gateway):
    async with gateway() as front:
        await front.ask(
            "GET",
            "/%76%31/books/caf%c3%a9?a=1;b=2&a=%2F&&x='%zz",
            "X-A: 1",
            "x-a: 2",
            "Cookie: a=1",
            "X-Request-ID: my.id-1",
            "X-Forwarded-For: 6.6.6.6",
            "X-User-Id: admin",
            "X_User_Id: admin",
            "Connection: x-secret, x-forwarded-for, traceparent",
            "X-Secret: 1",
            "TE: trailers",
            "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__",
        )
        head = front.books.heads[0].decode("latin-1").split("\r\n")
        port = front.books.url.rpartition(":")[2]
    assert head[:9] == [
        "GET /v1/books/caf%C3%A9?a=1;b=2&a=%2F&&x='%zz HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        "x-a: 1",
        "x-a: 2",
        "cookie: a=1",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: shop.example",
        'forwarded: for=127.0.0.1;proto=http;host="shop.example"',
    ]
    assert re.fullmatch(r"x-deadline-ms: 4[89]\d\d|x-deadline-ms: 5000", head[9])
    assert head[10] == "x-request-id: my.id-1"
    assert head[11].startswith("traceparent: 00-")
    assert head[12:] == ["", ""]


async def test_what_the_client_gets(gateway):
    sent = (
        b"HTTP/1.1 201 Created\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nlocation: %b/v1/books/7\r\n"
        b"content-encoding: gzip\r\nconnection: keep-alive, x-secret\r\nx-secret: 1\r\nkeep-alive: 5\r\n"
        b"x-request-id: theirs\r\nserver: theirs\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08"
    )

    async def script(peer) -> None:
        await peer.request()
        await peer.answer(sent % front.books.url.encode())

    async with gateway(script) as front:
        reply = await front.ask("GET", "/v1/books", "X-Request-ID: mine")
    assert (reply.status, reply.body) == (201, b"\x1f\x8b\x08")
    assert [header for header in reply.headers if header[0] not in ("date", "x-trace-id")] == [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("location", "/v1/books/7"),
        ("content-encoding", "gzip"),
        ("content-length", "3"),
        ("x-request-id", "mine"),
        ("connection", "close"),
    ]


@pytest.mark.parametrize(
    ("method", "sent", "status", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", 200, "2"),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", 304, None),
        (
            "GET",
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            200,
            "0",
        ),
        ("PURGE", b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n", 405, "0"),
    ],
)
async def test_answers_without_a_body(gateway, method, sent, status, length):
    async def script(peer) -> None:
        head = await peer.request()
        assert head.startswith(method.encode() + b" ")
        await peer.answer(sent)

    async with gateway(script) as front:
        reply = await front.ask(method, "/v1/books/1")
    assert (reply.status, reply.body, reply.header("content-length")) == (status, b"", length)


async def test_connections_are_kept_on_both_sides(gateway):
    async with gateway() as front:
        reader, writer = await front.connect()
        for _ in range(3):
            writer.write(b"POST /v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(2) == b"ok"
        writer.transport.abort()
        assert front.orders.bodies == [b"{}"] * 3
        assert not front.orders.ended.is_set()


# -- bodies


async def test_a_short_body_keeps_its_length(gateway):
    async with gateway() as front:
        await front.ask("POST", "/v1/books", "Content-Type: application/json", body=b'{"title":"x"}')
        assert b"content-length: 13\r\n" in front.books.heads[0]
        assert b"content-type: application/json\r\n" in front.books.heads[0]
        assert front.books.bodies == [b'{"title":"x"}']


async def test_an_upload_streams_as_it_comes(gateway):
    first = asyncio.Event()
    taken = []

    async def script(peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        taken.append(await peer.reader.readexactly(3))
        first.set()
        taken.append(await peer.reader.readexactly(3))
        await peer.answer(OK)

    async with gateway(script) as front:
        reader, writer = await front.connect()
        writer.write(b"POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\none")
        await first.wait()
        writer.write(b"two")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()
    assert taken == [b"one", b"two"]


async def test_an_upload_without_a_length_streams_in_chunks(gateway):
    async with gateway() as front:
        raw = b"POST /v1/books HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        reply = await front.send(raw + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        assert reply.status == 200
        assert b"content-length" not in front.books.heads[0]
        body = front.books.bodies[0]
    assert body.endswith(b"0\r\n\r\n")
    assert b"one" in body
    assert b"two" in body


async def test_an_answer_streams_as_it_comes(gateway):
    seen = asyncio.Event()

    async def script(peer) -> None:
        await peer.request()
        await peer.answer(CHUNKED + b"9\r\ndata: 1\n\n\r\n")
        await seen.wait()
        await peer.answer(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    async with gateway(script) as front:
        reader, writer = await front.connect()
        writer.write(b"GET /v1/books/events HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"data: 1\n\n")
        seen.set()
        await reader.readuntil(b"data: 2\n\n")
        assert await reader.readuntil(b"0\r\n\r\n")
        writer.transport.abort()


async def test_a_slow_reader_slows_the_service(gateway):
    given = 0
    stalled = asyncio.Event()

    async def script(peer) -> None:
        nonlocal given
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (128 * MEBI))
        for _ in range(2048):
            peer.writer.write(bytes(65536))
            given += 65536
            try:
                async with asyncio.timeout(0.3):
                    await peer.writer.drain()
            except TimeoutError:
                stalled.set()
                await peer.writer.drain()

    async with gateway(script) as front:
        reader, writer = await front.connect()
        writer.write(b"GET /v1/books/export HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await stalled.wait()
        assert given < 64 * MEBI
        await reader.readuntil(b"\r\n\r\n")
        size = 0
        while piece := await reader.read(MEBI):
            size += len(piece)
        writer.transport.abort()
    assert size == 128 * MEBI


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
async def test_the_limit_by_announced_length(gateway, size, status):
    async with gateway(route={"max_body": 10}) as front:
        reply = await front.ask("POST", "/v1/books", body=b"x" * size)
        assert reply.status == status
        assert len(front.books.heads) == (1 if status == 200 else 0)
        if status == 413:
            assert reply.problem["type"] == "urn:bookstore:problem:content-too-large"


@pytest.mark.parametrize(("chunks", "status"), [([b"x" * 10], 200), ([b"x" * 5, b"x" * 6], 413)])
async def test_the_limit_is_counted_where_no_length_is_announced(gateway, chunks, status):
    leftovers = []

    async def script(peer) -> None:
        try:
            await peer.request()
            await peer.answer(OK)
        except asyncio.IncompleteReadError as error:
            leftovers.append(error.partial)

    async with gateway(script, route={"max_body": 10}) as front:
        reader, writer = await front.connect()
        writer.write(b"POST /v1/books HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n" % (len(chunks[0]), chunks[0]))
        await front.books.heard.wait()
        for chunk in chunks[1:]:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        writer.write(b"0\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 %d " % status)
        writer.transport.abort()
        await front.books.lets_go()
    assert not any(part.endswith(b"0\r\n\r\n") for part in leftovers)
    assert bool(leftovers) is (status == 413)


async def test_no_limit(gateway):
    async with gateway(route={"max_body": 0}) as front:
        assert (await front.ask("POST", "/v1/books", body=bytes(2 * MEBI))).status == 200
        assert len(front.books.bodies[0]) == 2 * MEBI


async def test_a_body_that_does_not_come(gateway):
    async with gateway(timeout={"idle": 0.05}) as front:
        reader, writer = await front.connect()
        writer.write(b"POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\none")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head
        await reader.readuntil(b"the rest of the body did not come in time")
        writer.transport.abort()
        if front.books.heads:
            await front.books.lets_go()


async def test_expect_is_answered_by_the_gateway(gateway):
    async with gateway() as front:
        reader, writer = await front.connect()
        writer.write(
            b"POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        writer.write(b"{}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.transport.abort()
        assert b"expect" not in front.books.heads[0]
