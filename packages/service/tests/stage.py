"""A raw upstream on a real socket, for tests of the client on both event loops."""

import asyncio
import contextlib
import functools
import inspect
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from bookstore.service.testing import Wire
from bookstore.service.upstream import Upstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
HALF_CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
MEBI = 1 << 20


class Peer(Wire):
    """The upstream's end of one connection, and what came in over it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.heads: list[bytes] = []

    async def request(self) -> bytes:
        """The next request's head."""
        self.heads.append(await self.reader.readuntil(b"\r\n\r\n"))
        return self.heads[-1]


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


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
