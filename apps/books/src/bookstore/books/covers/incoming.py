"""A body on its way in: from the network to a file, a little at a time."""

import asyncio
import hashlib
import mmap
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

import msgspec

from bookstore.books.covers.model import reached
from bookstore.books.covers.picture import Picture, recognise

PART = ".part"
"""How the name of a file ends that is not whole yet."""

_PIECE = 256 * 1024


class Incoming(msgspec.Struct, frozen=True):
    """A body that has come in whole: a file, until the block ends or it is moved."""

    path: Path
    size: int
    sha256: str

    async def picture(self) -> Picture | None:
        """What it is a picture of, if it is one."""
        return await asyncio.to_thread(self._picture) if self.size else None

    def _picture(self) -> Picture | None:
        with self.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return recognise(data)


@asynccontextmanager
async def received(chunks: AsyncIterable[bytes], folder: Path) -> AsyncGenerator[Incoming]:
    """Write a body to a file of its own in `folder`.

    A process that dies meanwhile leaves that file behind; its name tells that it isn't whole.
    """
    path = folder / f"{token_hex(16)}{PART}"
    with reached(OSError):
        file = await asyncio.to_thread(_create, path)
    try:
        digest, size = hashlib.sha256(), 0
        async for piece in _pieces(chunks):
            digest.update(piece)
            size += len(piece)
            with reached(OSError):
                await asyncio.to_thread(file.write, piece)
        with reached(OSError):
            await asyncio.to_thread(file.close)
        yield Incoming(path, size, digest.hexdigest())
    finally:
        file.close()
        path.unlink(missing_ok=True)


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("xb")


async def _pieces(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes in fewer pieces: each costs a trip to another thread."""
    piece = bytearray()
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
