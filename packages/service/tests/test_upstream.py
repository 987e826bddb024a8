"""The client against a raw upstream on a real socket, on both event loops."""

import asyncio
import contextlib
import functools
import inspect
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from bookstore.service.upstream import Answer, Broken, ConnectFailed, TimedOut, Upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
HALF_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
MEBI = 1 << 20


class Peer:
    """The upstream's end of one connection, and what came in over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.heads: list[bytes] = []

    async def request(self) -> bytes:
        """The next request's head."""
        self.heads.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]

    async def answer(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def gone(self) -> bytes:
        """Wait until the client has closed; gives what it still sent."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Stage:
    """An upstream that plays a script on each connection; `peers` are the connections it had."""

    def __init__(self, script: Callable[[Peer], Awaitable[object]]) -> None:
        self.script = script
        self.peers: list[Peer] = []
        self.heard = asyncio.Event()
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self.script(peer)
                writer.close()
                await writer.wait_closed()
            finally:
                writer.transport.abort()
                self.ended.set()

    @property
    def heads(self) -> list[bytes]:
        return [head for peer in self.peers for head in peer.heads]

    @contextlib.asynccontextmanager
    async def client(self, **options) -> AsyncIterator[Upstream]:
        """The upstream on a port, and a client for it; both gone without a trace at the end."""
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self.serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            async with Upstream(address(server), **options) as client:
                yield client
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def address(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def always(*pieces: bytes) -> Stage:
    """Answers every request with the same bytes."""

    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.answer(*pieces)

    return Stage(script)


def once(*pieces: bytes, then: str = "hang") -> Stage:
    """Answers one request of each connection; then hangs, closes or resets."""

    async def script(peer: Peer) -> None:
        await peer.request()
        stage.heard.set()
        await peer.answer(*pieces)
        if then == "hang":
            await peer.gone()
        elif then == "reset":
            peer.reset()

    stage = Stage(script)
    return stage


def both_loops(test):
    @pytest.mark.parametrize(
        "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
    )
    @functools.wraps(test)
    def run(loop, **arguments):
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(test(**arguments))

    signature = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), loop])
    return run


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def whole(client: Upstream) -> bytes:
    async with client.stream("GET", "/") as answer:
        return b"".join([chunk async for chunk in answer])


# -- what comes back


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
    async with stage.client(context=lambda: [("x-request-id", "r-1")]) as client:
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


# -- how it fails


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def full_queue():
    """A port that neither accepts nor refuses."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@both_loops
async def test_refused_means_that_nothing_was_sent():
    async with Upstream(f"http://127.0.0.1:{closed_port()}") as client:
        with pytest.raises(ConnectFailed, match="refused"):
            await client.request("POST", "/", body=b"{}")


@both_loops
async def test_a_connection_that_takes_too_long_means_that_nothing_was_sent():
    with full_queue() as port:
        async with Upstream(f"http://127.0.0.1:{port}", connect_timeout=0.05) as client:
            with pytest.raises(ConnectFailed, match=r"no connection within 0\.05 s"):
                await client.request("POST", "/", body=b"{}")


@both_loops
async def test_a_call_may_bring_times_of_its_own():
    with full_queue() as port:
        async with Upstream(f"http://127.0.0.1:{port}", connect_timeout=5) as client:
            with pytest.raises(ConnectFailed, match=r"no connection within 0\.05 s"):
                await client.stream("GET", "/", connect_timeout=0.05).__aenter__()
    async with (
        once(HALF).client(idle_timeout=30) as client,
        client.stream("GET", "/", idle_timeout=0.05) as answer,
    ):
        with pytest.raises(TimedOut):
            await answer.read(1000)


@both_loops
async def test_an_unknown_name_means_that_nothing_was_sent():
    async with Upstream("http://books.invalid", connect_timeout=5, timeout=10) as client:
        with pytest.raises(ConnectFailed):
            await client.request("GET", "/")


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", HALF, HALF_CHUNKED])
@both_loops
async def test_a_connection_that_dies_after_the_request_is_broken(sent, then):
    stage = once(sent, then=then)
    async with stage.client() as client:
        with pytest.raises(Broken, match="closed the connection"):
            await client.request("POST", "/", body=b"{}")
    assert len(stage.heads) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxx\r\n",
        b"HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nx y: a\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 15_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3_000,
    ],
    ids=range(12),
)
@both_loops
async def test_what_is_no_answer_is_broken(sent):
    async with once(sent).client() as client:
        with pytest.raises(Broken):
            await client.request("GET", "/")


@both_loops
async def test_an_answer_longer_than_the_bound_is_broken():
    async with always(OK).client(max_answer=1) as client:
        with pytest.raises(Broken, match="more than 1 bytes"):
            await client.request("GET", "/")


@both_loops
async def test_no_first_byte_in_time():
    stage = once()
    async with stage.client(timeout=0.05) as client:
        with pytest.raises(TimedOut, match="did not answer in time"):
            await client.request("GET", "/")
        await stage.ended.wait()
        with pytest.raises(TimedOut):
            await client.request("GET", "/", timeout=0.01)


