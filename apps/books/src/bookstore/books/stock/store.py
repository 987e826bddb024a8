"""SQL of stock.

Every statement locks in one order, reservations first and then their books by their ids, so that no two
wait for each other; a new reservation is nobody else's yet, and its books come first. A process that dies
before a commit leaves nothing of it: PostgreSQL rolls back, and no copy is held. One that dies after it
leaves all of it: who asked gets no answer, asks again, and is told how things stand.
"""

from collections.abc import Mapping

from bookstore.books.stock.model import Held, Quantities, Reserved, Stock, Taken
from bookstore.books.stock.reserving import RESERVATION, Singles, held, reserve
from bookstore.books.stock.settling import Settling
from bookstore.service.database import Database

_STOCK = "id, on_hand, reserved"


class StockStore:
    """Reads and writes stock. What is held of a deleted book can be settled all the same."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._singles = Singles(database)
        self._settling = Settling(database)

    async def get(self, book_id: int) -> Stock | None:
        """The stock of a book that is on sale."""
        rows = await self._database.fetch(f"SELECT {_STOCK} FROM books WHERE id = %s AND active", (book_id,))
        return Stock(*rows[0]) if rows else None

    async def put(self, book_id: int, on_hand: int) -> Stock | None:
        """Say how many copies are on hand; None if there is no such book.

        Raises:
            Reserved: if that is less than what orders hold; nothing changes then.
        """
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "UPDATE books SET on_hand = %(on_hand)s"
                f" WHERE id = %(id)s AND active AND reserved <= %(on_hand)s RETURNING {_STOCK}",
                {"id": book_id, "on_hand": on_hand},
            )
            row = await cursor.fetchone()
        if row:
            return Stock(*row)
        if found := await self.get(book_id):
            raise Reserved(found.reserved)
        return None

    async def reserve(self, wanted: Mapping[str, Quantities]) -> dict[str, Taken | Exception]:
        """Hold copies under each of these names, or say why not; see `reserving`."""
        return await reserve(self._database, wanted)

    async def reserve_one(self, name: str, asked: Quantities) -> Taken | Exception:
        """The same for one; those that are asked for at once by different callers go together."""
        return await self._singles.reserve(name, asked)

    async def commit(self, reservation_id: str) -> Held | None:
        """Take what is held off the shelf; None if there is no such reservation. See `settling`.

        Raises:
            Busy: if somebody holds on to one of its books.
        """
        return await self._settling.settle(reservation_id, "committed")

    async def release(self, reservation_id: str) -> Held | None:
        """Let go of what is held; a name that isn't known can't be held any more either. See `settling`.

        Raises:
            Busy: if somebody holds on to one of its books.
        """
        return await self._settling.settle(reservation_id, "released")

    async def reservation(self, reservation_id: str) -> Held | None:
        """One reservation."""
        rows = await self._database.fetch(f"{RESERVATION} WHERE r.id = %s", (reservation_id,))
        return held(rows[0]) if rows else None

    async def held(self, *, older_than: int, limit: int, after: Held | None) -> list[Held]:
        """The oldest that are held for `older_than` seconds by the database's clock; those after `after`."""
        rows = await self._database.fetch(
            f"{RESERVATION} WHERE r.state = 'held' AND r.created_at <= now() - %(age)s * interval '1 second'"
            " AND (r.created_at, r.id) > (coalesce(%(time)s::timestamptz, '-infinity'), coalesce(%(id)s, ''))"
            " ORDER BY r.created_at, r.id LIMIT %(limit)s",
            {
                "age": older_than,
                "time": after and after.created_at,
                "id": after and after.id,
                "limit": limit,
            },
        )
        return [held(row) for row in rows]
