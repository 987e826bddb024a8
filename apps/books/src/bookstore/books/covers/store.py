"""SQL of covers: which book has which, and under which name its content is kept."""

from bookstore.books.covers.model import Check, Cover, NoSuchBook, reached
from bookstore.resilience import Bulkhead, BulkheadFull
from bookstore.service.database import Connection, Database

_COLUMNS = "book_id, name, media_type, width, height, size, sha256"


class CoverStore:
    """Reads and writes covers of books that are on sale."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Whoever replaces the cover of one and the same book waits for those before, and would do so with
        # a connection in hand: all of them could be taken so, and readers find none.
        self._replacing = Bulkhead(2, queue=64, wait=1.0)

    async def check_book(self, book_id: int) -> None:
        """Return if there is such a book.

        Raises:
            NoSuchBook: if there is none.
        """
        if not await self._database.fetch("SELECT FROM books WHERE id = %s AND active", (book_id,)):
            raise NoSuchBook

    async def get(self, book_id: int) -> Cover | None:
        """The cover of a book."""
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM covers JOIN books ON books.id = book_id WHERE book_id = %s AND active",
            (book_id,),
        )
        return Cover(*rows[0]) if rows else None

    async def put(self, cover: Cover, check: Check | None) -> str | None:
        """Give a book this cover; gives the name of the one before. What `check` raises leaves that one.

        Raises:
            NoSuchBook: if there is none any more.
            CoversUnavailable: too many are being replaced.
        """
        with reached(BulkheadFull):
            place = await self._replacing.admit()
        try:
            async with self._database.transaction() as connection:
                return await _replace(connection, cover, check)
        finally:
            place.drop()

    async def delete(self, book_id: int, check: Check | None) -> str | None:
        """Take a book's cover away; gives its name, or None if there was none. See `put`."""
        async with self._database.transaction() as connection:
            if check is not None and await _locked(connection, book_id):
                cover = await _cover(connection, book_id)
                if cover is not None:
                    check(cover)
            cursor = await connection.execute(
                "DELETE FROM covers USING books"
                " WHERE book_id = %s AND books.id = book_id AND active RETURNING name",
                (book_id,),
            )
            row = await cursor.fetchone()
        return row[0] if row else None


async def _locked(connection: Connection, book_id: int) -> bool:
    """Whether there is such a book, whose cover nobody else changes until the transaction ends."""
    cursor = await connection.execute(
        "SELECT FROM books WHERE id = %s AND active FOR NO KEY UPDATE", (book_id,)
    )
    return cursor.rowcount == 1


async def _cover(connection: Connection, book_id: int) -> Cover | None:
    cursor = await connection.execute(
        f"SELECT {_COLUMNS} FROM covers WHERE book_id = %s FOR UPDATE", (book_id,)
    )
    row = await cursor.fetchone()
    return Cover(*row) if row else None


async def _replace(connection: Connection, cover: Cover, check: Check | None) -> str | None:
    if not await _locked(connection, cover.book_id):
        raise NoSuchBook
    if check is not None:
        check(await _cover(connection, cover.book_id))
    # What is returned was read before the statement wrote: the book's lock keeps it true.
    cursor = await connection.execute(
        f"INSERT INTO covers ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (book_id) DO UPDATE SET name = excluded.name, media_type = excluded.media_type,"
        " width = excluded.width, height = excluded.height, size = excluded.size, sha256 = excluded.sha256,"
        " created_at = now()"
        " RETURNING (SELECT name FROM covers AS before WHERE before.book_id = covers.book_id)",
        (cover.book_id, cover.name, cover.media_type, cover.width, cover.height, cover.size, cover.sha256),
    )
    row = await cursor.fetchone()
    return row[0] if row else None
