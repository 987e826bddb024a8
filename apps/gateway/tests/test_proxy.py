"""The gateway on a real socket, in front of raw services."""

import asyncio
import json
import re

import pytest

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
MEBI = 1 << 20


def answers(*pieces: bytes, then: str = "hang"):
    """Answers one request of each connection, then hangs, closes or resets."""

    async def script(peer) -> None:
        await peer.request()
        await peer.answer(*pieces)
        if then == "hang":
            await peer.gone()
        elif then == "reset":
            peer.reset()

    return script


# -- the way there


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
        ("server", "granian"),
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
        ("PURGE-ALL", b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n", 405, "0"),
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
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in reply
        assert b"the rest of the body did not come in time" in reply
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


# -- when a service fails


async def test_a_service_that_refuses(gateway):
    async with gateway(gone=["books"]) as front:
        reply = await front.ask("POST", "/v1/books/1?x=1", "X-Request-ID: r-1", body=b"{}")
    assert reply.status == 503
    assert reply.header("retry-after") == "1"
    problem = reply.problem
    assert problem.pop("trace_id")
    assert problem == {
        "type": "urn:bookstore:problem:service-unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the books service can't be reached",
        "instance": "/v1/books/1",
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"not HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\na\0: b\r\n\r\n"]
)
@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_service_that_breaks_off_before_its_answer(gateway, sent, then):
    async with gateway(answers(sent, then=then)) as front:
        reply = await front.ask("POST", "/v1/books", body=b"{}")
        assert len(front.books.heads) == 1
    assert (reply.status, reply.problem["detail"]) == (502, "the books service broke off")


async def test_a_service_that_does_not_answer(gateway):
    async with gateway(answers(), timeout={"attempt": 0.05, "total": 0.05}) as front:
        reply = await front.ask("GET", "/v1/books")
        await front.books.lets_go()
    assert (reply.status, reply.problem["detail"]) == (504, "the books service did not answer in time")


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n",
        CHUNKED + b"4\r\nhalf\r\nzz\r\n",
    ],
    ids=["length", "chunked", "nonsense"],
)
async def test_a_service_that_dies_in_mid_body_never_looks_like_a_clean_end(gateway, sent, then):
    async with gateway(answers(sent, then=then)) as front:
        reply = await front.ask("GET", "/v1/books")
        assert (await front.ask("GET", "/health/live")).status == 200
    assert not reply.raw or reply.status in (200, 502)
    if reply.status == 200:
        announced = int(reply.header("content-length") or 0)
        assert len(reply.body) < announced if announced else not reply.body.endswith(b"0\r\n\r\n")


async def test_a_body_that_stands_still_is_cut_off(gateway):
    async with gateway(answers(CHUNKED + b"4\r\nhalf\r\n"), timeout={"idle": 0.05}) as front:
        reply = await front.ask("GET", "/v1/books")
        await front.books.lets_go()
    assert reply.status == 200
    assert not reply.body.endswith(b"0\r\n\r\n")


# -- when the client goes


