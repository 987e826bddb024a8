"""SQL of stock.

Every transaction locks in one order, the reservation first and then its books by their ids, so that no two
wait for each other; a new reservation is nobody else's yet, and its books come first. A process that dies
before a commit leaves nothing of it: PostgreSQL rolls back, and no copy is held. One that dies after it
leaves all of it: who asked gets no answer, asks again, and is told how things stand.
"""

from collections.abc import Mapping
from typing import Literal

from bookstore.books.stock.model import Held, Quantities, Reserved, Stock, Taken
from bookstore.books.stock.reserving import RESERVATION, held, reserve
from bookstore.service.database import Connection, Database

_STOCK = "id, on_hand, reserved"


class StockStore:
    """Reads and writes stock. What is held of a deleted book can be settled all the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

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

    async def commit(self, reservation_id: str) -> Held | None:
        """Take what is held off the shelf; None if there is no such reservation. A settled one stays so."""
        async with self._database.transaction() as connection:
            await _settle(connection, reservation_id, "committed")
            return await _find(connection, reservation_id)

    async def release(self, reservation_id: str) -> Held:
        """Let go of what is held; a settled one stays so.

        A name that isn't known is kept as released: a reservation under it that is still on its way, from
        somebody who has given up since, then comes too late to hold anything.
        """
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                "INSERT INTO reservations (id, state, settled_at) VALUES (%s, 'released', now())"
                " ON CONFLICT DO NOTHING",
                (reservation_id,),
            )
            if cursor.rowcount == 0:
                await _settle(connection, reservation_id, "released")
            return await _known(connection, reservation_id)

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


async def _settle(
    connection: Connection, reservation_id: str, state: Literal["committed", "released"]
) -> None:
    """End a reservation that is held; any other stays as it is."""
    cursor = await connection.execute(
        "UPDATE reservations SET state = %s, settled_at = now() WHERE id = %s AND state = 'held'",
        (state, reservation_id),
    )
    if cursor.rowcount == 0:
        return
    await connection.execute(
        "SELECT FROM books WHERE id IN (SELECT book_id FROM reservation_lines WHERE reservation_id = %s)"
        " ORDER BY id FOR NO KEY UPDATE",
        (reservation_id,),
    )
    await connection.execute(
        "UPDATE books SET reserved = reserved - quantity,"
        " on_hand = on_hand - CASE WHEN %s THEN quantity ELSE 0 END"
        " FROM reservation_lines WHERE id = book_id AND reservation_id = %s",
        (state == "committed", reservation_id),
    )


async def _find(connection: Connection, reservation_id: str) -> Held | None:
    cursor = await connection.execute(f"{RESERVATION} WHERE r.id = %s", (reservation_id,))
    row = await cursor.fetchone()
    return held(row) if row else None


async def _known(connection: Connection, reservation_id: str) -> Held:
    found = await _find(connection, reservation_id)
    if found is None:
        raise LookupError(reservation_id)  # no reservation is ever removed
    return found
