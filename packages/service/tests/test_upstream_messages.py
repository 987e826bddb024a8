"""The client against a raw upstream: what goes out, and what comes back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bookstore.service.upstream import Upstream

from .stage import OK, Peer, Stage, always, both_loops, once, pieces


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"content-length: 5\r\n\r\nhello", b"hello"),
        (b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\ntrailer: t\r\n\r\n", b"hello"),
        (b"\r\nhello", b"hello"),
        (b"content-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x8b\x08", b"\x1f\x8b\x08"),
        (b"content-length: 0\r\n\r\n", b""),
    ],
    ids=["length", "chunked", "until it closes", "gzip is left alone", "empty"],
)
@both_loops
async def test_a_whole_answer(sent, body):
    async with once(b"HTTP/1.1 201 Created\r\nLocation: /x\r\n" + sent, then="close").client() as client:
        answer = await client.request("POST", "/", body=b"{}")
    assert (answer.status, answer.body, answer.header(b"location")) == (201, body, b"/x")
    assert answer.header(b"trailer") is None


@both_loops
async def test_answer_headers_stay_as_they_are():
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Name: \xe9\r\nX-Empty:\r\n"
    async with always(head + b"Content-Length: 0\r\n\r\n").client() as client:
        answer = await client.request("GET", "/")
    assert answer.headers == [
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-name", b"\xe9"),
        (b"x-empty", b""),
        (b"content-length", b"0"),
    ]


@pytest.mark.parametrize(
    ("method", "sent", "status"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", 200),
        ("HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", 200),
        ("DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n", 304),
        ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK, 200),
        ("GET", b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n", 302),
    ],
)
@both_loops
async def test_answers_without_a_body_leave_the_connection_usable(method, sent, status):
    stage = always(sent)
    async with stage.client() as client:
        first, second = [await client.request(method, "/") for _ in range(2)]
    assert first == second
    assert (first.status, first.body) == (status, b"ok" if b"ok" in sent else b"")
    assert first.header(b"link") is None
    assert len(stage.peers) == 1


@both_loops
async def test_a_stream_gives_each_piece_as_it_comes():
    go_on = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        await peer.answer(b"3\r\ntwo\r\n0\r\n\r\n")

    async with Stage(script).client() as client, client.stream("GET", "/events") as answer:
        seen = []
        async for chunk in answer:
            seen.append(chunk)
            assert answer.ended == (chunk == b"two")
            go_on.set()
    assert seen == [b"one", b"two"]


# -- what goes out


@both_loops
async def test_a_request_goes_out_byte_for_byte():
    stage = always(OK)
    target = b"/b//c/../d/%2e%2e/%2F;p?a=1;b=2&a=%2f&&x='y'|{}^`[\\]\xe9"
    async with stage.client(context=lambda: [(b"x-request-id", b"r-1")]) as client:
        port = stage_port(client)
        await client.request("GET", target, headers=[(b"X-A", b"1"), (b"x-a", b"\xe9"), (b"x-empty", b"")])
    assert stage.heads[0] == (
        b"GET "
        + target
        + b" HTTP/1.1\r\nhost: 127.0.0.1:"
        + port
        + b"\r\nX-A: 1\r\nx-a: \xe9\r\nx-empty: \r\n"
        b"x-request-id: r-1\r\n\r\n"
    )


def stage_port(client: Upstream) -> bytes:
    return client._host.rpartition(b":")[2]


@pytest.mark.parametrize(
    ("body", "length", "framing", "sent"),
    [
        (b"hello", None, b"content-length: 5", b"hello"),
        (b"", None, b"content-length: 0", b""),
        (None, None, b"content-length: 0", b""),
        (lambda: pieces(b"hel", b"", b"lo"), 5, b"content-length: 5", b"hello"),
        (
            lambda: pieces(b"hel", b"", b"lo"),
            None,
            b"transfer-encoding: chunked",
            b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        ),
        (pieces, 0, b"content-length: 0", b""),
    ],
)
@both_loops
async def test_the_body_is_framed_by_the_client(body, length, framing, sent):
    bodies = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            await peer.request()
            bodies.append(await peer.reader.readexactly(len(sent)))
            await peer.answer(OK)

    stage = Stage(script)
    async with stage.client() as client:
        for _ in range(2):
            content = body() if callable(body) else body
            assert (await client.request("POST", "/", body=content, length=length)).status == 200
    assert [framing in head for head in stage.heads] == [True, True]
    assert bodies == [sent, sent]
    assert len(stage.peers) == 1


@pytest.mark.parametrize(
    ("method", "target", "header"),
    [
        ("GET", "/", (b"x", b"1\r\nx-b: 2")),
        ("GET", "/", (b"x", b"1\n")),
        ("GET", "/", (b"x", b"1\r")),
        ("GET", "/", (b"x", b"1\0")),
        ("GET", "/", (b"x\r\ny", b"1")),
        ("GET", "/", (b"x y", b"1")),
        ("GET", "/", (b"x:", b"1")),
        ("GET", "/", (b"", b"1")),
        ("GET", "/", (b"Host", b"evil")),
        ("GET", "/", (b"Connection", b"close")),
        ("GET", "/", (b"content-Length", b"4")),
        ("GET", "/", (b"Transfer-Encoding", b"chunked")),
        ("GET", "/a b", (b"x", b"1")),
        ("GET", "/a\r\nx: y", (b"x", b"1")),
        ("GET", "http://evil/", (b"x", b"1")),
        ("GET", "", (b"x", b"1")),
        ("GET /x HTTP/1.1\r\n", "/", (b"x", b"1")),
        ("", "/", (b"x", b"1")),
    ],
)
@both_loops
async def test_nothing_goes_out_that_could_be_read_as_two_requests(method, target, header):
    stage = always(OK)
    async with stage.client() as client:
        with pytest.raises(ValueError):
            await client.request(method, target, headers=[header])
    assert stage.peers == []


@pytest.mark.parametrize(
    "base",
    ["", "books", "ftp://h", "http://", "http://h/path", "http://u:p@h", "http://h?x=1", "http://bücher:80"],
)
def test_a_base_url_is_checked(base):
    with pytest.raises(ValueError):
        Upstream(base)


@pytest.mark.parametrize(("length", "chunks"), [(5, [b"hel"]), (5, [b"hel", b"lo!"])])
@both_loops
async def test_a_body_that_belies_its_length_is_never_sent_as_whole(length, chunks):
    async def script(peer: Peer) -> None:
        await peer.request()
        got.append(await peer.gone())

    got: list[bytes] = []
    stage = Stage(script)
    async with stage.client() as client:
        with pytest.raises(ValueError, match="than the announced 5 bytes"):
            await client.request("POST", "/", body=pieces(*chunks), length=length)
        await stage.ended.wait()
    assert len(got[0]) < length


@both_loops
async def test_a_body_that_fails_aborts_the_request():
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("the caller's own trouble")

    async def script(peer: Peer) -> None:
        await peer.request()
        got.append(await peer.gone())

    got: list[bytes] = []
    stage = Stage(script)
    async with stage.client() as client:
        with pytest.raises(LookupError, match="own trouble"):
            await client.request("POST", "/", body=body())
        await stage.ended.wait()
    assert b"0\r\n\r\n" not in got[0]
