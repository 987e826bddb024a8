"""What breaks off on its way: a service that fails, a client that goes."""

import pytest

from .raw import CHUNKED, answers


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
