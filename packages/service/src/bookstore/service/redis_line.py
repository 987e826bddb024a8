"""One connection to Redis for many small questions: pipelined, bounded, and known by the server's run.

A command of the client library costs more processor time than a whole answer made of it, so this speaks
the protocol itself, with the library's own parser. Nobody ever waits for a connection: one task keeps it, and
while there is none, whoever asks is told so at once.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import hiredis
from redis.connection import parse_url  # pyright: ignore[reportUnknownVariableType]

logger = logging.getLogger(__name__)

Word: TypeAlias = "str | bytes | int"

_MOST = 4096
"""Answers that may be outstanding: what comes on top is refused, not queued."""
_GRACE = 0.005
_CONNECT = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_STEADY = 5.0
_HEARTBEAT = 0.2


class RedisAway(Exception):
    """Redis is not there, not in time or not willing; what was asked may have happened, or may still."""


class Session(asyncio.Protocol):
    """A connection while it lasts. An answer that takes longer than `patience` ends it, for all who wait."""

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

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                answer = self._waiting.popleft()[1]
                if isinstance(reply, RedisAway):
                    _fail(answer, reply)
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


class RedisLine:
    """Keeps a session with the Redis at `url`; hold it open with `kept`.

    A session begins when Redis answers in half the time that it has later, so that one at the edge doesn't
    come and go. After a failure the next try waits, longer each time.

    Args:
        url: Where Redis is.
        patience: Seconds that an answer may take.
        while_away: Called after each try in vain.
    """

    def __init__(
        self, url: str, *, patience: float = 0.045, while_away: Callable[[], Awaitable[object]]
    ) -> None:
        self.session: Session | None = None
        """What to ask, or None while Redis is away."""
        self._where: dict[str, Any] = dict(cast("dict[str, Any]", parse_url(url)))
        self._patience = patience
        self._while_away = while_away
        self._tried = asyncio.Event()

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Keep a session for as long as the block runs; it begins after the first try, come what may."""
        keeper = asyncio.create_task(self._keep())
        try:
            await self._tried.wait()
            yield
        finally:
            keeper.cancel()
            await asyncio.wait({keeper})
            if self.session:
                self.session.end("closing")

    async def check(self) -> None:
        """For health: return if Redis answers.

        Raises:
            RedisAway: if it doesn't.
        """
        if self.session is None:
            raise RedisAway("no connection")
        await self.session.ask("PING")

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            try:
                session = await self._connected()
            except (OSError, TimeoutError, RedisAway) as error:
                if pause == _FIRST_PAUSE:
                    logger.warning("redis is away", extra={"cause": str(error)})
                self._tried.set()
                await self._note_absence()
            else:
                began, self.session = loop.time(), session
                self._tried.set()
                await _beating(session)
                self.session = None
                if loop.time() - began > _STEADY:
                    # It may have been one lost connection: try again at once.
                    pause = _FIRST_PAUSE
                    continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _note_absence(self) -> None:
        try:
            await self._while_away()
        except Exception as error:  # noqa: BLE001 - the keeper must outlive whatever it tells
            logger.warning("the absence of redis could not be noted", extra={"cause": str(error)})

    async def _connected(self) -> Session:
        session = Session(self._patience / 2)
        try:
            async with asyncio.timeout(_CONNECT):
                await self._reach(session)
                await self._introduce(session)
        except BaseException:
            session.end("no session")
            raise
        session.patience = self._patience
        return session

    async def _reach(self, session: Session) -> None:
        loop, where = asyncio.get_running_loop(), self._where
        if "path" in where:
            await loop.create_unix_connection(lambda: session, where["path"])
            return
        secure = ssl.create_default_context() if "connection_class" in where else None
        await loop.create_connection(
            lambda: session, where.get("host", "localhost"), where.get("port", 6379), ssl=secure
        )

    async def _introduce(self, session: Session) -> None:
        where = self._where
        if "password" in where:
            name = [where["username"]] if "username" in where else []
            await session.ask("AUTH", *name, where["password"])
        if where.get("db"):
            await session.ask("SELECT", where["db"])
        info: bytes = await session.ask("INFO", "server")
        lines = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
        session.run = lines[b"run_id"].decode()[:12]


async def _beating(session: Session) -> None:
    """Until the session ends: ask now and then, so that an end is noticed before it is in the way."""
    while not session.ended.done():
        await asyncio.wait({session.ended}, timeout=_HEARTBEAT)
        try:
            await session.ask("PING")
        except RedisAway as error:
            # Redis may refuse a command and be well all the same; a lost connection has ended the session.
            logger.debug("no heartbeat", extra={"cause": str(error)})


_packed = cast("Callable[[tuple[Word, ...]], bytes]", hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


def _fail(answer: asyncio.Future[Any], error: RedisAway) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever asked may have gone
