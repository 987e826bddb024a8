"""One look at a target: a question on a connection of its own, and what the answer says.

A store is asked by somebody without a password: it answers that one is needed, and so shows that it works.
The monitor holds no secret of anybody.
"""

import asyncio
import ssl
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from bookstore.monitor.health.model import BROKEN, UNREACHABLE, Judgement, judge_health
from bookstore.monitor.health.targets import Target
from bookstore.service.upstream import ConnectFailed, Upstream, UpstreamError

_LONGEST_ANSWER: Final = 65_536
_PROTOCOL_3_0: Final = 196_608
_STARTING_UP, _NO_ROOM = b"C57P03\0", b"C53300\0"
_HELD_BACK: Final = (b"-LOADING", b"-ERR max number of clients", b"-MASTERDOWN", b"-BUSY", b"-MISCONF")


class Probe(ABC):
    """How one target is asked. It may take for ever: whoever asks sets the limit, by cancelling."""

    @abstractmethod
    async def look(self) -> Judgement:
        """Ask how it is."""

    async def is_alive(self) -> bool:
        """Whether it answers anything at all, while it owes us an answer."""
        return False

    async def aclose(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what is held open."""


def probe_of(target: Target, patience: float) -> Probe:
    """The probe for a target; connecting may take most of `patience`, so that its end can be told apart."""
    if not target.is_store:
        return HttpProbe(target.url, patience * 0.9)
    host, port = target.parts.hostname or "", target.parts.port or 0
    if target.parts.scheme.startswith("postgres"):
        return PostgresProbe(host, port, patience * 0.9)
    return RedisProbe(host, port, patience * 0.9, secure=target.parts.scheme == "rediss")


class HttpProbe(Probe):
    """Asks `/health`, and whether the process lives at `/health/live`."""

    def __init__(self, url: str, patience: float) -> None:
        self._upstream = Upstream(
            url,
            connect_timeout=patience,
            timeout=3600,
            idle_timeout=3600,
            max_connections=4,
            keep_alive=0,  # what listens is known only by connecting
            max_answer=_LONGEST_ANSWER,
            context=lambda: (),
        )

    async def look(self) -> Judgement:
        """Ask how it is."""
        try:
            answer = await self._upstream.request("GET", "/health")
        except ConnectFailed:
            return UNREACHABLE
        except UpstreamError:
            return BROKEN
        return judge_health(answer.status, answer.body)

    async def is_alive(self) -> bool:
        """Whether it answers at all."""
        try:
            await self._upstream.request("GET", "/health/live")
        except UpstreamError:
            return False
        return True

    async def aclose(self) -> None:
        """Close connections."""
        await self._upstream.aclose()


class StoreProbe(Probe):
    """Sends a store its greeting and reads the first words of the answer."""

    def __init__(self, host: str, port: int, patience: float, *, secure: bool = False) -> None:
        self._host, self._port, self._patience = host, port, patience
        self._tls = ssl.create_default_context() if secure else None

    @abstractmethod
    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Judgement:
        """Ask, and say what the answer means."""

    async def look(self) -> Judgement:
        """Ask how it is."""
        try:
            async with self._connection() as (reader, writer):
                return await self.greet(reader, writer)
        except (
            ConnectionResetError,
            BrokenPipeError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
        ):
            return BROKEN
        except (OSError, TimeoutError):
            return UNREACHABLE

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        async with asyncio.timeout(self._patience):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls, limit=4096)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


class PostgresProbe(StoreProbe):
    """Begins to log in, and goes as far as PostgreSQL's question for the password."""

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Judgement:
        """Ask, and say what the answer means."""
        body = struct.pack("!I", _PROTOCOL_3_0) + b"user\0bookstore-probe\0database\0postgres\0\0"
        writer.write(struct.pack("!I", len(body) + 4) + body)
        kind = await reader.readexactly(1)
        if kind == b"R":
            return Judgement("HEALTHY")
        if kind != b"E":
            return BROKEN
        words = await reader.read(1024)
        if _STARTING_UP in words:
            return Judgement("UNHEALTHY", "is starting, stopping or recovering")
        if _NO_ROOM in words:
            return Judgement("UNHEALTHY", "has no connection left")
        return Judgement("HEALTHY")  # a refusal of this unknown user is an answer too


class RedisProbe(StoreProbe):
    """Sends a PING, which Redis answers or refuses for want of a password."""

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Judgement:
        """Ask, and say what the answer means."""
        writer.write(b"*1\r\n$4\r\nPING\r\n")
        line = await reader.readuntil(b"\r\n")
        if line == b"+PONG\r\n" or line.startswith((b"-NOAUTH", b"-NOPERM")):
            return Judgement("HEALTHY")
        if line.startswith(_HELD_BACK):
            return Judgement("UNHEALTHY", "answers, but takes no commands now")
        return BROKEN
