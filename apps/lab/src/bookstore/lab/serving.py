"""A small HTTP/1.1 server for the lab's own processes: JSON in, JSON or a page out, on this machine.

Browsers have no business here: whatever page somebody looks at could send requests to loopback. They say who
they are in headers that no script can take away, and are refused.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

MOST = 64 * 1024
"""Bytes of a request's body."""
IDLE_SECONDS = 75.0
JSON = "application/json"
PROBLEM = "application/problem+json"
FROM_BROWSERS = ("origin", "sec-fetch-site")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody asks."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By their names in small letters."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What they are told."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


Answer: TypeAlias = "Callable[[Request], Awaitable[Reply]]"


class UnreadableError(Exception):
    """A request that can't be read; the connection is closed after its answer."""

    def __init__(self, status: int) -> None:
        super().__init__(HTTPStatus(status).phrase)
        self.status = status


def reply(status: int, content: object = None) -> Reply:
    """Content as JSON; without any, an empty body."""
    return Reply(status, b"" if content is None else msgspec.json.encode(content))


def problem(status: int, kind: str = "about:blank", detail: str = "", *, instance: str = "") -> Reply:
    """A refusal, in the one shape of every error."""
    title = HTTPStatus(status).phrase
    content = {
        "type": kind,
        "title": title,
        "status": status,
        "detail": detail or title,
        "instance": instance,
    }
    return Reply(status, msgspec.json.encode({**content, "request_id": secrets.token_hex(8)}), PROBLEM)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    """Answer the requests of one connection, one after the other, until it ends."""
    try:
        while (asked := await _asked(reader)) is not None:
            writer.write(_encoded(await _answered(asked, answer)))
            await writer.drain()
    except UnreadableError as error:
        writer.write(_encoded(problem(error.status)))
    except (OSError, EOFError, TimeoutError):
        # Whoever asked has gone, or says nothing more.
        pass
    finally:
        with suppress(OSError):
            writer.close()


async def _answered(request: Request, answer: Answer) -> Reply:
    if any(name in request.headers for name in FROM_BROWSERS):
        return problem(403, detail="No browser is answered here.")
    return await answer(request)


async def _asked(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None at the end of the connection."""
    async with asyncio.timeout(IDLE_SECONDS):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            raise UnreadableError(431) from error
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):  # noqa: PLR2004 - method, target, version
            raise UnreadableError(400)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        body = await reader.readexactly(_length(headers))
    target = urlsplit(words[1])
    return Request(
        method=words[0],
        path=unquote(target.path),
        query=dict(parse_qsl(target.query)),
        headers=headers,
        body=body,
    )


def _length(headers: Mapping[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise UnreadableError(411)
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdecimal():
        raise UnreadableError(400)
    if int(length) > MOST:
        raise UnreadableError(413)
    return int(length)


def _encoded(told: Reply) -> bytes:
    lines = [
        f"HTTP/1.1 {told.status} {HTTPStatus(told.status).phrase}",
        f"Content-Type: {told.media_type}",
        f"Content-Length: {len(told.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        *(f"{name}: {value}" for name, value in told.headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + told.body
