"""The client of one service: requests in, answers out."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bookstore.service.context import outgoing_headers
from bookstore.service.tracing import http
from bookstore.service.tracing.span import Recording
from bookstore.service.upstream.connection import Connection
from bookstore.service.upstream.error import Broken
from bookstore.service.upstream.head import Header, framing, header_lines, request_head
from bookstore.service.upstream.pool import Pool

Body = bytes | AsyncIterator[bytes] | None

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in lower case; nothing is decoded."""

    status: int
    headers: list[Header]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        return _first(self.headers, name)


class Upstream:
    """One other service, by its address.

    Args:
        base_url: `http://host:port` (or https), without a path.
        connect_timeout: Seconds for opening a connection.
        timeout: Seconds to the first byte of the answer, connecting included. For a streamed request body the
            count begins when all of it was sent.
        idle_timeout: Seconds that a body may stand still, either way.
        max_connections: How many at once; further calls wait, within their timeout.
        keep_alive: Seconds that an unused connection is kept; less than what the other side keeps it.
        max_answer: Longest body in bytes that `request` takes; `stream` has no bound and needs none.
        context: Gives the headers that every call carries (request id and trace).
        tls: For https with own certificates.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float = 0.5,
        timeout: float = 2.0,
        idle_timeout: float = 30.0,
        max_connections: int = 100,
        keep_alive: float = 15.0,
        max_answer: int = 8_388_608,
        context: Callable[[], Iterable[Header]] = outgoing_headers,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        url = urlsplit(base_url)
        plain = (
            base_url.isascii()
            and "@" not in base_url
            and not (url.path.strip("/") or url.query or url.fragment)
        )
        if url.scheme not in ("http", "https") or not url.hostname or not plain:
            raise ValueError("a base URL looks like http://host:port, without a path")
        secure = url.scheme == "https"
        self.timeout = timeout
        self.idle_timeout = idle_timeout
        self._max_answer = max_answer
        self._context = context
        self._host = url.netloc.encode()
        self._url = f"{url.scheme}://{url.netloc}"
        self._pool = Pool(
            url.hostname,
            url.port or (443 if secure else 80),
            tls=(tls or ssl.create_default_context()) if secure else None,
            size=max_connections,
            connect_timeout=connect_timeout,
            keep_alive=keep_alive,
        )

    async def request(
        self,
        method: str,
        target: str | bytes,
        *,
        headers: Iterable[Header] = (),
        body: Body = None,
        length: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - other than asyncio.timeout it ends at the first byte
    ) -> Answer:
        """Send a request and take the whole answer.

        Args:
            method: In capitals.
            target: Path and query, as they go out.
            headers: Further headers; Host and those that tell where the body ends are the client's own.
            body: Bytes, or pieces that are asked for as the other side takes them.
            length: How many bytes `body` gives, if that is known; else it goes out in chunks.
            timeout: Instead of the client's.

        Raises:
            ConnectFailed: nothing was sent.
            TimedOut: no answer in time, or it stood still.
            Broken: the connection died, or what came was no answer, or it was longer than `max_answer`.
            ValueError: method, target, headers or length can't be sent.
        """
        call = self.stream(method, target, headers=headers, body=body, length=length, timeout=timeout)
        async with call as answer:
            return Answer(answer.status, answer.headers, await answer.read(self._max_answer))

    def stream(
        self,
        method: str,
        target: str | bytes,
        *,
        headers: Iterable[Header] = (),
        lines: bytes = b"",
        body: Body = None,
        length: int | None = None,
        timeout: float | None = None,
        connect_timeout: float | None = None,
        idle_timeout: float | None = None,
        route: str | None = None,
        resends: int = 0,
    ) -> "StreamedAnswer":
        """Like `request`, for `async with`: gives the answer as soon as its head is there.

        Leaving the block before the answer's end closes the connection, so that the other side can stop.
        Each of the three times stands in for the client's own. `route` names the call in traces, where the
        path with its ids left out won't do; `resends` counts what a caller has tried before by itself.
        `lines` are further headers, which `header_lines` has made ready.
        """
        target = target.encode() if isinstance(target, str) else target
        if isinstance(body, bytes):
            length = len(body)
        frame = framing(body is not None, length, method)
        span = http.calling(method, target, self._url, route, resends)
        told = http.carrying(span, self._context()) if span else self._context()
        head = request_head(method, target, self._host, frame, lines, header_lines((*headers, *told)))
        return StreamedAnswer(
            self._pool,
            head + body if isinstance(body, bytes) else head,
            None if isinstance(body, bytes) else body,
            length,
            bodiless=method == "HEAD",
            repeatable=body is None and method in _REPEATABLE,
            timeout=self.timeout if timeout is None else timeout,
            connect_timeout=connect_timeout,
            idle_timeout=self.idle_timeout if idle_timeout is None else idle_timeout,
            span=span,
        )

    async def aclose(self) -> None:
        """Close all connections; calls under way fail."""
        await self._pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class StreamedAnswer:
    """An answer whose body comes piece by piece: `async for chunk in answer`."""

    __slots__ = (
        "_bodiless", "_body", "_connect_timeout", "_connection", "_head", "_idle", "_length", "_pool",
        "_repeatable", "_span", "_started", "_timeout", "_until", "_upload", "headers", "status",
    )  # fmt: skip

    status: int
    headers: list[Header]

    def __init__(
        self,
        pool: Pool,
        head: bytes,
        body: AsyncIterator[bytes] | None,
        length: int | None,
        *,
        bodiless: bool,
        repeatable: bool,
        timeout: float,
        connect_timeout: float | None,
        idle_timeout: float,
        span: Recording | None = None,
    ) -> None:
        self._span = span
        self._pool = pool
        self._head = head
        self._body = body
        self._length = length
        self._bodiless = bodiless
        self._repeatable = repeatable
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._idle = idle_timeout
        self._connection: Connection
        self._started: Connection | None = None
        """Where it was sent by `start`."""
        self._until = 0.0
        self._upload: asyncio.Task[None] | None = None

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower-case) name."""
        return _first(self.headers, name)

    def whole(self) -> bytes | None:
        """What is left of the body, if it is there already and in one piece: most answers are short."""
        return self._connection.whole()

    @property
    def ended(self) -> bool:
        """Whether all of the body has been given."""
        return self._connection.ended

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._connection.chunk(self._idle)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def read(self, limit: int) -> bytes:
        """All that is left of the body.

        Raises:
            Broken: when it is longer than `limit` bytes.
        """
        chunks: list[bytes] = []
        size = 0
        while (chunk := await self._connection.chunk(self._idle)) is not None:
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise Broken(f"{self._pool.name} sent an answer of more than {limit} bytes")
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def start(self, listener: Callable[[], None]) -> bool:
        """Send it now, if there is a connection; `listener` is called, once, when there is news.

        For those who are no task, and whose request has no body that still comes. What isn't over with that
        goes on with `async with`, as does what was not sent, because nothing but waiting would help.
        """
        connection = self._pool.idle()
        if connection is None:
            return False
        self._started = self._connection = connection
        self._until = asyncio.get_running_loop().time() + self._timeout
        connection.begin(self._head, bodiless=self._bodiless)
        connection.listen(listener, self._timeout)
        return True

    def take(self) -> bool:
        """After `start`: whether all of the answer has come; if so, its head is here."""
        connection = self._connection
        if not connection.complete:
            return False
        self.status, self.headers = connection.status, connection.headers
        return True

    def leave(self, *, answered: bool) -> None:
        """After `start`: it is over, be it with what `take` has found or without an answer."""
        if self._span is not None:
            if answered:
                http.answered(self._span, self.status)
            self._span.end()
        connection, self._started = self._started, None
        if connection is not None:
            connection.rest()
            self._pool.release(connection)

    async def __aenter__(self) -> Self:
        if self._span is None:
            return await self._begin()
        try:
            await self._begin()
        except BaseException as error:
            self._span.fail_with(error)
            self._span.end()
            raise
        http.answered(self._span, self.status)
        return self

    async def _begin(self) -> Self:
        loop = asyncio.get_running_loop()
        until = self._until or loop.time() + self._timeout
        connection = self._started or self._pool.idle()
        if connection is None:
            connection = await self._pool.acquire(self._timeout, self._connect_timeout)
        reused = connection.answers > 0
        try:
            await self._exchange(connection, until - loop.time())
        except Broken:
            # An idle connection can be closed by the other side in the very moment in which it is used again.
            # Asking once more on a fresh one is safe where the request changes nothing (RFC 9112, 9.3.1).
            if not (reused and self._repeatable) or connection.heard:
                raise
            self._pool.drop_idle()
            connection = await self._pool.acquire(until - loop.time(), self._connect_timeout)
            await self._exchange(connection, until - loop.time())
        self._connection = connection
        self.status, self.headers = connection.status, connection.headers
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is not None:
            if error is not None:
                self._span.fail_with(error)
            self._span.end()
        if self._upload is not None:
            await self._stop_upload(self._connection, self._upload)
        self._pool.release(self._connection)

    async def _exchange(self, connection: Connection, seconds: float) -> None:
        try:
            if connection is not self._started:
                connection.begin(self._head, bodiless=self._bodiless)
                if self._body is None:
                    connection.limit(seconds)
                else:
                    self._upload = asyncio.create_task(self._send(connection, self._body))
            await connection.head()
        except BaseException:
            connection.abort()
            if self._upload is not None:
                await self._stop_upload(connection, self._upload)
            self._pool.release(connection)
            raise

    async def _stop_upload(self, connection: Connection, upload: asyncio.Task[None]) -> None:
        """An answer can be whole before the request is; what is left of the request then stays unsent."""
        if not upload.done():
            connection.abort()
            upload.cancel()
            await asyncio.wait({upload})

    async def _send(self, connection: Connection, body: AsyncIterator[bytes]) -> None:
        try:
            await self._write(connection, body)
        except Exception as error:  # noqa: BLE001 - it goes to whoever waits for the answer
            connection.fail(error)
        else:
            if not connection.started:
                connection.limit(self._timeout)
        finally:
            if isinstance(body, AsyncGenerator):
                await body.aclose()

    async def _write(self, connection: Connection, body: AsyncIterator[bytes]) -> None:
        sent = 0
        async for chunk in body:
            if not chunk:
                continue
            sent += len(chunk)
            if self._length is None:
                connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            elif sent > self._length:
                raise ValueError(f"the body is longer than the announced {self._length} bytes")
            else:
                connection.write(chunk)
            await connection.drained(self._idle)
            if sent == self._length:
                return  # the other side may answer from here on
        if self._length is None:
            connection.write(b"0\r\n\r\n")
        elif sent < self._length:
            raise ValueError(f"the body is shorter than the announced {self._length} bytes")


def _first(headers: list[Header], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)
