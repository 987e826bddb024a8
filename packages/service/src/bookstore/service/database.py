"""A service's own PostgreSQL: a pool whose every operation ends in bounded time.

The rule that shapes this module: an operation that takes too long, or whose caller is cancelled, is never
cancelled at the server; its socket is shut.
Cancelling a query asks the server for help, and a frozen server doesn't help: psycopg then waits up to ten
seconds. A socket that is shut wakes the waiting code at once, which sees a lost connection, and the pool
puts a fresh one in its place.

Behind a pooler that gives its connections to one transaction at a time (PgBouncer's `pool_mode=transaction`)
nothing may be kept in a session: no statement is prepared, limits are the server's defaults, and what needs a
session of its own, to listen and to migrate, goes past the pooler.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, Self, TypeAlias, cast

import psycopg
from litestar import Response
from psycopg.abc import Params
from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg.rows import TupleRow, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from bookstore.service.database_limits import OPTIONS, make_default
from bookstore.service.database_lists import ADAPTERS
from bookstore.service.problem import Asked, Problem, handlers, respond
from bookstore.service.tracing import sql

logger = logging.getLogger(__name__)

Connection: TypeAlias = "psycopg.AsyncConnection[TupleRow]"

_CONNECTION: Final[dict[str, Any]] = {
    "autocommit": True,
    "context": ADAPTERS,
    "connect_timeout": 2,
    "keepalives_idle": 10,
    "tcp_user_timeout": 5000,
}
_DIRECT: Final[dict[str, Any]] = _CONNECTION | {"options": OPTIONS}
_POOLED: Final[dict[str, Any]] = _CONNECTION | {"prepare_threshold": None}
_QUIET: Final = 5.0
"""Seconds without news after which a listener makes sure that the server is still there."""


class _Severing(psycopg.AsyncConnection[TupleRow]):
    """A connection that is shut when the task that uses it is cancelled, instead of asking the server."""

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - psycopg's signature
        """What psycopg calls to cancel a running query."""
        del timeout
        _shut(self)

    async def execute(self, query: Any, *how: Any, **more: Any) -> psycopg.AsyncCursor[TupleRow]:
        """As psycopg's own; it shows in the trace of the request that asks."""
        execute = cast("Callable[..., Awaitable[psycopg.AsyncCursor[TupleRow]]]", super().execute)
        span = sql.asking(query, self.info.dbname) if isinstance(query, str) else None
        if span is None:
            return await execute(query, *how, **more)
        try:
            return await execute(query, *how, **more)
        except BaseException as error:
            sql.failed(span, error)
            raise
        finally:
            span.end()


class DatabaseUnavailable(Problem):
    """The database did not answer in time, or is away; what was asked may or may not have happened."""

    def __init__(self, cause: str, *, lost: bool = False) -> None:
        super().__init__(503, "database-unavailable", "the database is not answering")
        self.cause = cause
        self.lost = lost
        """Whether the connection turned out to be dead, as those are that a restarted server left behind."""

    def __str__(self) -> str:
        return self.cause


