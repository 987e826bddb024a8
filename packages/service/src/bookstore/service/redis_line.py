"""One connection to Redis for many small questions, kept by a task, and known by the server's run.

Nobody ever waits for a connection: while there is none, whoever asks is told so at once.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from bookstore.service.background import meanwhile
from bookstore.service.redis_home import Home
from bookstore.service.redis_session import RedisAway, Session
from bookstore.service.redis_url import Server

logger = logging.getLogger(__name__)

_CONNECT: Final = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
_STEADY: Final = 5.0
_HEARTBEAT: Final = 0.2


async def _nothing(_: str) -> None:
    pass


class RedisLine:
    """Keeps a session with the server that is `home`; hold it open with `kept`.

    A session begins when Redis answers in half the time that it has later, so that one at the edge doesn't
    come and go. After a failure the next try waits, longer each time.

    Args:
        home: Where Redis is.
        patience: Seconds that an answer may take.
        begins: Called with the run of the server before a session begins; if it fails, none does.
        while_away: Called after each try in vain.
    """

    def __init__(
        self,
        home: Home,
        *,
        patience: float = 0.045,
        begins: Callable[[str], Awaitable[object]] = _nothing,
        while_away: Callable[[], Awaitable[object]],
    ) -> None:
        self.session: Session | None = None
        """What to ask, or None while Redis is away."""
        self._home = home
        self._patience = patience
        self._begins = begins
        self._while_away = while_away
        self._tried = asyncio.Event()

    @asynccontextmanager
    async def kept(self) -> AsyncGenerator[None]:
        """Keep a session for as long as the block runs; it begins after the first try, come what may."""
        try:
            async with meanwhile(self._keep()):
                await self._tried.wait()
                yield
        finally:
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
                session, server = await self._connected()
            except Exception as error:  # noqa: BLE001 - away, or not to be used for a reason of our owner's
                if pause == _FIRST_PAUSE:
                    logger.warning("redis is away", extra={"cause": str(error)})
                self._tried.set()
                await self._note_absence()
            else:
                began, self.session = loop.time(), session
                self._tried.set()
                await _beating(session)
                self.session = None
                self._home.lost(server)
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

    async def _connected(self) -> tuple[Session, Server]:
        session = Session(self._patience / 2)
        server = await self._home.find()
        try:
            async with asyncio.timeout(max(_CONNECT, self._patience)):
                await self._introduce(session, server)
            await self._begins(session.run)
        except BaseException:
            session.end("no session")
            self._home.lost(server)
            raise
        session.patience = self._patience
        return session, server

    async def _introduce(self, session: Session, server: Server) -> None:
        place = self._home.place
        await session.reach(server, place.login, place.tls)
        if place.database:
            await session.ask("SELECT", place.database)
        info: bytes = await session.ask("INFO")
        lines = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
        if place.kind == "sentinel" and lines[b"role"] != b"master":
            raise RedisAway("the server is a replica")
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