@both_loops
async def test_the_timeout_ends_with_the_head_and_the_idle_timeout_watches_the_body():
    async with (
        once(HALF).client(timeout=0.05, idle_timeout=0.15) as client,
        client.stream("GET", "/") as answer,
    ):
        assert await anext(answer) == b"half"
        with pytest.raises(TimedOut, match="sent no more"):
            await anext(answer)


@both_loops
async def test_for_a_streamed_request_the_timeout_begins_when_it_was_sent():
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.1)  # longer than the timeout: the caller's own slowness is not the upstream's
        yield b"two"

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.reader.readuntil(b"0\r\n\r\n")
        await peer.answer(OK)

    async with Stage(script).client(timeout=0.05) as client:
        assert (await client.request("POST", "/", body=body())).status == 200
    async with once().client(timeout=0.05) as client:
        with pytest.raises(TimedOut):
            await client.request("POST", "/", body=pieces(b"one"))


@both_loops
async def test_an_upstream_that_takes_nothing_times_out():
    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with Stage(script).client(idle_timeout=0.05) as client:
        with pytest.raises(TimedOut, match="took no more"):
            await client.request("POST", "/", body=pieces(*[bytes(MEBI)] * 64))


@both_loops
async def test_a_broken_body_gives_what_came_and_then_the_error():
    async with once(HALF, then="close").client() as client, client.stream("GET", "/") as answer:
        assert await anext(answer) == b"half"
        with pytest.raises(Broken):
            await anext(answer)


# -- the connections


@both_loops
async def test_connections_are_kept_and_used_again():
    stage = always(OK)
    async with stage.client() as client:
        for _ in range(3):
            await asyncio.gather(*(client.request("GET", "/") for _ in range(4)))
    assert len(stage.peers) <= 4
    assert len(stage.heads) == 12


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL",
        OK + b"trailing",
    ],
    ids=["close", "1.0", "an answer too many", "bytes too many"],
)
@both_loops
async def test_connections_that_must_not_be_used_again_are_not(sent):
    stage = always(sent)
    async with stage.client() as client:
        for _ in range(2):
            assert (await client.request("POST", "/", body=b"")).body == b"ok"
    assert len(stage.peers) == 2


@both_loops
async def test_an_answer_that_nobody_asked_for_is_never_taken_for_the_next():
    late = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        if len(stage.peers) == 1:
            await late.wait()
            await peer.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL")
            await peer.gone()

    stage = Stage(script)
    async with stage.client() as client:
        await client.request("GET", "/")
        late.set()
        await stage.ended.wait()  # the client has closed it
        assert (await client.request("GET", "/")).body == b"ok"


@both_loops
async def test_a_connection_closed_while_idle_is_not_used_again():
    stage = once(OK, then="close")
    async with stage.client() as client:
        for _ in range(3):
            assert (await client.request("POST", "/", body=b"{}")).status == 200
            await client_sees_close(client)


async def client_sees_close(client: Upstream) -> None:
    async with asyncio.timeout(5):
        while client._pool._connections:  # noqa: ASYNC110 - the client tells nobody when one closes
            await asyncio.sleep(0)


@both_loops
async def test_an_idle_connection_is_closed_after_its_time():
    stage = always(OK)
    async with stage.client(keep_alive=0.0) as client:
        for _ in range(2):
            await client.request("GET", "/")
    assert len(stage.peers) == 2


def dies_at_second_request() -> Stage:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        await peer.request()
        if peer is stage.peers[0]:
            peer.reset()
        else:
            await peer.answer(OK)

    stage = Stage(script)
    return stage


@both_loops
async def test_a_get_that_meets_a_dying_connection_is_asked_once_more():
    stage = dies_at_second_request()
    async with stage.client() as client:
        for _ in range(2):
            assert (await client.request("GET", "/")).status == 200
    assert len(stage.heads) == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@both_loops
async def test_what_may_have_changed_something_is_never_sent_twice(method):
    stage = dies_at_second_request()
    async with stage.client() as client:
        await client.request("GET", "/")
        with pytest.raises(Broken):
            await client.request(method, "/", body=b"{}")
    assert len(stage.heads) == 2


@both_loops
async def test_no_more_connections_than_allowed_and_waiters_come_in_order():
    finished = []

    async def call(client: Upstream, number: int) -> None:
        await client.request("GET", "/")
        finished.append(number)

    stage = always(OK)
    async with stage.client(max_connections=1) as client:
        await asyncio.gather(*(call(client, number) for number in range(10)))
    assert finished == list(range(10))
    assert len(stage.peers) == 1


@both_loops
async def test_no_free_connection_in_time_means_that_nothing_was_sent():
    stage = once()
    async with stage.client(max_connections=1) as client:
        first = asyncio.create_task(client.request("GET", "/"))
        await stage.heard.wait()
        with pytest.raises(ConnectFailed, match="all 1 connections were busy"):
            await client.request("GET", "/", timeout=0.02)
        first.cancel()
        await asyncio.wait({first})