class Database:
    """The pool. Open it with `async with`; every call is bounded by `patience` seconds.

    Args:
        url: where the database is.
        direct_url: where it is past the pooler, if `url` leads to a pooler in transaction mode.
        size: connections at most.
        patience: seconds for one use of a connection.
        acquire: seconds to get one.
    """

    def __init__(
        self, url: str, *, direct_url: str = "", size: int = 8, patience: float = 1.3, acquire: float = 0.3
    ) -> None:
        self.direct_url = direct_url or url
        """For what needs a session of its own."""
        self._pooled = bool(direct_url)
        self._patience = patience
        self._acquire = acquire
        self._checking: asyncio.Task[None] | None = None
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=_Severing,
            min_size=1,
            max_size=size,
            timeout=acquire,
            max_waiting=1024,
            # Short, so that after an outage the next caller makes the pool try anew at once.
            reconnect_timeout=2.0,
            max_idle=60.0,
            open=False,
            kwargs={**(_POOLED if self._pooled else _DIRECT), "row_factory": tuple_row},
        )

    async def __aenter__(self) -> Self:
        await self._pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._checking:
            self._checking.cancel()
        await self._pool.close(timeout=1.0)

    @asynccontextmanager
    async def connection(self, patience: float | None = None) -> AsyncGenerator[Connection]:
        """A connection in autocommit mode, for `patience` seconds at most.

        Raises:
            DatabaseUnavailable: if there is none to be had, it was lost, or the time ran out.
        """
        connection: Connection | None = None
        severed = False

        def sever(connection: Connection) -> None:
            nonlocal severed
            severed = True
            _shut(connection)

        try:
            async with self._pool.connection() as connection:
                timer = asyncio.get_running_loop().call_later(patience or self._patience, sever, connection)
                try:
                    yield connection
                finally:
                    timer.cancel()
        except (PoolTimeout, TooManyRequests) as error:
            raise DatabaseUnavailable(str(error)) from error
        except psycopg.OperationalError as error:
            if severed:
                raise DatabaseUnavailable("no answer in time") from error
            lost = connection is not None and connection.closed
            if lost:
                self._check_idle_connections()
            raise DatabaseUnavailable(str(error), lost=lost) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Connection]:
        """A connection with a transaction open: commits at the end, rolls back on an error.

        If the connection is lost during the commit the caller can't know whether it happened.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, query: LiteralString, params: Params = ()) -> Sequence[TupleRow]:
        """The rows of a query that changes nothing; asked once more if the connection turns out dead."""
        try:
            return await self._fetch(query, params)
        except DatabaseUnavailable as error:
            if not error.lost:
                raise
        await asyncio.wait({self._check_idle_connections()}, timeout=self._acquire)
        return await self._fetch(query, params)

    async def listen(self, channel: LiteralString) -> AsyncGenerator[str]:
        """What is told on `channel` (NOTIFY), for as long as its own connection lasts.

        The first item is empty and says that the listening has begun: whatever was told before is to be
        looked up. Close the generator (`contextlib.aclosing`) to end it.

        Raises:
            DatabaseUnavailable: if the connection can't be had, or is lost: listen anew, and look up again.
        """
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._patience + self._acquire):
                connection = await self._connect_directly()
            await self._answered(connection, f'LISTEN "{channel}"')
            yield ""
            while True:
                async for notice in connection.notifies(timeout=_QUIET):
                    yield notice.payload
                await self._answered(connection, "SELECT")
        except (psycopg.OperationalError, TimeoutError) as error:
            raise DatabaseUnavailable(str(error), lost=connection is not None) from error
        finally:
            if connection:
                await connection.close()

    async def prepare(self) -> None:
        """Have the server limit what a pooler's connections do; a direct one does so by itself.

        Raises:
            DatabaseUnavailable: if it can't be done now.
        """
        if not self._pooled:
            return
        try:
            async with asyncio.timeout(self._patience + self._acquire):
                async with await self._connect_directly() as connection:
                    await make_default(connection)
        except (psycopg.OperationalError, TimeoutError) as error:
            raise DatabaseUnavailable(str(error)) from error

    async def _connect_directly(self) -> Connection:
        return await _Severing.connect(self.direct_url, row_factory=tuple_row, **_DIRECT)

    async def _answered(self, connection: Connection, query: LiteralString) -> None:
        timer = asyncio.get_running_loop().call_later(self._patience, _shut, connection)
        try:
            await connection.execute(query)
        finally:
            timer.cancel()

    async def _fetch(self, query: LiteralString, params: Params) -> Sequence[TupleRow]:
        async with self.connection() as connection:
            cursor = await connection.execute(query, params)
            return await cursor.fetchall()

    def _check_idle_connections(self) -> asyncio.Task[None]:
        if self._checking is None or self._checking.done():
            self._checking = asyncio.get_running_loop().create_task(self._pool.check())
        return self._checking


def _shut(connection: Connection) -> None:
    """Shut the connection's socket without closing its descriptor, which psycopg still watches."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as twin:
            twin.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        logger.debug("the connection was gone already")


def _on_missing_schema(request: Asked, error: psycopg.Error) -> Response[bytes]:
    logger.warning("the schema is behind", extra={"path": request.url.path, "cause": str(error)})
    detail = "the database is not prepared for this version yet"
    return respond(request, Problem(503, "database-unavailable", detail))


# Here, and not where all problems are: who has no database, doesn't load what speaks to one.
handlers.update({UndefinedTable: _on_missing_schema, UndefinedColumn: _on_missing_schema})
