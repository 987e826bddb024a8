"""Our own server, as tests open and ask it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from bookstore.service.door import Door
from bookstore.service.testing.serving import free_port

MEBI = 1 << 20


async def echo(scope, receive, send):
    """Tells what it was asked."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    told = json.dumps([scope["method"], scope["path"], len(scope["headers"]), body.decode()]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": told})


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> "Client":
        self.writer.write(data)
        await self.writer.drain()
        return self

    async def rest(self) -> bytes:
        """All that comes until the server ends it."""
        async with asyncio.timeout(20):
            return await self.reader.read()


@asynccontextmanager
async def served(
    app=echo, *, header_timeout: float | None = 20.0, traced=True, express=None
) -> AsyncGenerator[Door]:
    door = Door("127.0.0.1", free_port(), setting="PORT", header_timeout=header_timeout, traced=traced)
    door.app = app
    door.express = express
    await door.open()
    try:
        yield door
    finally:
        await door.leave(0.0)


@asynccontextmanager
async def connected(door: Door, limit: int = MEBI) -> AsyncGenerator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door._port, limit=limit)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


async def answer_to(*pieces: bytes, **how) -> bytes:
    async with served(**how) as door, connected(door) as client:
        for piece in pieces:
            await client.send(piece)
        return await client.rest()
