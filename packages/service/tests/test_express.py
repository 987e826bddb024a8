"""Requests that are answered without a task: the server's side of it."""

import asyncio
import json

import pytest

from bookstore.service.testing import soon

from .doors import answer_to, connected, echo, served

PLAIN = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Express:
    """Takes what it is offered, and answers when the test says so."""

    methods = frozenset({"GET", "HEAD", "PUT"})

    def __init__(self, app=None):
        self.offered = []
        self.left = 0
        self.lines = []
        self.came = asyncio.Event()
        self._app = app

    def take(self, request, line):
        self.offered.append(request)
        if request.path == b"/declined":
            return None
        if request.path == b"/fails":
            raise ArithmeticError
        self.lines.append(line)
        return self

    def begin(self):
        self.came.set()
        if self._app is not None:
            self.lines.pop().hand_over(self._app)

    def leave(self):
        self.left += 1
        self.came.set()

    async def next(self):
        async with asyncio.timeout(20):
            await self.came.wait()
        self.came.clear()
        return self.lines.pop() if self.lines else None


@pytest.fixture
async def express():
    return Express()


@pytest.mark.parametrize(
    "unusual",
    [
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
        b"GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"DELETE /a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /declined HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda sent: str(sent[:60]),
)
async def test_what_is_not_plain_goes_to_the_app(express, unusual):
    answer = await answer_to(
        unusual, b"GET /declined HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", express=express
    )
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert {request.path for request in express.offered} <= {b"/declined"}


async def test_a_request_that_is_taken_is_answered_later(express):
    async with served(express=express) as door, connected(door) as client:
        await client.send(PLAIN)
        line = await express.next()
        [request] = express.offered
        assert (request.method, request.path, request.query, request.keep_alive) == ("GET", b"/a", b"b", True)
        assert request.headers == [(b"host", b"x")]
        line.answer(201, [(b"x", b"y")], b"so")
        head = await client.reader.readuntil(b"\r\n\r\nso")
        assert head.startswith(b"HTTP/1.1 201 Created\r\nx: y\r\ndate: ")
        assert head.endswith(b"\r\ncontent-length: 2\r\n\r\nso")
        await client.send(LAST)
        (await express.next()).answer(200, [], b"")
        assert b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" in await client.rest()


@pytest.mark.parametrize(("status", "method"), [(204, b"GET"), (304, b"GET"), (200, b"HEAD")])
async def test_an_answer_without_a_body(express, status, method):
    async with served(express=express) as door, connected(door) as client:
        await client.send(LAST.replace(b"GET", method))
        (await express.next()).answer(status, [(b"content-length", b"7")], b"")
        head, end, body = (await client.rest()).partition(b"\r\n\r\n")
        assert (b"content-length: 7" in head, end, body) == (True, b"\r\n\r\n", b"")


async def test_those_behind_it_wait_for_their_turn(express):
    async with served(express=express) as door, connected(door) as client:
        await client.send(PLAIN + b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" + LAST)
        line = await express.next()
        assert len(express.offered) == 1
        line.answer(200, [], b"first")
        told = (await client.rest()).split(b"HTTP/1.1 200 OK")
        assert told[1].endswith(b"first")
        assert [json.loads(each.partition(b"\r\n\r\n")[2])[1] for each in told[2:]] == ["/b", "/last"]


async def test_what_has_to_wait_is_handed_over():
    async def app(scope, receive, send):
        await asyncio.sleep(0)
        await echo(scope, receive, send)

    express = Express(app)
    answer = await answer_to(PLAIN, LAST, express=express)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b'["GET", "/last", 2, ""]' in answer


async def test_a_client_that_leaves_is_told_of(express):
    async with served(express=express) as door, connected(door) as client:
        await client.send(PLAIN)
        await express.next()
        client.writer.transport.abort()
        await express.next()
        assert express.left == 1


PUT = b"PUT /put HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


async def read(door, *pieces):
    """Wait until the door holds a request with these pieces of a body, and waits for more."""
    await soon(lambda: [each._pieces for each in door.connections if each._plain] == [[*pieces]])


async def handed_over(door):
    """Wait until the door has waited for long enough, and leaves the rest to the app."""
    await soon(lambda: [each.is_idle for each in door.connections] == [False])


async def test_a_short_body_is_taken_along(express):
    async with served(express=express) as door, connected(door) as client:
        for pieces in ([b"short"], [b"", b"short"], [b"sh", b"ort"], [b"a" * 16_384]):
            whole = b"".join(pieces)
            await client.send(PUT % len(whole) + pieces[0])
            if later := pieces[1:]:
                await read(door, *filter(None, pieces[:1]))
                await client.send(*later)
            (await express.next()).answer(200, [], b"ok")
            await client.reader.readuntil(b"\r\n\r\nok")
            assert express.offered.pop().body == whole
        await client.send(LAST)
        line = await express.next()
        assert express.offered.pop().body == b""
        assert 0 <= line.since_arrival() < 20
        line.answer(200, [], b"")


CHUNKED = b"PUT /put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ((PUT % 5, b"short"), "short"),
        ((PUT % 16_385 + b"a" * 16_385,), "a" * 16_385),
        ((CHUNKED,), "short"),
        ((PUT.replace(b"/put", b"/declined") % 5 + b"short",), "short"),
    ],
    ids=["late", "long", "chunked", "declined"],
)
async def test_any_other_body_is_read_by_the_app(express, pieces, body):
    async with served(express=express) as door, connected(door) as client:
        for piece in pieces[:-1]:
            await client.send(piece)
            await handed_over(door)
        await client.send(pieces[-1])
        head = await client.reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].split()[0])
        assert json.loads(await client.reader.readexactly(length))[3] == body
        assert {request.path for request in express.offered} <= {b"/declined"}


async def test_leaving_waits_for_the_rest_of_a_body(express):
    async with served(express=express) as door, connected(door) as client:
        await client.send(PUT % 5)
        await read(door)
        leaving = asyncio.create_task(door.leave(20.0))
        await asyncio.sleep(0)
        await client.send(b"short")
        assert b'"short"]' in await client.rest()
        await leaving


async def test_an_express_that_fails_says_so():
    express = Express()
    answer = await answer_to(b"GET /fails HTTP/1.1\r\nHost: x\r\n\r\n", express=express)
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"\r\nconnection: close\r\n" in answer


async def test_leaving_waits_for_what_was_taken_and_takes_no_more(express):
    async with served(express=express) as door, connected(door) as client:
        await client.send(PLAIN)
        line = await express.next()
        leaving = asyncio.create_task(door.leave(20.0))
        await asyncio.sleep(0)
        line.answer(200, [], b"ok")
        assert b"\r\nconnection: close\r\n\r\nok" in await client.rest()
        await leaving
