"""A target that accepts every connection and never answers."""

import asyncio
from typing import Self, cast


class BlackHole:
    """A listener on loopback, for `async with`: whatever is sent to it is dropped."""

    def __init__(self) -> None:
        self._open: set[asyncio.Transport] = set()
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        """Where it listens, while it does."""
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Silence(self._open), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for transport in self._open:
            transport.abort()


class _Silence(asyncio.Protocol):
    def __init__(self, connections: set[asyncio.Transport]) -> None:
        self._connections = connections
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._connections.discard(self._transport)
