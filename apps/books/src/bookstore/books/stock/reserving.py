"""Reservations that arrive together are made together: one statement, and one commit.

They have nothing to do with each other, and one that can't be had keeps no other from being had:

- A book is wanted by several, and there are too few copies for all of them: they are served one by one.
- Somebody holds on to a book: after half a second all that don't want it go on without those that do.

A process that dies before the commit leaves nothing of the statement; one that dies after it leaves
reservations that nobody was told of. Who asks again under the same name is told how things stand.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec
import psycopg

from bookstore.books.stock.model import Busy, Held, InsufficientStock, Quantities, Sold, Taken, UnknownBooks
from bookstore.service.batch import Batch
from bookstore.service.database import Connection, Database, DatabaseUnavailable

RESERVATION: LiteralString = (
    "SELECT r.id, r.state, r.created_at,"
    " ARRAY(SELECT book_id FROM reservation_lines WHERE reservation_id = r.id ORDER BY book_id),"
    " ARRAY(SELECT quantity FROM reservation_lines WHERE reservation_id = r.id ORDER BY book_id)"
    " FROM reservations r"
)


class _Seen(msgspec.Struct, frozen=True):
    """What the statement that holds copies has seen of one reservation."""

    created_at: datetime | None
    """When it was made by this very statement."""
    free: Mapping[int, int | None]
    """Copies that could be sold of each of its books; None of one that wasn't there to be locked."""
    books: Mapping[int, Sold]


Outcomes = dict[str, Taken | Exception]


async def reserve(database: Database, wanted: Mapping[str, Quantities]) -> Outcomes:
    """Hold all copies that are wanted under a name, or none. A name that is taken stays as it is.

    A name that gets nothing comes with the reason, which may be UnknownBooks, InsufficientStock, or Busy.
    """
    async with database.connection() as connection:
        try:
            seen = await _hold(connection, wanted)
            refusal = _refusal
        except psycopg.errors.LockNotAvailable:
            seen = await _hold(connection, wanted, skip="SKIP LOCKED")
            refusal = _perhaps_busy
        outcomes: Outcomes = {
            name: Taken(Held(name, "held", each.created_at, wanted[name]), new=True, books=each.books)
            for name, each in seen.items()
            if each.created_at
        }
        if missing := [name for name in wanted if name not in outcomes]:
            outcomes |= await _known(connection, missing)
        for name in missing:
            if name not in outcomes:
                outcomes[name] = refusal(wanted[name], seen[name].free)
    contested = [name for name, outcome in outcomes.items() if isinstance(outcome, _Contested)]
    for name in contested:
        outcomes |= await reserve(database, {name: wanted[name]})
    return outcomes


class _Wish(msgspec.Struct, frozen=True, eq=False):
    """Copies that are wanted under a name. Two that look alike are two: only the first of them is new."""

    name: str
    asked: Quantities


class Singles:
    """Makes reservations that are asked for one by one: however many ask, they take one connection.

    A worker asks so for orders that are processed again. Those that arrive together are made together.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Batch(self._reserve, width=1)

    async def reserve(self, name: str, asked: Quantities) -> Taken | Exception:
        """What becomes of one of them.

        Raises:
            DatabaseUnavailable: and it may be held all the same.
        """
        try:
            outcome = await self._together.load(_Wish(name, asked))
        except TimeoutError as error:
            raise DatabaseUnavailable("too many reservations wait to be made") from error
        return outcome or Busy()

    async def _reserve(self, wishes: Sequence[_Wish]) -> dict[_Wish, Taken | Exception]:
        outcomes: dict[_Wish, Taken | Exception] = {}
        while left := [wish for wish in wishes if wish not in outcomes]:
            first = {wish.name: wish for wish in reversed(left)}  # of those with one name one at a time
            found = await reserve(self._database, {name: wish.asked for name, wish in first.items()})
            outcomes |= {wish: found[name] for name, wish in first.items()}
        return outcomes


class _Contested(Exception):
    """There are enough copies for this one, and too few for all that came with it."""


def _refusal(asked: Quantities, free: Mapping[int, int | None]) -> Exception:
    if unknown := [book_id for book_id in asked if free[book_id] is None]:
        return UnknownBooks(unknown)
    short = {
        book_id: (quantity, count)
        for book_id, quantity in asked.items()
        if (count := free[book_id]) is not None and quantity > count
    }
    return InsufficientStock(short) if short else _Contested()


def _perhaps_busy(asked: Quantities, free: Mapping[int, int | None]) -> Exception:
    """A book that couldn't be locked may as well not be there: who asks again is told which."""
    refusal = _refusal(asked, free)
    return Busy() if isinstance(refusal, UnknownBooks) else refusal


