"""A stand-in for the supplier, for a demo that needs nothing but itself: three paths on loopback."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

_REASONS: Final = {200: "OK", 500: "Internal Server Error"}


@asynccontextmanager
async def standing_in() -> AsyncGenerator[str]:
    """Serve `/get`, `/delay/N` and `/status/N` for as long as the block lasts; gives the address."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _answer(head.split(b" ")[1].decode()))
                await writer.drain()
    finally:
        writer.transport.abort()


async def _answer(path: str) -> bytes:
    _, kind, *rest = path.split("/")
    if kind == "delay":
        await asyncio.sleep(float(rest[0]))
    status = int(rest[0]) if kind == "status" else 200
    return f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Length: 2\r\n\r\nok".encode()
