"""Others on the network, as a test wants them: a real socket on loopback, served in a thread of its own."""

import asyncio
import threading
from abc import ABC, abstractmethod
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from typing import Any, NamedTuple, NoReturn

from bookstore.service.testing.wire import reset_on_close

_TURNS = 5
"""Turns of the loop within which a connection that is just being taken has its task, and can be ended."""


class Request(NamedTuple):
    """A request as it came; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def reset(writer: StreamWriter) -> NoReturn:
    """End this connection so that the other side sees a reset."""
    reset_on_close(writer)
    raise ConnectionResetError


class Loopback(ABC):
    """A server that a test opens, and whose port it may close and open again."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.open()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve one connection; it is aborted when this ends."""

    def open(self) -> None:
        """Listen, on the same port as before."""
        server: asyncio.Server = self._run(self._listen())
        self._server = server
        self.port = server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Close the port and every connection: whoever connects is refused from now on."""
        self._run(self._stop())

    def close(self) -> None:
        """End for good."""
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=1024)

    async def _stop(self) -> None:
        if self._server is not None:
            # asyncio leaks a connection that it is just taking when its server closes: no more from here on.
            for listening in self._server.sockets:
                self._loop.remove_reader(listening.fileno())
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._server.close()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # an aborted transport closes its socket in the next turn

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        # Our own task: the one that asyncio makes for a coroutine function complains when it is cancelled.
        task = self._loop.create_task(self.serve(reader, writer))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            writer.transport.abort()
            error = None if task.cancelled() else task.exception()
            if error and not isinstance(error, (ConnectionError, asyncio.IncompleteReadError)):
                self._loop.call_exception_handler({"message": "a peer failed", "exception": error})

        task.add_done_callback(ended)


class Peer(Loopback):
    """A server of requests, one after the other on each connection."""

    @abstractmethod
    async def respond(self, request: Request, writer: StreamWriter) -> None:
        """Answer one request, or don't."""

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Read requests until the other side goes."""
        while True:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, target, _ = first.split(" ")
            await self.respond(Request(method, target, headers, body), writer)
