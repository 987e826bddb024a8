"""One connection to Redis on which all requests ask at once: each answer comes in its turn.

A pool would give each question a connection of its own. Under load those have to be opened first, just when
there is no time for it; and one command at a time on each costs ten times what it costs here.
"""

import asyncio
import math
from collections import deque
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

_CONNECT = 0.25
"""Seconds that opening the connection may take."""
_SILENCE = 1.0
"""Seconds after which a connection that owes an answer is given up."""


class Pipe:
    """Runs scripts, in the way that `bookstore.resilience.redis` asks a client for.

    Nothing is ever sent twice. A caller who leaves early leaves the answer behind, and nobody else gets it.
    """

    def __init__(self, url: str) -> None:
        self._pool = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )
        self._connection: AbstractConnection | None = None
        self._opening: asyncio.Task[AbstractConnection] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._owed: deque[tuple[float, asyncio.Future[Any]]] = deque()

    async def evalsha(self, sha: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script that Redis knows."""
        return await self._ask("EVALSHA", sha, numkeys, *keys_and_args)

    async def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any:
        """Run a script, and let Redis know it."""
        return await self._ask("EVAL", script, numkeys, *keys_and_args)

    async def aclose(self) -> None:
        """Close; whoever waits gets an error."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        await self._give_up(ConnectionError("the connection was closed"))

    async def _ask(self, *words: Any) -> Any:
        loop = asyncio.get_running_loop()
        if self._owed and loop.time() - self._owed[0][0] > _SILENCE:
            await self._give_up(ConnectionError("Redis has fallen silent"))
        connection = self._connection or await self._opened()
        answer: asyncio.Future[Any] = loop.create_future()
        # Nothing is awaited between these two, so that answers come in the order of this line.
        self._owed.append((loop.time(), answer))
        await connection.send_packed_command(connection.pack_command(*words), check_health=False)
        return await answer

    async def _opened(self) -> AbstractConnection:
        """The connection, opened by whoever asks first, for all."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._has_opened)
        return await asyncio.shield(self._opening)

    async def _open(self) -> AbstractConnection:
        connection: AbstractConnection = self._pool.make_connection()
        try:
            async with asyncio.timeout(_CONNECT):
                await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        self._reader = asyncio.create_task(self._read(connection))
        return connection

    def _has_opened(self, task: asyncio.Task[AbstractConnection]) -> None:
        self._opening = None
        if not task.cancelled():
            task.exception()  # those who still wait for it have it as well

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                said: Any
                try:
                    said = cast("Any", await connection.read_response(timeout=math.inf))
                except ResponseError as error:
                    said = error
                _, waiter = self._owed.popleft()
                if waiter.done():
                    continue  # he has left
                if isinstance(said, ResponseError):
                    waiter.set_exception(said)
                else:
                    waiter.set_result(said)
        except (RedisError, OSError, IndexError) as error:
            self._reader = None
            await self._give_up(error)

    async def _give_up(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        owed, self._owed = self._owed, deque()
        for _, waiter in owed:
            if not waiter.done():
                waiter.set_exception(ConnectionError(str(error)))
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait({reader})
        if connection is not None:
            await connection.disconnect(nowait=True)
