"""The connections to one address: kept while idle, bounded in number, waited for in order."""

import asyncio
import os
import ssl
from collections import deque
from typing import cast

from bookstore.service.upstream.connection import Connection
from bookstore.service.upstream.error import ConnectFailed


class Pool:
    """Opens connections, lends each to one caller at a time, and keeps those that can be used again."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        size: int,
        connect_timeout: float,
        keep_alive: float,
    ) -> None:
        self.name = f"{host}:{port}"
        self._host, self._port, self._tls = host, port, tls
        self._size = size
        self._connect_timeout = connect_timeout
        self._keep_alive = keep_alive
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        # A waiter gets a connection, or None: then a place has become free for one of its own.
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._taken = 0
        self._closed: asyncio.Future[None] | None = None

    def idle(self) -> Connection | None:
        """A connection that is there and free, the one used last first."""
        while self._idle:
            connection = self._idle.pop()
            if connection.closing:
                continue
            if asyncio.get_running_loop().time() - connection.idle_since < self._keep_alive:
                return connection
            connection.abort()
        return None

    async def acquire(
        self,
        timeout: float,  # noqa: ASYNC109 - the limit of the whole call
        connect_timeout: float | None = None,
    ) -> Connection:
        """A connection for one request, within `timeout` seconds.

        Raises:
            ConnectFailed: with the cause in its message.
        """
        if self._closed is not None:
            raise RuntimeError(f"the client for {self.name} is closed")
        connection = self.idle()
        if connection is not None:
            return connection
        if self._taken < self._size:
            self._taken += 1
            return await self._connect(timeout, connect_timeout)
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(timeout):
                connection = await waiter
        except TimeoutError:
            self._give_back(waiter)
            busy = f"{self.name}: all {self._size} connections were busy for {timeout:g} s"
            raise ConnectFailed(busy) from None
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise
        spent = asyncio.get_running_loop().time() - started
        return connection or await self._connect(timeout - spent, connect_timeout)

    def release(self, connection: Connection) -> None:
        """Take a connection back; one that can't be used again is closed."""
        if not connection.reusable or self._closed is not None:
            connection.abort()  # its place becomes free when it is gone: see _lost
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        now = connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
        if now - self._idle[0].idle_since >= self._keep_alive:
            self._idle.popleft().abort()

    def drop_idle(self) -> None:
        """Close what is idle: the other side has gone, or has started anew."""
        while self._idle:
            self._idle.pop().abort()

    async def aclose(self) -> None:
        """Close every connection, also those in use, and wait until they are gone."""
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_future()
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(ConnectFailed(f"the client for {self.name} was closed"))
            self._waiters.clear()
            self._idle.clear()
            for connection in self._connections:
                connection.abort()
            if not self._connections:
                self._closed.set_result(None)
        await asyncio.shield(self._closed)

    async def _connect(self, timeout: float, connect_timeout: float | None) -> Connection:  # noqa: ASYNC109
        # The caller has a place already: it is given up again if no connection comes of it.
        limit = max(0.0, min(timeout, connect_timeout or self._connect_timeout))
        connection = Connection(self.name, self._lost)
        try:
            async with asyncio.timeout(limit):
                await asyncio.get_running_loop().create_connection(
                    lambda: cast("asyncio.Protocol", connection), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            self._free()
            raise ConnectFailed(f"{self.name}: no connection within {limit:g} s") from None
        except OSError as error:
            self._free()
            raise ConnectFailed(f"{self.name}: {_reason(error)}") from error
        except BaseException:
            self._free()
            raise
        if connection.closed or self._closed is not None:
            connection.abort()
            self._free()
            raise ConnectFailed(f"{self.name}: the connection was closed before it was used")
        self._connections.add(connection)
        return connection

    def _lost(self, connection: Connection) -> None:
        if connection not in self._connections:
            return  # it died while it was opened: _connect knows
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free()
        if self._closed is not None and not self._connections and not self._closed.done():
            self._closed.set_result(None)

    def _free(self) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self._taken -= 1
        else:
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _give_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        """What a waiter was handed in the very moment in which it gave up goes to the next one."""
        if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
            return
        connection = waiter.result()
        if connection is None:
            self._free()
        else:
            self.release(connection)


def _reason(error: OSError) -> str:
    # asyncio's own text for a refusal is only "Connect call failed".
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return str(error)