async def _hold(
    connection: Connection, wanted: Mapping[str, Quantities], *, skip: LiteralString = ""
) -> dict[str, _Seen]:
    """Hold what can be had for all who want it; who wants what can't gets nothing yet.

    Books are locked by their ids, and new names made in their order: no two that do this wait for each other.
    """
    lines = [(name, *line) for name, asked in wanted.items() for line in asked.items()]
    cursor = await connection.execute(
        "WITH line AS MATERIALIZED ("  # noqa: S608 - `skip` is a word of ours
        "  SELECT * FROM unnest(%s::text[], %s::bigint[], %s::integer[]) AS l (name, book_id, quantity)),"
        # By the index for each name: an anti-join reads the whole table instead while that is small.
        " fresh AS MATERIALIZED ("
        "  SELECT * FROM line WHERE (SELECT r.id FROM reservations r WHERE r.id = line.name) IS NULL),"
        " free AS MATERIALIZED ("
        "  SELECT id, on_hand - reserved AS free, title, author, price FROM books"
        "  WHERE id = ANY(ARRAY(SELECT book_id FROM fresh)) AND active"
        f"  ORDER BY id FOR NO KEY UPDATE {skip}),"
        " weighed AS ("
        "  SELECT name, coalesce(sum(quantity) OVER (PARTITION BY book_id) <= free.free, false) AS enough"
        "  FROM fresh LEFT JOIN free ON free.id = book_id),"
        " held AS ("
        "  INSERT INTO reservations (id)"
        "  SELECT name FROM weighed GROUP BY name HAVING bool_and(enough) ORDER BY name"
        "  ON CONFLICT DO NOTHING RETURNING id, created_at),"
        " lines AS ("
        "  INSERT INTO reservation_lines (reservation_id, book_id, quantity)"
        "  SELECT name, book_id, quantity FROM line JOIN held ON held.id = name"
        "  RETURNING book_id, quantity),"
        " taken AS (SELECT book_id, sum(quantity)::integer AS quantity FROM lines GROUP BY book_id),"
        " kept AS ("
        "  UPDATE books SET reserved = reserved + quantity FROM taken WHERE id = book_id)"
        " SELECT name, book_id, held.created_at, free, title, author, price"
        " FROM line LEFT JOIN free ON free.id = book_id LEFT JOIN held ON held.id = name",
        (
            [name for name, _, _ in lines],
            [book_id for _, book_id, _ in lines],
            [quantity for _, _, quantity in lines],
        ),
    )
    made: dict[str, datetime | None] = {}
    free: defaultdict[str, dict[int, int | None]] = defaultdict(dict)
    books: defaultdict[str, dict[int, Sold]] = defaultdict(dict)
    for name, book_id, created_at, count, *book in await cursor.fetchall():
        made[name] = created_at
        free[name][book_id] = count
        books[name][book_id] = Sold(*book)
    return {name: _Seen(created_at, free[name], books[name]) for name, created_at in made.items()}


async def _known(connection: Connection, names: Sequence[str]) -> Outcomes:
    """Those of these reservations that there are, with their books, on sale or not any more."""
    cursor = await connection.execute(f"{RESERVATION} WHERE r.id = ANY(%s)", (list(names),))
    found = [held(row) for row in await cursor.fetchall()]
    if not found:
        return {}
    cursor = await connection.execute(
        "SELECT id, title, author, price FROM books WHERE id = ANY(%s)",
        ([book_id for each in found for book_id in each.quantities],),
    )
    books = {book_id: Sold(*book) for book_id, *book in await cursor.fetchall()}
    return {
        each.id: Taken(each, new=False, books={book_id: books[book_id] for book_id in each.quantities})
        for each in found
    }


def held(row: Sequence[Any]) -> Held:
    """The reservation in a row of RESERVATION."""
    reservation_id, state, created_at, books, quantities = row
    return Held(reservation_id, state, created_at, dict(zip(books, quantities, strict=True)))
