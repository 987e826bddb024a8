"""One HTTP/1.1 connection: the reader finds requests in its bytes, ASGI or the express answers them."""

import asyncio
import logging
import socket
import struct
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import httptools

from bookstore.service.door.arrival import ARRIVED, since_arrival
from bookstore.service.door.exchange import BODILESS, HIGH_WATER, RESET, App, Exchange, open_answer
from bookstore.service.door.express import MOST, WITHOUT_BODY, Passenger
from bookstore.service.door.reader import MAX_HEAD, Head, Reader
from bookstore.service.door.refusal import TOO_LONG, TOO_SLOW, Refusal, failed, unreadable
from bookstore.service.door.request import Request, scope_of

if TYPE_CHECKING:
    from bookstore.service.door.house import House

logger = logging.getLogger(__name__)

MAX_SPARE = 16_777_216
"""Bytes of a refused body that are read and dropped, so that the answer isn't lost with them: more than any
route takes. How long that may last is up to the door's rounds.
"""
STALLED = 60.0
"""Seconds for which a client may take nothing of an answer."""

_NO_LINGER = struct.pack("ii", 1, 0)

carrying: ContextVar["Connection | None"] = ContextVar("carrying", default=None)
"""The connection whose request is being answered."""


class Connection:
    """What asyncio calls a protocol: takes one request after the other; those that come too early wait."""

    def __init__(self, house: "House") -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(self)
        self._transport: asyncio.Transport
        self._socket: socket.socket | None = None
        self._server: Any = None
        self._drain: asyncio.Future[None] | None = None
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._incoming: Exchange | None = None
        self._plain: Request | None = None
        """The request that is offered to the express, or was taken by it."""
        self._pieces: list[bytes] = []
        """Its body, as far as it has come."""
        self._is_whole = True
        """Whether that is all of it."""
        self._passenger: Passenger | None = None
        self._task: asyncio.Task[None] | None = None
        self._refusal: Refusal | None = None
        """What is said after the answers that are owed: the bytes behind those requests are none."""
        self._last = False
        """Whether to close after the answer that is under way."""
        self._paused = False
        self._head_size = 0
        self._spare = 0
        self._since = self._loop.time()
        """When it began to wait for a request, or was last seen to bring an answer forward."""
        self._unsent = 0

    # -- from the door

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        return self._current is None and self._passenger is None

    def cut(self) -> None:
        """Close at once; only whoever asked for it is answered first."""
        if carrying.get() is self:
            self.close_after_answer()
        else:
            self._transport.abort()

    def close_after_answer(self) -> None:
        """Finish what is under way, and take nothing new."""
        self._give_up_waiting()
        self._last = True
        self._waiting.clear()
        if self.is_idle:
            self._transport.close()
        elif self._current is not None and not self._current.began:
            self._current.keep_alive = False

    def look(self, now: float, patience: float) -> None:
        """End it if it holds a place for nothing: it sends no request, or takes no answer."""
        self._give_up_waiting()
        if self.is_idle:
            if now - self._since > patience and not self._transport.is_closing():
                if self._head_size:
                    self._say(TOO_SLOW)
                self._transport.close()
        elif self._drain is None or self._transport.get_write_buffer_size() != self._unsent:
            self._since = now
            self._unsent = self._transport.get_write_buffer_size()
        elif now - self._since > STALLED:
            self._transport.abort()

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
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()

    def since_arrival(self) -> float:
        """Seconds since the last bytes of the other side reached this machine."""
        return since_arrival(self._socket)

    def resume(self) -> None:
        """Read on, unless requests are waiting."""
        if self._paused and not self._waiting and self._refusal is None and not self._transport.is_closing():
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
        self._socket = transport.get_extra_info("socket")
        self._house.connections.add(self)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if self._house.is_open and peer and own:
            self._reader.client, self._server = peer[:2], own[:2]
        else:
            self._transport.abort()  # accepted as the door was shut, or gone already

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is closed."""
        del exc
        self._house.forget(self)
        self._waiting.clear()
        if self._passenger is not None:
            passenger, self._passenger = self._passenger, None
            passenger.leave()
        if self._current is not None:
            self._current.leave()
        self.resume_writing()

    def eof_received(self) -> None:
        """asyncio: the other side says no more, and so the connection is closed."""

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
        if self._refusal is not None:
            return
        if self._incoming is None:
            self._head_size += len(data)
        try:
            self._reader.feed(data)
        except httptools.HttpParserUpgrade:
            self._last = True  # no upgrade is offered; the request itself was taken
        except httptools.HttpParserError as error:
            # Only a head that began with these bytes can be found in them.
            self._refuse(unreadable(error, data if self._head_size == len(data) else b""))
            return
        if self._incoming is None and self._head_size > MAX_HEAD:
            self._refuse(TOO_LONG)
        elif self._plain is not None and self.is_idle:
            if self._is_whole:
                self._offer(self._plain)
        elif self._waiting and self.is_idle:
            self._start(self._waiting.popleft())

    def _give_up_waiting(self) -> None:
        """If the rest of a body is still to come, let the app wait for it."""
        request = self._plain
        if request is None or self._is_whole:
            return
        self._plain = None
        self._is_whole = True
        self._incoming = self._exchange(request, "1.1", expects=False)
        for piece in self._pieces:
            self._incoming.feed(piece)
        self._start(self._incoming)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer those requests that were whole before; then say so, and end."""
        broken, self._incoming = self._incoming, None
        if broken is not None and broken is self._current:
            self._transport.abort()
            return
        if broken is not None and self._waiting and self._waiting[-1] is broken:
            self._waiting.pop()
        self._refusal = refusal
        self._pause()
        if self._plain is not None and self.is_idle:
            self._offer(self._plain)
        self._go_on()

    # -- called by the reader

    def on_head(self, head: Head) -> None:
        """The head of a request is whole."""
        self._head_size = 0
        is_first = self.is_idle and self._plain is None and not self._waiting
        if is_first and head.version == "1.1" and self._is_plain(head):
            self._plain = head.request
            self._pieces.clear()
            self._is_whole = False
            return
        self._incoming = self._exchange(
            head.request, head.version, expects=head.told.get(b"expect") == b"100-continue"
        )
        self._waiting.append(self._incoming)
        if not is_first:
            self._pause()

    def _is_plain(self, head: Head) -> bool:
        """Whether the express may have it: there is no body, or a small one whose length is known."""
        express = self._house.express
        if express is None or head.request.method not in express.methods:
            return False
        if not head.told or head.request.method in WITHOUT_BODY:
            return not head.told
        length = head.told.get(b"content-length", b"")
        return len(head.told) == 1 and length.isdigit() and int(length) <= MOST

    def on_body(self, body: bytes) -> None:
        """A piece of its body, without its framing."""
        if self._incoming is None:
            if not self._is_whole:
                self._pieces.append(body)
            return
        if self._incoming.ended:
            self._spare += len(body)
            if self._spare > MAX_SPARE:
                self._transport.abort()
            return
        self._incoming.feed(body)
        if self._incoming.held >= HIGH_WATER:
            self._pause()

    def on_whole(self) -> None:
        """The request is whole."""
        exchange, self._incoming = self._incoming, None
        if exchange is None:
            self._is_whole = True
            return
        exchange.arrive()
        if exchange.ended:
            self._transport.close()  # its answer didn't wait for it, and said so

    # -- answering

    def _exchange(self, request: Request, version: str, *, expects: bool) -> Exchange:
        extensions: dict[str, Any] = {RESET: {}, ARRIVED: self.since_arrival}
        scope = scope_of(request, version, server=self._server, extensions=extensions)
        return Exchange(self, scope, keep_alive=request.keep_alive and not self._last, expects=expects)

    def _offer(self, request: Request) -> None:
        express = self._house.express
        if self._pieces:
            self._plain = request = Request(*request[:-1], b"".join(self._pieces))
        try:
            self._passenger = express.take(request, self) if express is not None else None
            if self._passenger is None:
                self.hand_over(self._house.app)
            else:
                self._passenger.begin()
        except Exception:
            logger.exception("the express failed")
            self.break_off()

    def hand_over(self, app: App) -> None:
        """Have the request that the express was offered, or has taken, answered by this app after all."""
        request = cast("Request", self._plain)
        self._plain = self._passenger = None
        exchange = self._exchange(request, "1.1", expects=False)
        if request.body:
            exchange.feed(request.body)
        exchange.arrive()
        self._start(exchange, app)

    def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send all of the answer to the request that the express has taken."""
        request = cast("Request", self._plain)
        self._plain = self._passenger = None
        self._since = self._loop.time()
        opening = open_answer(status, headers)
        lines = opening.lines
        if request.method == "HEAD" or status in BODILESS:
            body = b""
        elif opening.length is None:
            lines.append(b"content-length: %d\r\n" % len(body))
        keep_alive = request.keep_alive and not self._last and not opening.closes
        lines += (b"\r\n" if keep_alive else b"connection: close\r\n\r\n", body)
        if self._transport.is_closing():
            return
        self._transport.write(b"".join(lines))
        if keep_alive:
            self._go_on()
        else:
            self._transport.close()

    def break_off(self) -> None:
        """Say that something went wrong, unless that is too late, and close."""
        request, self._plain, self._passenger = self._plain, None, None
        if request is None:
            self._transport.abort()
            return
        self._say(failed(request.path, request.headers))
        self._transport.close()

    def _start(self, exchange: Exchange, app: App | None = None) -> None:
        self._current = exchange
        self._task = self._loop.create_task(self._answer(exchange, app or self._house.app))

    async def _answer(self, exchange: Exchange, app: App) -> None:
        carrying.set(self)
        try:
            await app(exchange.scope, exchange.receive, exchange.send)
        except Exception:
            logger.exception("the app failed outside of its own handling")
        if not exchange.began and not self._transport.is_closing():
            exchange.keep_alive = False
            scope = exchange.scope
            self._say(failed(scope["raw_path"], scope["headers"]))
        self._finish(exchange)

    def _finish(self, exchange: Exchange) -> None:
        self._current = None
        self._since = self._loop.time()
        whole, exchange.ended = exchange.ended, True
        if self._transport.is_closing():
            return
        if not whole and exchange.ends_with_the_connection:
            self.reset()  # the mere end of the connection would look like that of the answer
        elif whole and not exchange.arrived:
            self._transport.write_eof()  # the rest of the request is dropped, then the connection is closed
            self.resume()
        elif not whole or not exchange.keep_alive or self._last:
            self._transport.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        if not self.is_idle:
            return
        if self._waiting:
            self._start(self._waiting.popleft())
        elif self._refusal is not None:
            self._say(self._refusal)
            self._transport.close()
        self.resume()

    def _say(self, refusal: Refusal) -> None:
        self._transport.write(self._house.refuse(refusal))
