"""Reservations that are settled at once are settled together: one statement, and one commit.

A worker that catches up settles dozens at a time, and there may be several. Nobody waits for it, while
somebody does wait for each order and each read. So all that is settled takes one connection of the pool,
however many ask; and since it is one statement, no book stays locked from one turn of our event loop to the
next. Somebody who holds on to a book holds up the others for half a second, and then only those that sold it.

A process that dies before the commit leaves nothing of the statement; one that dies after it leaves
reservations whose end nobody was told of. Who asks again is told how things stand.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, LiteralString, TypeAlias

import psycopg

from bookstore.books.stock.model import Busy, Held
from bookstore.books.stock.reserving import RESERVATION, held
from bookstore.service.batch import Batch
from bookstore.service.database import Connection, Database, DatabaseUnavailable

End: TypeAlias = Literal["committed", "released"]

_PATIENCE: Final = 1.6
"""Seconds that one may take, those included for which it waits for the statement before its own."""


class Settling:
    """Ends reservations, one way or the other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Batch(self._settle, width=1, patience=_PATIENCE)

    async def settle(self, reservation_id: str, end: End) -> Held | None:
        """End what is held under this name, and tell how it is now; None if there is no such reservation.

        A settled one stays so. A release of a name that isn't known is kept: a reservation under it that is
        still on its way, from somebody who has given up since, then comes too late to hold anything.

        Raises:
            Busy: if somebody holds on to one of its books; it is held still.
            DatabaseUnavailable: and it may have been settled all the same.
        """
        try:
            found = await self._together.load((reservation_id, end))
        except TimeoutError as error:
            raise DatabaseUnavailable("too many reservations wait to be settled") from error
        if found is not None and found.state == "held":
            raise Busy
        return found

    async def _settle(self, asked: Sequence[tuple[str, End]]) -> dict[tuple[str, End], Held]:
        committed = [name for name, end in asked if end == "committed"]
        released = [name for name, end in asked if end == "released"]
        async with self._database.connection() as connection:
            if committed:
                await _end(connection, committed, "committed")
            if released:
                await _bar(connection, released)
                await _end(connection, released, "released")
            cursor = await connection.execute(f"{RESERVATION} WHERE r.id = ANY(%s)", (committed + released,))
            found = {row[0]: held(row) for row in await cursor.fetchall()}
        return {each: found[each[0]] for each in asked if each[0] in found}


async def _bar(connection: Connection, names: Sequence[str]) -> None:
    """Keep those names as released that aren't known.

    A statement of its own, in the order in which reservations are made: whoever makes one of them at this
    moment has locked its books, and it would not do to wait for these with the name taken.
    """
    await connection.execute(
        "INSERT INTO reservations (id, state, settled_at)"
        " SELECT name, 'released', now() FROM unnest(%s::text[]) AS name ORDER BY name COLLATE \"C\""
        " ON CONFLICT DO NOTHING",
        (list(names),),
    )


async def _end(connection: Connection, names: Sequence[str], end: End) -> None:
    """End those of these reservations that are held; any other stays as it is.

    What is locked by somebody for too long, and stays so, is left out.
    """
    try:
        await _end_all(connection, names, end)
    except psycopg.errors.LockNotAvailable:
        await _end_all(connection, names, end, skip="SKIP LOCKED")


async def _end_all(
    connection: Connection, names: Sequence[str], end: End, *, skip: LiteralString = ""
) -> None:
    """One statement. It locks reservations by name, then books by id: no two of it wait for each other."""
    parameters: dict[str, Any] = {"names": list(names), "end": end}
    await connection.execute(
        "WITH held AS MATERIALIZED ("  # noqa: S608 - `skip` is a word of ours
        "  SELECT id FROM reservations WHERE id = ANY(%(names)s) AND state = 'held'"
        f"  ORDER BY id FOR NO KEY UPDATE {skip}),"
        " line AS MATERIALIZED ("
        "  SELECT l.reservation_id, l.book_id, l.quantity FROM held"
        "  JOIN reservation_lines l ON l.reservation_id = held.id),"
        " locked AS MATERIALIZED ("
        "  SELECT id FROM books WHERE id = ANY(ARRAY(SELECT book_id FROM line))"
        f"  ORDER BY id FOR NO KEY UPDATE {skip}),"
        " able AS MATERIALIZED ("
        "  SELECT reservation_id AS id FROM line LEFT JOIN locked ON locked.id = book_id"
        "  GROUP BY reservation_id HAVING bool_and(locked.id IS NOT NULL)),"
        " ended AS ("
        "  UPDATE reservations r SET state = %(end)s, settled_at = now() FROM able WHERE r.id = able.id),"
        " freed AS ("
        "  SELECT book_id, sum(quantity)::integer AS quantity FROM line JOIN able ON able.id = reservation_id"
        "  GROUP BY book_id)"
        " UPDATE books SET reserved = reserved - quantity,"
        "  on_hand = on_hand - CASE WHEN %(end)s = 'committed' THEN quantity ELSE 0 END"
        " FROM freed WHERE books.id = freed.book_id",
        parameters,
    )
