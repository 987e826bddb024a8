"""The lab's small server: whatever comes through the socket, it answers or hangs up, and goes on."""

import asyncio
from functools import partial

import pytest

from bookstore.lab.serving import reply, serve


async def echo(request):
    return reply(200, [request.method, request.path, request.query, request.body.decode()])


@pytest.fixture
async def port():
    server = await asyncio.start_server(partial(serve, answer=echo), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def said(port, *pieces):
    """All that comes back for these pieces, until the other end hangs up or has said it all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_requests_one_after_the_other_in_any_pieces(port):
    text = b"GET /a%20b?x=1&y= HTTP/1.1\r\nHost: x\r\n\r\nPOST /c HTTP/1.1\r\nCONTENT-LENGTH: 2\r\n\r\nhi"
    for cut in (1, 20, len(text) - 1):
        answer = await said(port, text[:cut], text[cut:])
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert b'["GET","/a b",{"x":"1"},""]' in answer
        assert answer.endswith(b'["POST","/c",{},"hi"]')


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / SPDY/3\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 66_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nOrigin: http://evil.example\r\n\r\n", b"403"),
    ],
)
async def test_what_cannot_be_read_is_refused_and_others_are_served(port, text, status):
    assert (await said(port, text)).startswith(b"HTTP/1.1 " + status)
    assert b"200 OK" in await said(port, b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize("text", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi"])
async def test_who_hangs_up_in_the_middle_gets_nothing(port, text):
    assert await said(port, text) == b""