@both_loops
async def test_places_are_not_lost_by_those_who_give_up():
    stage = always(OK)
    async with stage.client(max_connections=2) as client:
        for delay in range(30):
            calls = [asyncio.create_task(client.request("GET", "/")) for _ in range(6)]
            for _ in range(delay):
                await asyncio.sleep(0)
            for call in calls[:5]:
                call.cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert isinstance(results[5], Answer), results
        answers = await asyncio.gather(*(client.request("GET", "/") for _ in range(4)))
        assert [answer.status for answer in answers] == [200] * 4


@both_loops
async def test_places_are_not_lost_by_refused_connections():
    async with Upstream(f"http://127.0.0.1:{closed_port()}", max_connections=2) as client:
        for _ in range(3):
            calls = (client.request("GET", "/") for _ in range(5))
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(result) for result in results] == [ConnectFailed] * 5


# -- letting go


@pytest.mark.parametrize("sent", [b"", HALF], ids=["before the answer", "in mid-body"])
@both_loops
async def test_a_cancelled_call_closes_its_connection(sent):
    stage = once(sent)
    async with stage.client() as client:
        call = asyncio.create_task(whole(client))
        await stage.heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(1):
            await stage.ended.wait()


@both_loops
async def test_leaving_a_stream_early_closes_its_connection():
    stage = once(HALF)
    async with stage.client() as client:
        async with client.stream("GET", "/") as answer:
            assert await anext(answer) == b"half"
        async with asyncio.timeout(1):
            await stage.ended.wait()


@both_loops
async def test_an_answer_before_the_end_of_the_upload_stops_it():
    stopped = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            stopped.set()

    sent = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno"
    stage = once(sent)
    async with stage.client() as client:
        answer = await client.request("POST", "/", body=body())
        assert (answer.status, answer.body) == (413, b"no")
        assert stopped.is_set()
        await stage.ended.wait()


@both_loops
async def test_a_cancelled_upload_closes_its_source_and_its_connection():
    stopped = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0)
        finally:
            stopped.set()

    stage = once()
    async with stage.client() as client:
        call = asyncio.create_task(client.request("POST", "/", body=body()))
        await stage.heard.wait()
        call.cancel()
        await asyncio.wait({call})
        assert stopped.is_set()
        await stage.ended.wait()


@both_loops
async def test_closing_ends_calls_under_way_and_those_in_waiting():
    stage = once()
    async with stage.client(max_connections=1) as client:
        calls = [asyncio.create_task(client.request("GET", "/")) for _ in range(2)]
        await stage.heard.wait()
        await client.aclose()
        running, waiting = await asyncio.gather(*calls, return_exceptions=True)
        assert (type(running), type(waiting)) == (Broken, ConnectFailed)
        await client.aclose()
        with pytest.raises(RuntimeError, match="is closed"):
            await client.request("GET", "/")


# -- memory


@both_loops
async def test_a_body_that_nobody_reads_is_left_with_the_upstream():
    sent = 0
    full = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (64 * MEBI))
        for _ in range(1024):
            peer.writer.write(bytes(65536))
            sent += 65536
            try:
                async with asyncio.timeout(0.2):
                    await peer.writer.drain()
            except TimeoutError:
                full.set()
                await peer.writer.drain()

    async with Stage(script).client() as client, client.stream("GET", "/") as answer:
        await full.wait()
        assert sent < 32 * MEBI
        assert answer._connection._held < MEBI
        size = 0
        async for chunk in answer:
            size += len(chunk)
        assert size == 64 * MEBI


@both_loops
async def test_an_upload_that_nobody_takes_is_left_with_the_caller():
    given = 0
    go_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1024):
            given += 65536
            yield bytes(65536)

    async def script(peer: Peer) -> None:
        await go_on.wait()
        await peer.request()
        await peer.reader.readexactly(64 * MEBI)
        await peer.answer(OK)

    async with Stage(script).client() as client:
        call = asyncio.create_task(client.request("POST", "/", body=body(), length=64 * MEBI))
        before = -1
        while before != given:  # until the upload stands still
            before = given
            await asyncio.sleep(0.1)
        assert given < 32 * MEBI
        go_on.set()
        assert (await call).status == 200


# -- https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    )
    try:
        subprocess.run(
            [*command.split(), "-addext", "subjectAltName=DNS:localhost"],
            cwd=folder,
            check=True,
            capture_output=True,
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return folder


@both_loops
async def test_https_is_verified(certificate):
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    theirs.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    ours = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    stage = always(OK)
    server = await asyncio.start_server(stage.serve, "127.0.0.1", 0, ssl=theirs)
    base = address(server).replace("http://127.0.0.1", "https://localhost")
    async with Upstream(base, tls=ours, connect_timeout=5) as client:
        assert (await client.request("GET", "/")).body == b"ok"
    async with Upstream(base, connect_timeout=5) as client:
        with pytest.raises(ConnectFailed):
            await client.request("GET", "/")
    server.close()
    await asyncio.wait_for(stage.ended.wait(), 5)
