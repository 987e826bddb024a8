"""An upstream on a raw socket that plays a script, and how a client's call came out."""

# ruff: noqa: ARG001 - every script takes the same arguments

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from upstream.machine import MEBI


class Scene:
    """A raw upstream on a real socket: plays one script for each request and keeps what it was sent."""

    def __init__(
        self, script: Callable[["Scene", asyncio.StreamReader, asyncio.StreamWriter], Awaitable]
    ) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = asyncio.Event()
        self.heard = asyncio.Event()
        self.taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                self.heard.set()
                await self.script(self, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self.closed.set()
            writer.transport.abort()


@contextlib.asynccontextmanager
async def scene(script):
    stage = Scene(script)
    server = await asyncio.start_server(stage.serve, "127.0.0.1", 0, limit=MEBI)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", stage
    finally:
        server.close()


def plays(*pieces: bytes | float, end: str = "keep"):
    """A script: write bytes, wait seconds, then keep the connection, close it, reset it, or hang."""

    async def script(stage: Scene, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                await asyncio.sleep(piece)
        if end == "close":
            writer.close()
            raise ConnectionResetError
        if end == "reset":
            reset(writer)
            raise ConnectionResetError
        if end == "hang":
            await reader.read()
            raise ConnectionResetError

    return script


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def outcome(awaitable: Awaitable) -> str:
    try:
        result = await awaitable
    except Exception as error:  # noqa: BLE001 - the kind of error is what is asked
        return type(error).__name__
    return f"{result[0]} {bytes(result[2])[:20]!r}" if isinstance(result, tuple) else repr(result)


async def read_all(client, method: str = "GET", path: str = "/", body=None):
    async with client.stream(method, path, body=body) as (status, headers, chunks):
        return status, headers, b"".join([chunk async for chunk in chunks])


async def pieces(count: int, size: int = 65536) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * size


class FullQueue:
    """A port that neither accepts nor refuses: its queue is full."""

    def __enter__(self) -> str:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        for one in (self.listener, *self.fillers):
            one.close()
