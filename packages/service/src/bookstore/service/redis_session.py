"""A connection to one Redis server that many questions share: pipelined, and every answer bounded.

A command of the client library costs more processor time than a whole answer made of it, so this speaks
the protocol itself, with the library's own parser.
"""

import asyncio
from collections import deque
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import hiredis

from bookstore.service.redis_url import Login, Server

if TYPE_CHECKING:
    from collections.abc import Callable

Word: TypeAlias = "str | bytes | int"

_MOST: Final = 4096
"""Answers that may be outstanding: what comes on top is refused, not queued."""
_GRACE: Final = 0.005
_ELSEWHERE: Final = ("MOVED", "READONLY", "CLUSTERDOWN", "MASTERDOWN")
"""How a server says that what it is asked for is not, or no longer, its own."""


class RedisAway(Exception):
    """Redis is not there, not in time or not willing; what was asked may have happened, or may still."""


class Session(asyncio.Protocol):
    """A connection while it lasts. An answer that takes longer than `patience` ends it, for all who wait.

    So does one that says that the keys asked for are another server's by now.
    """

    def __init__(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self.run = ""
        """Which run of a server this is: another after each restart."""
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self.patience = patience
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._reader = hiredis.Reader(replyError=RedisAway)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def reach(self, server: Server, login: Login, tls: SSLContext | None) -> None:
        """Connect, and say who we are.

        Raises:
            OSError: if nobody is there.
            RedisAway: if it isn't willing, or no Redis.
        """
        if server.path:
            await self._loop.create_unix_connection(lambda: self, server.path)
        else:
            await self._loop.create_connection(lambda: self, server.host, server.port, ssl=tls)
        if login.password:
            name = [login.username] if login.username else []
            await self.ask("AUTH", *name, login.password)

    def ask(self, *words: Word) -> asyncio.Future[Any]:
        """Send a command; its answer comes within `patience` seconds, or a `RedisAway`.

        Raises:
            RedisAway: at once, if the connection has ended or too many answers are outstanding.
        """
        if self.ended.done() or self._transport is None:
            raise RedisAway("the connection has ended")
        if len(self._waiting) >= _MOST:
            raise RedisAway("too many answers are outstanding")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((self._loop.time(), answer))
        self._transport.write(_packed(words))
        if self._timer is None:
            self._timer = self._loop.call_later(self.patience, self._look)
        return answer

    def end(self, why: str) -> None:
        """End the connection; all who wait are told."""
        if self.ended.done():
            return
        self.ended.set_result(None)
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self._transport.abort()
        while self._waiting:
            _fail(self._waiting.popleft()[1], RedisAway(why))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast("asyncio.Transport", transport)
        if self.ended.done():
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                answer = self._waiting.popleft()[1]
                if isinstance(reply, RedisAway):
                    _fail(answer, reply)
                    if any(word in str(reply) for word in _ELSEWHERE):
                        self.end("the keys are another server's")
                        return
                elif not answer.done():
                    answer.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            self.end("that is no Redis")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.end(str(exc or "the connection was closed"))

    def _look(self, suspect: asyncio.Future[Any] | None = None) -> None:
        """Whether the oldest question is overdue.

        A loop that was busy itself finds the answer in its socket: it is looked for once more before Redis is
        blamed.
        """
        self._timer = None
        if not self._waiting:
            return
        asked, oldest = self._waiting[0]
        left = asked + self.patience - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        elif oldest is not suspect:
            self._timer = self._loop.call_later(_GRACE, self._look, oldest)
        else:
            self.end("no answer in time")


_packed = cast("Callable[[tuple[Word, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


def _fail(answer: asyncio.Future[Any], error: RedisAway) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever asked may have gone
