"""What the gateway answers itself: refusals of what could be read in two ways, and its own pages."""

import json

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
