"""One HTTP/1.1 connection: a request and its answer at a time. llhttp (httptools) finds where answers end."""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, cast

import httptools

from bookstore.service.upstream.error import Broken, TimedOut

if TYPE_CHECKING:
    from bookstore.service.upstream.head import Header

MAX_HEAD = 65_536
"""Bytes that an answer's head may take."""
HIGH_WATER, LOW_WATER = 262_144, 65_536
"""Bytes of a body that wait here unread before the socket is left alone, and until it is read again."""

_TICK = 0.001
"""Seconds by which a timer may ring early."""


class Connection:
    """Writes requests, takes answers apart. Whoever waits does so on `head`, `chunk` or `drained`.

    It is what asyncio calls a protocol.
    """

    def __init__(self, name: str, lost: Callable[["Connection"], None]) -> None:
        self._name = name
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[None] | None = None
        self._listener: Callable[[], None] | None = None
        self._drain: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings = 0.0
        self._due = inf
        self._overdue = ""
        self._error: BaseException | None = None
        self.closed = False
        self.idle_since = 0.0
        self.answers = 0
        """How many answers have come over this connection."""
        self._reset()
        self.complete = True

    def _reset(self) -> None:
        self.status = 0
        self.headers: list[Header] = []
        self.started = False
        """Whether the answer's head is whole."""
        self.complete = False
        """Whether the answer's body is whole."""
        self.heard = False
        """Whether any byte of the answer came."""
        self._came = 0
        self._head_size = 0
        self._framed = False
        self._sound = False
        self._paused = False
        self._chunks: deque[bytes] = deque()
        self._held = 0

    # -- for the caller

    def begin(self, head: bytes, *, bodiless: bool) -> None:
        """Send a request's head (or all of it); `bodiless` says that the answer has no body (HEAD)."""
        self._reset()
        self._bodiless = bodiless
        self._transport.write(head)

    def listen(self, listener: Callable[[], None], seconds: float) -> None:
        """Have this called, once, as soon as there is news: for those who are no task, and can't wait.

        That there was none for so many seconds is news as well.
        """
        self._listener = listener
        self.limit(seconds)

    def rest(self) -> None:
        """Nobody listens any more, or waits for anything."""
        self._listener = None
        self._due = inf

    def write(self, data: bytes) -> None:
        """Send more of the body."""
        self._transport.write(data)

    async def drained(self, idle: float) -> None:
        """Wait while the other side takes nothing more, for `idle` seconds at most."""
        if self._drain is None or self.closed:
            return
        timer = self._loop.call_later(idle, self._expire, "took no more of the request")
        try:
            await self._drain
        finally:
            timer.cancel()

    async def head(self) -> None:
        """Wait for the answer's head; how long is up to `limit`."""
        while not self.started:
            await self._wait()
        self.limit(None)

    async def chunk(self, idle: float) -> bytes | None:
        """The next piece of the body, None at its end."""
        while not self._chunks:
            if self.complete:
                return None
            if self._error is None:
                self.limit(idle, "sent no more of the answer")
            await self._wait()
            self.limit(None)
        chunk = self._chunks.popleft()
        self._held -= len(chunk)
        if self._paused and self._held <= LOW_WATER and not self.closed:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    def whole(self) -> bytes | None:
        """What is left of the body, if all of it is there and in one piece; else None."""
        chunks = self._chunks
        if not self.complete or self._paused or len(chunks) > 1:
            return None
        self._held = 0
        return chunks.popleft() if chunks else b""

    def limit(self, seconds: float | None, what: str = "did not answer") -> None:
        """Fail with `TimedOut` after `seconds`; None takes the limit off.

        A timer costs more than a look at the clock: one that is set already is left to ring, and then finds
        out whether there is still a reason for it.
        """
        if seconds is None:
            self._due = inf
            return
        self._due = due = self._loop.time() + seconds
        self._overdue = what
        if self._timer is None or self._rings > due:
            self._set_timer(seconds)

    def fail(self, error: BaseException) -> None:
        """Close at once; whoever waits gets `error`."""
        if self._error is None:
            self._error = error
        self.abort()
        self._wake()

    def abort(self) -> None:
        """Close at once, without waiting for what is still to be written."""
        self.limit(None)
        self._transport.abort()

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: the answer is whole, and both sides agree on where it ended."""
        return self.complete and self._sound and self._drain is None and not self._transport.is_closing()

    @property
    def ended(self) -> bool:
        """Whether the answer is whole, and no piece of it waits to be taken."""
        return self.complete and not self._chunks

    @property
    def closing(self) -> bool:
        """Whether this connection is of no more use."""
        return self._transport.is_closing()

    async def _wait(self) -> None:
        self._complain()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if not (self.complete or self._chunks):
            self._complain()

    def _complain(self) -> None:
        if self._error is not None:
            raise self._error

    def _wake(self) -> None:
        if self._listener is not None:
            listener, self._listener = self._listener, None
            listener()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings = self._due
        self._timer = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._timer = None
        left = self._due - self._loop.time()
        if left <= _TICK:
            self._expire(self._overdue)
        elif left < inf:
            self._set_timer(left)

    def _expire(self, what: str) -> None:
        self.fail(TimedOut(f"{self._name} {what} in time"))

    # -- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes came."""
        if self.complete:
            # Nobody asked: an answer to nothing must not become the answer to the next request.
            self._sound = False
            self.abort()
            return
        self.heard = True
        answered = self.answers
        if not self.started:
            self._came += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._sound = False
            if self.answers == answered:
                self.fail(Broken(f"{self._name} sent what is no HTTP answer: {error}"))
            else:
                self._wake()
            return
        if self.started:
            self._wake()
        elif self._came > MAX_HEAD:
            self.fail(Broken(f"{self._name} sent a head of more than {MAX_HEAD} bytes"))

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

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is closed, with or without an error."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        if not self.complete:
            if self.started and not self._framed and exc is None and self._error is None:
                self.complete = True  # a body without a length ends with its connection
            elif self._error is None:
                where = "in the middle of its answer" if self.heard else "before it answered"
                self._error = Broken(f"{self._name} closed the connection {where}")
        self.resume_writing()
        self._wake()
        self._lost(self)

    # -- called by the parser

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: one header, or one trailer."""
        if self.started:
            return  # trailers are of no use to anybody here
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD:
            raise httptools.HttpParserError(f"a head of more than {MAX_HEAD} bytes")
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            self._framed = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """llhttp: the head is whole."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - 1xx is no answer yet
            return
        self.status = status
        self.started = True
        if status in (204, 304):
            self._framed = True
        if self._bodiless:
            self._end(self._parser.should_keep_alive())
            # The parser would wait for the body that a HEAD's answer announces.
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        """llhttp: a piece of the body, without its framing."""
        if self.complete:
            self._sound = False
            return
        self._chunks.append(body)
        self._held += len(body)
        if self._held >= HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_begin(self) -> None:
        """llhttp: an answer begins."""
        # A second answer in one piece with the first: nobody asked for it.
        self._sound = False

    def on_message_complete(self) -> None:
        """llhttp: the body is whole."""
        if self.complete:
            return
        if not self.started:
            self.headers = []  # 1xx: the answer itself is still to come
            return
        self._end(self._parser.should_keep_alive())

    def _end(self, sound: bool) -> None:  # noqa: FBT001
        self.complete = True
        self._sound = sound
        self.answers += 1