@pytest.mark.parametrize("sent", [b"", CHUNKED + b"4\r\nhalf\r\n"], ids=["before the answer", "in mid-body"])
async def test_a_client_that_leaves_lets_the_service_go(gateway, sent):
    async with gateway(answers(sent), timeout={"attempt": 30.0, "total": 30.0}) as front:
        reader, writer = await front.connect()
        writer.write(b"GET /v1/books HTTP/1.1\r\nHost: x\r\n\r\n")
        await front.books.heard.wait()
        if sent:
            await reader.readuntil(b"half")
        writer.transport.abort()
        await front.books.lets_go()
        assert (await front.ask("GET", "/health/live")).status == 200


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_a_client_that_leaves_in_its_upload_lets_the_service_go(gateway, framing):
    rest = []

    async def script(peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer._service.heard.set()
        rest.append(await peer.gone())

    async with gateway(script) as front:
        _, writer = await front.connect()
        writer.write(b"POST /v1/books HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n3\r\none\r\n")
        await front.books.heard.wait()
        writer.transport.abort()
        await front.books.lets_go()
    assert not rest[0].endswith(b"0\r\n\r\n")


# -- what is refused


SMUGGLED = b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
BOTH_FRAMINGS = (
    b"POST /v1/books HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
)


async def test_a_request_framed_twice_is_one_request_at_most(gateway):
    async with gateway() as front:
        reply = await front.send(BOTH_FRAMINGS + SMUGGLED)
        heads = front.books.heads
    assert reply.status in (200, 400)
    assert reply.raw.count(b"HTTP/1.1 ") == 1
    assert len(heads) <= 1
    assert not any(b"content-length" in head for head in heads)


TWO_READINGS = [
    b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    b"Transfer-Encoding : chunked\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding: chunked, identity\r\n\r\n" + SMUGGLED,
    b"X-A: a\0b\r\n\r\n",
    b"X-A: a\rb\r\n\r\n",
    b"X-A: a\r\n b\r\n\r\n",
    b"X A: b\r\n\r\n",
    b"Host: y\r\nConnection: close\r\n\r\n",
]


async def test_headers_that_two_readers_could_read_differently(gateway):
    async with gateway() as front:
        for headers in TWO_READINGS:
            reply = await front.send(b"POST /v1/books HTTP/1.1\r\nHost: x\r\n" + headers)
            assert (headers, reply.status) == (headers, 400)
        assert not front.books.heads


async def test_chunked_is_no_word_of_http_1_0(gateway):
    async with gateway() as front:
        reply = await front.send(
            b"POST /v1/books HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED
        )
        assert reply.status == 400
        assert not front.books.heads


BAD_PATHS = [
    "*",
    "//v1/books",
    "/v1/books/../../metrics",
    "/v1/books/%2e%2e/%2e%2e/metrics",
    "/v1/books%2f..%2f..%2fmetrics",
    "/v1/books/%00",
    "/v1/books/%C0%AE%C0%AE",
    "/v1/books\\..\\x",
    "/v1/books/%zz",
]


async def test_paths_that_two_readers_could_read_differently(gateway):
    async with gateway() as front:
        for target in BAD_PATHS:
            reply = await front.ask("OPTIONS", target)
            assert (target, reply.status) == (target, 400)
            assert reply.problem["type"] == "urn:bookstore:problem:bad-path"
        assert not front.books.heads


async def test_methods_that_are_refused(gateway):
    async with gateway() as front:
        reply = await front.ask("TRACE", "/v1/books")
        assert (reply.status, reply.problem["title"]) == (405, "Method Not Allowed")
        assert "GET" in reply.header("allow")
        assert (await front.ask("CONNECT", "books:8001")).status == 405
        assert not front.books.heads


async def test_an_absolute_target_and_a_foreign_host_lead_nowhere_else(gateway):
    async with gateway() as front:
        await front.send(
            b"GET http://169.254.169.254/v1/books HTTP/1.1\r\nHost: evil\r\nConnection: close\r\n\r\n"
        )
        assert front.books.heads[0].startswith(b"GET /v1/books HTTP/1.1\r\nhost: 127.0.0.1:")


# -- the gateway's own answers


async def test_everything_else_is_not_found(gateway):
    async with gateway() as front:
        for target in ("/v1", "/v1/bookshelf", "/v1/customersx", "/inventory/1", "/admin"):
            reply = await front.ask("GET", target)
            assert (target, reply.status) == (target, 404)
            assert reply.problem["type"] == "urn:bookstore:problem:not-found"
        assert not front.books.heads
        assert not front.orders.heads


async def test_health_tells_of_each_service(gateway):
    async with gateway(ill=["orders"]) as front:
        reply = await front.ask("GET", "/health")
        ready = await front.ask("GET", "/health/ready")
        live = await front.ask("GET", "/health/live")
        assert front.books.asked == 1
    assert (reply.status, ready.status, live.status) == (200, 200, 200)
    assert json.loads(reply.body) == {
        "status": "degraded",
        "services": {"accounts": "healthy", "books": "healthy", "orders": "unhealthy"},
    }


async def test_its_own_pages_are_its_own(gateway):
    async with gateway() as front:
        assert json.loads((await front.ask("GET", "/whoami")).body)["service"] == "gateway"
        assert (await front.ask("GET", "/docs")).status == 200
        assert not front.books.heads


async def test_proxied_requests_are_counted_by_their_route(gateway):
    async with gateway(gone=["orders"]) as front:
        await front.ask("GET", "/v1/books/1")
        await front.ask("GET", "/v1/books/2")
        await front.ask("GET", "/v2/orders/1")
        text = (await front.ask("GET", "/metrics")).body.decode()
    assert 'http_requests_total{handler="/v1/books",method="GET",status_class="2xx"} 2.0' in text
    assert 'http_requests_total{handler="/v2/orders",method="GET",status_class="5xx"} 1.0' in text
    assert 'http_requests_total{handler="/v2/books",method="GET",status_class="2xx"} 0.0' in text
