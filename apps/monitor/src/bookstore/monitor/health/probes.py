"""One look at a target: a question on a connection of its own, and what the answer says.

A store is asked by somebody without a password: it answers that one is needed, and so shows that it works.
The monitor holds no secret of anybody. A Redis of several servers is one target, and all of them are asked at
once: nodes of a cluster how it is, Sentinels where the master is, which is asked then.
"""

import asyncio
import struct
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import Final

from bookstore.monitor.health.model import BROKEN, SILENT, UNREACHABLE, Judgement, judge_group, judge_health
from bookstore.monitor.health.targets import Target
from bookstore.service.redis_url import Place, Server, read
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
    if target.parts.scheme.startswith("postgres"):
        host, port = target.parts.hostname or "", target.parts.port or 0
        return PostgresProbe(Server(host, port), patience * 0.9)
    place = read(target.url)
    if place.kind == "server":
        return RedisProbe(place.seeds[0], patience * 0.9, place.tls)
    kind = ClusterProbe if place.kind == "cluster" else SentinelProbe
    return kind(place, patience * 0.9)


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

    def __init__(self, server: Server, patience: float, tls: SSLContext | None = None) -> None:
        self._server, self._patience, self._tls = server, patience, tls

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
            reader, writer = await asyncio.open_connection(
                self._server.host, self._server.port, ssl=self._tls, limit=4096
            )
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

    question: tuple[str, ...] = ("PING",)

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Judgement:
        """Ask, and say what the answer means."""
        words = "".join(f"${len(word)}\r\n{word}\r\n" for word in self.question)
        writer.write(f"*{len(self.question)}\r\n{words}".encode())
        line = await reader.readuntil(b"\r\n")
        if line.startswith((b"-NOAUTH", b"-NOPERM")):
            return Judgement("HEALTHY")
        if line.startswith(_HELD_BACK):
            return Judgement("UNHEALTHY", "answers, but takes no commands now")
        return await self.understand(line, reader)

    async def understand(self, line: bytes, reader: asyncio.StreamReader) -> Judgement:
        """What an answer that isn't a refusal means."""
        del reader
        return Judgement("HEALTHY") if line == b"+PONG\r\n" else BROKEN


class NodeProbe(RedisProbe):
    """Asks a node of a cluster whether every key has an owner."""

    question = ("CLUSTER", "INFO")

    async def understand(self, line: bytes, reader: asyncio.StreamReader) -> Judgement:
        """What it says of the cluster."""
        if b"cluster_state:ok" in await _text(line, reader):
            return Judgement("HEALTHY")
        return Judgement("UNHEALTHY", "says that the cluster is not whole")


class WatcherProbe(RedisProbe):
    """Asks a Sentinel where the master is; one that wants a password keeps that to itself."""

    def __init__(self, server: Server, patience: float, tls: SSLContext | None, service: str) -> None:
        super().__init__(server, patience, tls)
        self.question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)
        self.master: Server | None = None

    async def look(self) -> Judgement:
        """Ask how it is, and where the master is now."""
        self.master = None
        return await super().look()

    async def understand(self, line: bytes, reader: asyncio.StreamReader) -> Judgement:
        """Note where the master is."""
        if line != b"*2\r\n":
            return Judgement("UNHEALTHY", "knows no such service")
        host, port = [await _text(await reader.readuntil(b"\r\n"), reader) for _ in range(2)]
        self.master = Server(host.decode(), int(port))
        return Judgement("HEALTHY")


class ClusterProbe(Probe):
    """Asks all nodes that it knows of: one that is away degrades the whole."""

    def __init__(self, place: Place, patience: float) -> None:
        self._patience = patience
        self._nodes = {_name(node): NodeProbe(node, patience, place.tls) for node in place.seeds}

    async def look(self) -> Judgement:
        """Ask how it is."""
        return await _all_of(self._nodes, self._patience)


class SentinelProbe(Probe):
    """Asks all Sentinels, and the master that most of them name."""

    def __init__(self, place: Place, patience: float) -> None:
        self._place, self._patience = place, patience / 2
        self._watchers = {
            _name(each): WatcherProbe(each, self._patience, place.tls, place.service) for each in place.seeds
        }

    async def look(self) -> Judgement:
        """Ask how it is."""
        watched = await _all_of(self._watchers, self._patience)
        named = Counter(each.master for each in self._watchers.values() if each.master)
        if not named:
            return watched
        [(master, _)] = named.most_common(1)
        found = await _all_of(
            {_name(master): RedisProbe(master, self._patience, self._place.tls)}, self._patience
        )
        if found.status == "HEALTHY":
            return watched
        return Judgement("UNHEALTHY", f"the master, {found.detail}")


async def _all_of(probes: Mapping[str, StoreProbe], patience: float) -> Judgement:
    """Ask all at once; none is waited for longer than `patience`."""
    found = await asyncio.gather(*(_in_time(probe, patience) for probe in probes.values()))
    return judge_group(list(zip(probes, found, strict=True)))


async def _in_time(probe: StoreProbe, patience: float) -> Judgement:
    try:
        async with asyncio.timeout(patience):
            return await probe.look()
    except TimeoutError:
        return SILENT


async def _text(line: bytes, reader: asyncio.StreamReader) -> bytes:
    """A text of Redis', of which the first line tells the length."""
    if not line.startswith(b"$") or not line[1:].strip().isdigit() or int(line[1:]) > _LONGEST_ANSWER:
        return b""
    return (await reader.readexactly(int(line[1:]) + 2))[:-2]


def _name(server: Server) -> str:
    return f"[{server.host}]:{server.port}" if ":" in server.host else f"{server.host}:{server.port}"
