"""Covers in a bucket of an S3 service, Amazon's or another: put, get and delete of one object."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bookstore.books.covers.incoming import Incoming
from bookstore.books.covers.model import CoversUnavailable, Gone, reached
from bookstore.books.covers.signature import NOTHING, Keys, signed
from bookstore.service.upstream import Header, Upstream, UpstreamError

_PIECE = 256 * 1024
_OK, _NO_CONTENT, _MISSING = 200, 204, 404


class Bucket:
    """A bucket, addressed by path, which every S3 service knows.

    A process that dies while an object is sent leaves none: S3 shows an object once all of it is there.
    """

    def __init__(self, url: str, bucket: str, keys: Keys) -> None:
        self.incoming = Path(tempfile.gettempdir())
        self._bucket = bucket
        self._keys = keys
        self._host = urlsplit(url).netloc
        # No request id or trace: the service may be somebody else's.
        self._s3 = Upstream(url, connect_timeout=2.0, timeout=10.0, context=tuple)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Close the connections at the end."""
        async with self._s3:
            yield

    async def keep(self, name: str, content: Incoming) -> None:
        """Send it; the service checks that what came in is what was signed."""
        with reached(UpstreamError, OSError):
            target, headers = self._signed("PUT", name, content.sha256)
            body = _file(content.path)
            answer = await self._s3.request("PUT", target, headers=headers, body=body, length=content.size)
        _expect(answer.status, _OK)

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        """The object, as it comes."""
        target, headers = self._signed("GET", name)
        with reached(UpstreamError, OSError):
            async with self._s3.stream("GET", target, headers=headers) as answer:
                if answer.status == _MISSING:
                    raise Gone
                _expect(answer.status, _OK)
                async for piece in answer:
                    yield piece

    async def drop(self, name: str) -> None:
        """Delete it."""
        with reached(UpstreamError, OSError):
            target, headers = self._signed("DELETE", name)
            answer = await self._s3.request("DELETE", target, headers=headers)
        _expect(answer.status, _OK, _NO_CONTENT, _MISSING)

    def _signed(self, method: str, name: str, sha256: str = NOTHING) -> tuple[str, list[Header]]:
        target = f"/{self._bucket}/{name}"
        headers = signed(
            method, target, {"host": self._host}, self._keys, sha256=sha256, at=datetime.now(UTC)
        )
        del headers["host"]  # the client sends its own, the same
        return target, [(key.encode(), value.encode()) for key, value in headers.items()]


async def _file(path: Path) -> AsyncGenerator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


def _expect(status: int, *expected: int) -> None:
    if status not in expected:
        raise CoversUnavailable(f"S3 answered {status}")
