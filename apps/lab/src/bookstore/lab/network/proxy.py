"""The proxy itself. Toxics are looked up for each piece: connections that are open already suffer them too.

The kernel takes connections before we see them: a connect can be refused (`enabled` false) but not delayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from typing import TYPE_CHECKING

from bookstore.lab.load.wire import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from bookstore.lab.network.toxics import Stream, Toxic

PIECE = 16 * 1024
MOST_PIECES = 64
LINGER_ZERO = struct.pack("ii", 1, 0)


class Link:
    """One connection through a proxy: two pipes, one each way."""

    def __init__(self, proxy: Proxy, client: Pipe.End, server: Pipe.End) -> None:
        self._ends = (client, server)
        self._proxy = proxy
        self._suffers: dict[str, bool] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._pipes = (
            Pipe(self, "upstream", client[0], server[1]),
            Pipe(self, "downstream", server[0], client[1]),
        )
        self.swallowed = False

    async def run(self) -> None:
        """Pass bytes on until an end closes."""
        for toxic in self._proxy.toxics.values():
            self.meet(toxic)
        pumps = [asyncio.create_task(pipe.run()) for pipe in self._pipes]
        try:
            await asyncio.wait(pumps, return_when="FIRST_EXCEPTION")
        finally:
            for timer in self._timers:
                timer.cancel()
            await settle(*pumps)
            self.close()

    def toxics(self, stream: Stream) -> list[Toxic]:
        """Those that this connection suffers in one direction now."""
        return [t for t in self._proxy.toxics.values() if t.stream == stream and self._is_for_us(t)]

    def meet(self, toxic: Toxic) -> None:
        """A toxic is there from now on; those that end connections don't wait for bytes."""
        if toxic.ends_after is not None and self._is_for_us(toxic):

            def end() -> None:
                if self._proxy.toxics.get(toxic.name) is toxic:
                    toxic.bites += 1
                    self.close(reset=toxic.type == "reset_peer")

            self._timers.add(asyncio.get_running_loop().call_later(toxic.ends_after, end))

    def close(self, *, reset: bool = False) -> None:
        """Close both ends; with `reset` they are told so without manners."""
        for _, writer in self._ends:
            if reset:
                with contextlib.suppress(OSError, AttributeError):
                    sock: socket.socket = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
                writer.transport.abort()
            else:
                writer.close()

    def _is_for_us(self, toxic: Toxic) -> bool:
        key = f"{toxic.name} {id(toxic)}"
        if key not in self._suffers:
            self._suffers[key] = self._proxy.chance.random() < toxic.toxicity
        return self._suffers[key]


class Pipe:
    """One direction of a link: one task takes pieces in with their time of arrival, another sends them on."""

    End = tuple[asyncio.StreamReader, asyncio.StreamWriter]

    def __init__(
        self, link: Link, stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._link = link
        self._stream: Stream = stream
        self._reader = reader
        self._writer = writer
        self._pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_PIECES)
        self._chance = random.Random(7)  # noqa: S311 - repeatable is the point
        self._passed = 0

    async def run(self) -> None:
        """Pass on until the end of the stream, and hand that on as well."""
        taking = asyncio.create_task(self._take())
        try:
            while True:
                arrived, piece = await self._pieces.get()
                if not piece:
                    break
                await self._pass_on(arrived, piece)
            # The other end may have hung up first.
            with contextlib.suppress(OSError):
                self._writer.write_eof()
        finally:
            await settle(taking)

    async def _take(self) -> None:
        clock = asyncio.get_running_loop().time
        piece = b"?"
        while piece:
            try:
                piece = await self._reader.read(PIECE)
            except OSError:
                self._link.close(reset=True)
                piece = b""
            await self._pieces.put((clock(), piece))

    async def _pass_on(self, arrived: float, piece: bytes) -> None:
        loop = asyncio.get_running_loop()
        parts: list[tuple[bytes, float]] = [(piece, 0.0)]
        for toxic in self._link.toxics(self._stream):
            if toxic.type == "reset_peer":
                continue
            toxic.bites += 1
            if toxic.swallows:
                self._link.swallowed = True
                return
            if (wait := arrived + toxic.lateness(self._chance) - loop.time()) > 0:
                await asyncio.sleep(wait)
            if pause := toxic.pause(len(piece)):
                await asyncio.sleep(pause)
            if toxic.type == "limit_data":
                left = toxic.attributes.bytes - self._passed
                parts = [(piece[: max(left, 0)], 0.0)]
                if left <= len(piece):
                    await self._write(parts)
                    self._link.close()
                    return
            elif toxic.type == "slicer":
                parts = list(toxic.slices(piece, self._chance))
        await self._write(parts)

    async def _write(self, parts: list[tuple[bytes, float]]) -> None:
        for part, pause in parts:
            self._writer.write(part)
            self._passed += len(part)
            try:
                await self._writer.drain()
            except OSError:
                self._link.close(reset=True)
                return
            if pause:
                await asyncio.sleep(pause)


class Proxy:
    """Listens on one port of this machine and passes everything on to another one."""

    def __init__(self, name: str, listen: int, upstream: int) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.toxics: dict[str, Toxic] = {}
        self.chance = random.Random(7)  # noqa: S311
        self.connections = 0
        self.refused = 0
        self._links: dict[asyncio.Task[None], Link] = {}
        self._server: asyncio.Server | None = None

    @property
    def enabled(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    async def enable(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.listen)
            self.listen = int(self._server.sockets[0].getsockname()[1])

    async def disable(self) -> None:
        """Refuse connections from now on, and close those that are there."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.refused += len(self._links)
            await settle(*self._links)

    def add(self, toxic: Toxic) -> None:
        """Do this too from now on, to connections that are open as well."""
        self.toxics[toxic.name] = toxic
        for link in self._links.values():
            link.meet(toxic)

    def remove(self, name: str) -> None:
        """Stop doing that. Connections that have lost bytes are closed: nothing sensible can follow."""
        toxic = self.toxics.pop(name)
        if toxic.swallows:
            self._close_where(lambda link: link.swallowed)

    def _close_where(self, condition: Callable[[Link], bool]) -> None:
        for link in self._links.values():
            if condition(link):
                link.close(reset=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            # Who asks the proxy is to feel what he would feel there.
            Link(self, (reader, writer), (reader, writer)).close(reset=True)
            return
        link = Link(self, (reader, writer), there)
        task = asyncio.current_task()
        if task is None or self._server is None:
            link.close(reset=True)
            return
        self._links[task] = link
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await link.run()
        finally:
            self._links.pop(task, None)
            link.close()
