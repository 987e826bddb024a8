"""One HTTP/1.1 connection of the port that fails: llhttp (httptools) reads requests, ASGI answers them.

It never closes an idle connection and sets no timeouts: an instrument has no faults that nobody asked for.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from contextvars import ContextVar
from typing import Any, Protocol, cast
from urllib.parse import unquote

import httptools

from bookstore.supplier.exchange import HIGH_WATER, RESET, App, Exchange

logger = logging.getLogger(__name__)

MAX_HEAD = 65_536
"""Bytes that a request's head may take."""
MAX_SPARE = 1_048_576
"""Bytes of a refused body that are read and dropped, so that the answer isn't lost with them."""

_NO_LINGER = struct.pack("ii", 1, 0)

carrying: ContextVar["Connection | None"] = ContextVar("carrying", default=None)
"""The connection whose request is being answered."""


class House(Protocol):
    """The door, as its connections see it."""

    connections: "set[Connection]"
    is_open: bool

    @property
    def app(self) -> App:
        """What answers requests."""
        ...


class Connection(asyncio.Protocol):
    """Takes one request after the other; those that come too early wait."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._drain: asyncio.Future[None] | None = None
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._incoming: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._last = False
        """Whether to close after the answer that is under way."""
        self._paused = False
        self._head_size = 0
        self._spare = 0
        self._begin_head()

    def _begin_head(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects = False

    # -- from the door

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._current is None

    def cut(self) -> None:
        """Close at once; only whoever asked for it is answered first."""
        if carrying.get() is self:
            self.close_after_answer()
        else:
            self._transport.abort()

    def close_after_answer(self) -> None:
        """Finish what is under way, and take nothing new."""
        self._last = True
        self._waiting.clear()
        if self._current is None:
            self._transport.close()
        elif not self._current.began:
            self._current.keep_alive = False

    # -- from the exchange

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait while the other side takes nothing more."""
        if self._drain is not None:
            await self._drain

    def reset(self) -> None:
        """Break off: the other side's next read fails with "connection reset"."""
        sock = cast("socket.socket", self._transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def resume(self) -> None:
        """Read on, unless requests are waiting."""
        if self._paused and not self._waiting and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open."""
        self._transport = cast("asyncio.Transport", transport)
        self._house.connections.add(self)
        if not self._house.is_open:
            self._transport.abort()  # it was accepted in the moment in which the door was shut

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is closed."""
        del exc
        self._house.connections.discard(self)
        self._waiting.clear()
        if self._current is not None:
            self._current.leave()
        self.resume_writing()

    def pause_writing(self) -> None:
        """asyncio: the other side takes less than we send."""
        self._drain = self._loop.create_future()

    def resume_writing(self) -> None:
        """asyncio: it has caught up."""
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)
        self._drain = None

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self._incoming is None:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last = True  # no upgrade is offered; the request itself was taken
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request")
            return
        if self._incoming is None and self._head_size > MAX_HEAD:
            self._refuse(b"431 Request Header Fields Too Large")

    def _refuse(self, status: bytes) -> None:
        """What is no request gets a plain answer, if none is under way, and the connection ends."""
        if self._current is None and not self._transport.is_closing():
            self.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
            self._transport.close()
        else:
            self._transport.abort()

    # -- called by the parser

    def on_message_begin(self) -> None:
        """llhttp: a request begins."""
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        """llhttp: a piece of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a header, or a trailer, which nobody here needs."""
        if self._incoming is None:
            name = name.lower()
            self._expects = self._expects or (name == b"expect" and value.lower() == b"100-continue")
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp: the head is whole."""
        self._head_size = 0
        self._incoming = Exchange(
            self, self._scope(), keep_alive=self._parser.should_keep_alive(), expects=self._expects
        )
        if self._current is None:
            self._start(self._incoming)
        else:
            self._waiting.append(self._incoming)
            self._pause()

    def on_body(self, body: bytes) -> None:
        """llhttp: a piece of the body, without its framing."""
        if self._incoming is None:
            return
        if self._incoming.ended:
            self._spare += len(body)
            if self._spare > MAX_SPARE:
                self._transport.abort()
            return
        self._incoming.feed(body)
        if self._incoming.held >= HIGH_WATER:
            self._pause()

    def on_message_complete(self) -> None:
        """llhttp: the request is whole."""
        exchange, self._incoming = self._incoming, None
        if exchange is None:
            return
        exchange.arrive()
        if exchange.ended:
            self._transport.close()  # its answer didn't wait for it, and said so

    # -- answering

    def _scope(self) -> dict[str, Any]:
        target = self._target
        if not target.startswith(b"/"):
            parsed = httptools.parse_url(target) if target != b"*" else None
            path, query = (parsed.path or b"/", parsed.query or b"") if parsed else (target, b"")
        else:
            path, _, query = target.partition(b"?")
            path = path.partition(b"#")[0]
        method = self._parser.get_method().decode()
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": self._parser.get_http_version(),
            "method": method,
            "answer_without_body": method == "HEAD",
            "scheme": "http",
            "path": unquote(path.decode("latin-1")) if b"%" in path else path.decode("latin-1"),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._transport.get_extra_info("peername")[:2],
            "server": self._transport.get_extra_info("sockname")[:2],
            "extensions": {RESET: {}},
        }

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        self._task = self._loop.create_task(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        carrying.set(self)
        try:
            await self._house.app(exchange.scope, exchange.receive, exchange.send)
        except Exception:
            logger.exception("the app failed outside of its own handling")
        if not exchange.began and not self._transport.is_closing():
            exchange.keep_alive = False
            self.write(
                b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        self._current = None
        whole, exchange.ended = exchange.ended, True
        if self._transport.is_closing():
            return
        if whole and not exchange.arrived:
            self.resume()  # the rest of the request is dropped, then the connection is closed
        elif not whole or not exchange.keep_alive or self._last:
            self._transport.close()
        else:
            if self._waiting:
                self._start(self._waiting.popleft())
            self.resume()
