"""A small HTTP/1.1 client: an instrument that costs much less than what it measures.

It reads what our services write (a length or chunks), keeps connections, and never sends anything twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD_LIMIT = 64 * 1024
OK = range(200, 300)


class NotLoopbackError(Exception):
    """The target isn't on this machine."""


class BrokenOffError(Exception):
    """The connection ended before a whole answer had come; whether the request had an effect isn't known."""


class RefusedError(Exception):
    """Nobody listens there: the request was never sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_good(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status in OK

    def json(self) -> object:
        """The body as JSON.

        Raises:
            msgspec.DecodeError: it isn't any.
        """
        return msgspec.json.decode(self.body)


def loopback(url: str) -> tuple[str, int]:
    """Host and port of a URL on this very machine.

    Raises:
        NotLoopbackError: it is somewhere else. Nothing else is ever a target of load or of a fault.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host not in ("localhost", "::1") and not host.startswith("127."):
        raise NotLoopbackError(f"{host or url!r} isn't this machine; only loopback is ever a target")
    if parts.port is None:
        raise NotLoopbackError(f"{url!r} names no port")
    return host, parts.port


@dataclass
class Door:
    """One address, and the connections to it that are open and idle."""

    url: str
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(
        default_factory=list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
    )

    def __post_init__(self) -> None:
        self.host, self.port = loopback(self.url)

    async def connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """An idle connection that is still open, or a new one.

        Raises:
            RefusedError: nobody listens there.
        """
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        try:
            return await asyncio.open_connection(self.host, self.port, limit=HEAD_LIMIT)
        except OSError as error:
            raise RefusedError(str(error)) from error

    def close(self) -> None:
        """Close what is idle."""
        for _, writer in self.idle:
            writer.close()
        self.idle.clear()


class Wire:
    """Sends requests to the first of its doors that is open, starting with another one each time."""

    def __init__(self, urls: list[str]) -> None:
        self._doors = [Door(url) for url in urls]
        self._turn = 0

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        seconds: float = 10.0,
    ) -> Answer:
        """Send one request, once, and read its answer.

        Raises:
            RefusedError: no door is open; nothing was sent.
            BrokenOffError: it was sent, and no whole answer came.
            TimeoutError: it wasn't answered in time.
        """
        async with asyncio.timeout(seconds):
            door, (reader, writer) = await self._open()
            try:
                writer.write(_request(door, method, path, body, headers or {}))
                answer, keep = await _answer(reader)
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                writer.close()
                raise BrokenOffError(str(error) or type(error).__name__) from error
            except BaseException:
                # Cancelled or timed out: an answer may still come, and must not meet the next request.
                writer.close()
                raise
            if keep:
                door.idle.append((reader, writer))
            else:
                writer.close()
            return answer

    async def _open(self) -> tuple[Door, tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        self._turn += 1
        refused = RefusedError("there are no doors")
        for number in range(len(self._doors)):
            door = self._doors[(self._turn + number) % len(self._doors)]
            try:
                return door, await door.connection()
            except RefusedError as error:
                refused = error
        raise refused

    def close(self) -> None:
        """Close all connections."""
        for door in self._doors:
            door.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


async def ask(url: str, method: str, path: str, body: object = None, **more: str) -> Answer:
    """One request on a connection of its own; `more` are headers, with `_` for `-`."""
    async with Wire([url]) as wire:
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        return await wire.send(method, path, body, headers)


def _request(door: Door, method: str, path: str, body: object, headers: Mapping[str, str]) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {door.host}:{door.port}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


async def _answer(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """The answer, and whether the connection may be used again."""
    status, headers = await _head(reader)
    if headers.get("transfer-encoding", "") == "chunked":
        body = await _chunks(reader)
    elif (length := headers.get("content-length")) is not None:
        body = await reader.readexactly(int(length))
    elif status in (204, 304):
        body = b""
    else:
        return Answer(status, headers, await reader.read()), False
    return Answer(status, headers, body), headers.get("connection", "").lower() != "close"


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"that is no HTTP: {lines[0][:40]!r}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(rest[:3]), headers


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while (await reader.readuntil(b"\r\n")) != b"\r\n":
        pass
    return b"".join(parts)


async def settle(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
