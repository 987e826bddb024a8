"""The covers: their content behind one seam, and which book has which in the database.

Content goes first and the row follows; on the way out the row goes first. So a row always has its content,
and a process that dies in between leaves content that no row names: it takes room, and is never shown.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterable
from secrets import token_hex

from bookstore.books.covers.blobs import Blobs
from bookstore.books.covers.incoming import received
from bookstore.books.covers.model import Check, Cover, CoversUnavailable, Gone, NoPicture, NoSuchBook
from bookstore.books.covers.store import CoverStore
from bookstore.service.conditional import PreconditionFailed

logger = logging.getLogger(__name__)

_LOOKS = 3


class Gallery:
    """Puts, shows and takes away the covers of books that are on sale."""

    def __init__(self, store: CoverStore, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def put(self, book_id: int, body: AsyncIterable[bytes], check: Check | None) -> tuple[Cover, bool]:
        """Give a book this cover in place of any other; and whether it is its first.

        Raises:
            PreconditionFailed: by `check`, for the cover that the book has; nothing changes then.
            NoSuchBook: there is none to give it to.
            NoPicture: the body is nothing that can be a cover.
            CoversUnavailable: it can't be kept.
        """
        await self._store.check_book(book_id)
        async with received(body, self._blobs.incoming) as content:
            picture = await content.picture()
            if picture is None:
                raise NoPicture
            cover = Cover(
                book_id=book_id,
                name=f"{book_id}-{token_hex(8)}",
                media_type=picture.media_type,
                width=picture.width,
                height=picture.height,
                size=content.size,
                sha256=content.sha256,
            )
            await self._blobs.keep(cover.name, content)
        try:
            before = await self._store.put(cover, check)
        except (NoSuchBook, PreconditionFailed):
            # Any other failure may have been a success: then the row needs its content.
            await self._drop(cover.name)
            raise
        if before:
            await self._drop(before)
        return cover, before is None

    async def find(self, book_id: int) -> Cover | None:
        """The cover of a book, without its content."""
        return await self._store.get(book_id)

    async def read(self, book_id: int) -> tuple[Cover, AsyncGenerator[bytes]]:
        """The cover of a book, and its content piece by piece.

        Raises:
            Gone: there is none.
            CoversUnavailable: it can't be had now.
        """
        for _ in range(_LOOKS):
            cover = await self._store.get(book_id)
            if cover is None:
                raise Gone
            pieces = self._blobs.read(cover.name)
            try:
                first = await anext(pieces)
            except Gone:  # replaced a moment ago
                continue
            return cover, _with_first(first, pieces)
        logger.error("the content of a cover is missing", extra={"book_id": book_id})
        raise Gone

    async def delete(self, book_id: int, check: Check | None) -> bool:
        """Take a book's cover away; False if there was none. What `check` raises leaves it."""
        name = await self._store.delete(book_id, check)
        if name:
            await self._drop(name)
        return name is not None

    async def _drop(self, name: str) -> None:
        try:
            await self._blobs.drop(name)
        except CoversUnavailable as error:
            logger.warning("a cover that is not needed stays", extra={"cover": name, "cause": str(error)})


async def _with_first(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        await rest.aclose()
