"""A gateway as it is served, in front of two raw services that keep what they get. All on real sockets."""

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from bookstore.gateway.app import create_app
from bookstore.gateway.settings import GatewaySettings

OK = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok"


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories():
    return {"uvloop": uvloop.new_event_loop}


class Peer:
    """A raw service's end of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: "RawService"
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._service = service

    async def request(self) -> bytes:
        """The next request, with its body if its length is said or it is chunked."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self._service.heads.append(head)
        self._service.heard.set()
        body = b""
        if b"\r\ncontent-length: " in head:
            body = await self.reader.readexactly(
                int(head.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
            )
        elif b"\r\ntransfer-encoding: chunked" in head:
            body = await self.reader.readuntil(b"0\r\n\r\n")
        self._service.bodies.append(body)
        return head

    async def answer(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def gone(self) -> bytes:
        """Wait until the gateway has closed; gives what it still sent."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read()
        return b""

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[object]]


async def says_ok(peer: Peer) -> None:
    while await peer.request():
        await peer.answer(OK)


class RawService:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.heard = asyncio.Event()
        self.ended = asyncio.Event()
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["RawService"]:
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self.script(Peer(reader, writer, self))
                writer.close()
                await writer.wait_closed()
            finally:
                writer.transport.abort()
                self.ended.set()

    async def lets_go(self) -> None:
        """The gateway has closed a connection, within a second."""
        async with asyncio.timeout(1):
            await self.ended.wait()


@dataclass
class Reply:
    """What the client got, up to the end of the connection."""

    raw: bytes
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def __post_init__(self) -> None:
        head, _, self.body = self.raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        if self.raw:
            self.status = int(lines[0].split(" ")[1])
            self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def problem(self) -> dict:
        assert self.header("content-type") == "application/problem+json"
        return json.loads(self.body)


class Gateway:
    def __init__(self, port: int, books: RawService, orders: RawService, accounts: RawService) -> None:
        self.port = port
        self.books = books
        self.orders = orders
        self.accounts = accounts

    def connect(self) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        return asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, raw: bytes) -> Reply:
        """Send these bytes; take all that comes until the gateway closes the connection."""
        reader, writer = await self.connect()
        writer.write(raw)
        received = bytearray()
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65536):
                received += piece
        writer.transport.abort()
        return Reply(bytes(received))

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Reply:
        lines = [f"{method} {target} HTTP/1.1", "Host: shop.example", "Connection: close", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


def free_port() -> int:
    """A free port below those that the system hands out, where nobody meets himself by calling too early."""
    while True:
        port = random.randrange(20_000, 32_000)  # noqa: S311
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.asynccontextmanager
async def serving(
    books: Script = says_ok, orders: Script = says_ok, accounts: Script = says_ok, **settings
) -> AsyncIterator[Gateway]:
    # pytest-timeout's signal doesn't reach a uvloop that waits: what hangs has to be ended from within.
    async with asyncio.timeout(20):
        port = free_port()
        async with (
            RawService(books).running() as one,
            RawService(orders).running() as two,
            RawService(accounts).running() as three,
        ):
            urls = {
                "books_service_url": one.url,
                "orders_service_url": two.url,
                "accounts_service_url": three.url,
            }
            service = create_app(GatewaySettings(port=port, access_log=False, **{**urls, **settings}))
            async with service.running():
                server = Server(
                    service.asgi,
                    address="127.0.0.1",
                    port=port,
                    interface=Interfaces.ASGINL,
                    http=HTTPModes.http1,
                    websockets=False,
                    log_enabled=False,
                )
                running = asyncio.ensure_future(server.serve())
                await _accepts(port)
                try:
                    yield Gateway(port, one, two, three)
                finally:
                    server.stop()
                    await running


async def _accepts(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.transport.abort()
                return


@pytest.fixture
def gateway():
    """`async with gateway(books=script, **settings) as front: ...`"""
    return serving
