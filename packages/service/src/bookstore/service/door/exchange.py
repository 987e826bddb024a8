"""One request and its answer, as ASGI sees them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Any, NamedTuple, Protocol, TypeAlias

Message: TypeAlias = dict[str, Any]
App: TypeAlias = Callable[
    [dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI app, without a framework's idea of which messages there are."""

RESET = "bookstore.reset"
"""The ASGI extension that only this server has: a message of this type resets the connection."""

HIGH_WATER = 131_072
"""Bytes of a body that wait here unread before the socket is left alone."""

BODILESS = frozenset({204, 304})
"""Statuses whose answers have no body, whatever their heads say."""


class Line(Protocol):
    """The connection, as an exchange sees it."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def drained(self) -> None:
        """Wait while the other side takes nothing more."""
        ...

    def reset(self) -> None:
        """Break the connection off so that the other side is told of a reset."""
        ...

    def resume(self) -> None:
        """Read on, if the socket was left alone."""
        ...


class Exchange:
    """A request whose body may still be coming, and an answer that may have begun."""

    def __init__(self, line: Line, scope: dict[str, Any], *, keep_alive: bool, expects: bool) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        """Whether another request may follow on this connection."""
        self.arrived = False
        """Whether the request is whole."""
        self.began = False
        """Whether any of the answer was sent."""
        self.ended = False
        """Whether the answer is whole."""
        self.ends_with_the_connection = False
        """Whether only that tells the client where the answer ends."""
        self.held = 0
        """Bytes of the request's body that nobody has taken yet."""
        self._line = line
        self._expects = expects
        self._left = False
        self._chunks: deque[bytes] = deque()
        self._told_end = False
        self._waiter: asyncio.Future[None] | None = None
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._remaining: int | None = None
        self._chunked = False
        self._bodiless = False

    # -- from the connection

    def feed(self, chunk: bytes) -> None:
        """More of the request's body."""
        if not self.ended:
            self._chunks.append(chunk)
            self.held += len(chunk)
            self._wake()

    def arrive(self) -> None:
        """The request is whole."""
        self.arrived = True
        self._wake()

    def leave(self) -> None:
        """The client is gone."""
        self._left = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- ASGI

    async def receive(self) -> Message:
        """The next piece of the request; once that is whole, the news that the client has left.

        After the answer's end that is all there is to hear: who listens beside an answer stops then.
        """
        if self._expects and not self.began and not self._chunks and not self.arrived:
            self._expects = False
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self._left or self.ended or self._chunks or (self.arrived and not self._told_end)):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._left or self.ended:
            return {"type": "http.disconnect"}
        body = b"".join(self._chunks)
        self._chunks.clear()
        self.held = 0
        self._line.resume()
        self._told_end = self.arrived
        return {"type": "http.request", "body": body, "more_body": not self.arrived}

    async def send(self, message: Message) -> None:
        """Send a piece of the answer; to a client that has left, nothing."""
        if self._left or self.ended:
            return
        if message["type"] == RESET:
            self._line.reset()
        elif message["type"] == "http.response.start":
            self._head = (message["status"], [*message["headers"]])
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        head = b""
        if self._head is not None:
            status, headers = self._head
            head = self._begin(status, headers, None if more else len(body))
            self._head = None
            more = more and not self._bodiless  # an app that streams to nobody hears that it is over
        if self._remaining is not None:
            body = body[: self._remaining]
            self._remaining -= len(body)
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        if not more:
            self.ended = True
            self._wake()
            if self._remaining:
                self.keep_alive = False  # less than was announced: only closing tells where it ends
        self._line.write(head + body)
        if more:
            await self._line.drained()

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]], whole: int | None) -> bytes:
        """The answer's head; `whole` is its body's length, if all of it is there."""
        self.began = True
        opening = open_answer(status, headers)
        self.keep_alive = self.keep_alive and not opening.closes
        framing = self._framing(status, opening.length, whole)
        return b"".join((*opening.lines, framing, self._parting(), b"\r\n"))

    def _framing(self, status: int, length: int | None, whole: int | None) -> bytes:
        """Decide how the client finds the answer's end, and say what the app did not."""
        if self.scope["answer_without_body"] or status in BODILESS:
            self._remaining = 0
            self._bodiless = True
        elif length is not None:
            self._remaining = length
        elif whole is not None:
            self._remaining = whole
            return b"content-length: %d\r\n" % whole
        elif self.scope["http_version"] == "1.1":
            self._chunked = True
            return b"transfer-encoding: chunked\r\n"
        else:
            self.ends_with_the_connection = True
        return b""

    def _parting(self) -> bytes:
        """Decide whether the connection is kept, and say it."""
        self.keep_alive = self.keep_alive and self.arrived and not self.ends_with_the_connection
        if not self.keep_alive:
            return b"connection: close\r\n"
        return b"" if self.scope["http_version"] == "1.1" else b"connection: keep-alive\r\n"


class Opening(NamedTuple):
    """An answer's head, but for the lines that the server decides on."""

    lines: list[bytes]
    length: int | None
    """How long its body is, if that is said."""
    closes: bool
    """Whether the connection is to end with it."""


def open_answer(status: int, headers: Iterable[tuple[bytes, bytes]]) -> Opening:
    """What is said first, with a date."""
    lines = [_status_line(status)]
    length: int | None = None
    dated = closes = False
    for name, value in headers:
        if name == b"connection":
            closes = closes or value.lower() == b"close"
            continue
        if name == b"content-length":
            length = int(value)
        elif name == b"date":
            dated = True
        lines.append(b"%b: %b\r\n" % (name, value))
    if not dated:
        lines.append(b"date: %b\r\n" % _date(int(time())))
    return Opening(lines, length, closes)


@lru_cache
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
