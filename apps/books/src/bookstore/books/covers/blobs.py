"""Where the content of covers is kept: the seam, and the folder behind it by default."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from time import time
from typing import Protocol

from bookstore.books.covers.incoming import PART, Incoming
from bookstore.books.covers.model import Gone, reached

logger = logging.getLogger(__name__)

_PIECE = 256 * 1024
_ABANDONED = 3600.0
"""Seconds after which nobody writes to a file any more that isn't whole."""


class Blobs(Protocol):
    """Keeps content under names that are used once. Every call may raise `CoversUnavailable`."""

    incoming: Path
    """Where bodies are written to until they are whole."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Hold open what is needed."""
        ...

    async def keep(self, name: str, content: Incoming) -> None:
        """Keep this content; once it returns, it is safe."""
        ...

    def read(self, name: str) -> AsyncGenerator[bytes]:
        """The content, piece by piece; before the first, `Gone` if there is none."""
        ...

    async def drop(self, name: str) -> None:
        """Forget the content, if there is any."""
        ...


class Folder:
    """Keeps each content as a file.

    A process that dies while a body comes in, or before it is renamed, leaves a `.part` file in `incoming`,
    which the next start sweeps away once it is an hour old. A file under its own name is always whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.incoming = path / "incoming"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Sweep up what a process that died has left."""
        await asyncio.to_thread(self._sweep)
        yield

    def _sweep(self) -> None:
        for path in self.incoming.glob(f"*{PART}"):
            try:
                if path.stat().st_mtime < time() - _ABANDONED:
                    path.unlink()
            except OSError as error:  # another replica was quicker, or it isn't ours
                logger.info("left as it is", extra={"file": path.name, "cause": str(error)})

    async def keep(self, name: str, content: Incoming) -> None:
        """Move it to its own name, once the disk has it."""
        with reached(OSError):
            await asyncio.to_thread(_move, content.path, self._path / name)

    async def read(self, name: str) -> AsyncGenerator[bytes]:
        """The file's content; whoever has begun reads to the end, also if it is dropped meanwhile."""
        with reached(OSError):
            try:
                file = await asyncio.to_thread((self._path / name).open, "rb")
            except FileNotFoundError:
                raise Gone from None
            with file:
                while piece := await asyncio.to_thread(file.read, _PIECE):
                    yield piece

    async def drop(self, name: str) -> None:
        """Remove the file."""
        with reached(OSError):
            await asyncio.to_thread((self._path / name).unlink, missing_ok=True)


def _move(source: Path, target: Path) -> None:
    """Give a file its own name, where it shows up whole or not at all, also if the power goes."""
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
