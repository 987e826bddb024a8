"""Orders' SQL."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, LiteralString

import psycopg

from bookstore.contracts.orders import Change, Line
from bookstore.orders import life
from bookstore.orders.idempotency.model import Given
from bookstore.orders.idempotency.store import ClaimLost, answer
from bookstore.orders.model import NewOrder, Order, total
from bookstore.orders.queue.failpoint import reach
from bookstore.service.database import Connection, Database

_PATIENCE = 0.6
"""Seconds that the database has for keeping orders; a connection may take 0.3 to be had."""

_COLUMNS = (
    "o.id, o.customer_id, o.status, o.total_price, o.created_at, o.updated_at,"
    " (SELECT max(l.id) FROM ledger l WHERE l.order_id = o.id AND l.kind = 'validate'),"
    " i.book_id, i.book_title, i.book_author, i.quantity, i.unit_price, i.total_price"
)
_ITEMS_BY_LINE = "JOIN order_lines i ON i.order_id = o.id ORDER BY"


class OrderStore:
    """Keeps orders and finds them again.

    Whoever reads names an `owner`: a customer, who sees nobody else's orders, or None for all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, batch: Sequence[NewOrder]) -> Mapping[NewOrder, Order | Exception]:
        """Keep new orders, and all that belongs to each, or nothing of it; tells what became of each.

        That is its lines, its first event, its job in the ledger, its hold on its reservation, and the answer
        of its Idempotency-Key. They are committed together; if one can't be kept, each by itself. A process
        that dies before a commit leaves nothing of its orders; one that dies after it leaves orders that
        nobody was told of, and that the same key finds.

        An order that isn't kept comes with `ClaimLost`, if another request has taken over its key, with
        `ReservationGone`, if its reservation was given up as nobody's, or with what its rows violate.

        Raises:
            DatabaseUnavailable: and the orders may be kept all the same, if only the word of it was lost.
        """
        try:
            orders = await self._commit(batch)
            reach("order", "commit")
            return dict(zip(batch, orders, strict=True))
        except (psycopg.IntegrityError, ClaimLost) as error:
            if len(batch) == 1:
                gone = isinstance(error, psycopg.errors.UniqueViolation)
                return {batch[0]: ReservationGone() if gone else error}
        alone: dict[NewOrder, Order | Exception] = {}
        for new in batch:
            if new.wanted:
                alone |= await self.keep([new])
        return alone

    async def _commit(self, batch: Sequence[NewOrder]) -> list[Order]:
        async with self._database.connection(_PATIENCE) as connection:
            if not any(new.receipt for new in batch):
                return await _insert(connection, batch)
            async with connection.transaction():
                orders = await _insert(connection, batch)
                answers = [
                    (new.receipt.claim, Given(order.id, new.receipt.answer(order)))
                    for new, order in zip(batch, orders, strict=True)
                    if new.receipt
                ]
                await answer(connection, answers)
            return orders

    async def change(self, change: life.Change) -> bool:
        """Change an order's state; False if it came too late."""
        async with self._database.connection(_PATIENCE) as connection:
            return bool(await life.change(connection, [change]))

    async def give_up(self, reservation_id: str) -> bool:
        """Write that no order will ever hold this reservation; whether that is so, and it must be released.

        An order that is being kept at this moment is waited for.
        """
        async with self._database.connection(_PATIENCE) as connection:
            cursor = await connection.execute(
                "INSERT INTO reservations (id) VALUES (%s) ON CONFLICT DO NOTHING", (reservation_id,)
            )
            return cursor.rowcount == 1

    async def get(self, order_id: int, owner: int | None = None) -> Order | None:
        """One order."""
        rows = await self._database.fetch(
            f"WITH one AS (SELECT * FROM orders o WHERE o.id = %(id)s {_owned(owner)})"
            f" SELECT {_COLUMNS} FROM one o {_ITEMS_BY_LINE} i.line",
            {"id": order_id, "owner": owner},
        )
        return next(iter(_orders(rows)), None)

    async def newest(self, limit: int, offset: int, owner: int | None = None) -> list[Order]:
        """A page of /v1: orders of one book, by age."""
        rows = await self._database.fetch(
            f"WITH page AS (SELECT * FROM orders o WHERE o.lines = 1 {_owned(owner)}"
            "  ORDER BY o.created_at DESC, o.id DESC LIMIT %(limit)s OFFSET %(offset)s)"
            f" SELECT {_COLUMNS} FROM page o {_ITEMS_BY_LINE} o.created_at DESC, o.id DESC",
            {"limit": limit, "offset": offset, "owner": owner},
        )
        return _orders(rows)

    async def page(self, limit: int, offset: int, owner: int | None = None) -> tuple[int, list[Order]]:
        """How many orders there are, and a page of /v2: by id from the highest. Both from one view."""
        mine = _owned(owner)
        rows = await self._database.fetch(
            f"WITH whole AS (SELECT count(*) AS total FROM orders o WHERE true {mine}),"
            f" page AS (SELECT * FROM orders o WHERE true {mine}"
            "  ORDER BY o.id DESC LIMIT %(limit)s OFFSET %(offset)s)"
            f" SELECT whole.total, {_COLUMNS} FROM whole LEFT JOIN"
            " (page o JOIN order_lines i ON i.order_id = o.id) ON true ORDER BY o.id DESC, i.line",
            {"limit": limit, "offset": offset, "owner": owner},
        )
        return rows[0][0], _orders(row[1:] for row in rows if row[1] is not None)

    async def history(self, order_id: int, owner: int | None = None) -> list[Change]:
        """Each change of an order's state, the oldest first; none if there is no such order."""
        rows = await self._database.fetch(
            "SELECT e.from_state, e.to_state, e.at, e.cause"
            " FROM order_events e JOIN orders o ON o.id = e.order_id"
            f" WHERE o.id = %(id)s {_owned(owner)} ORDER BY e.id",
            {"id": order_id, "owner": owner},
        )
        return [Change(from_=before, to=to, at=at, cause=cause) for before, to, at, cause in rows]


class ReservationGone(Exception):
    """An order's reservation was given up as nobody's before the order came: its copies are free again."""


async def _insert(connection: Connection, batch: Sequence[NewOrder]) -> list[Order]:
    """All of these orders with all that belongs to them, in one statement."""
    prices = [total(new.items) for new in batch]
    lines = [
        (number, line, item) for number, new in enumerate(batch, 1) for line, item in enumerate(new.items, 1)
    ]
    cursor = await connection.execute(
        "WITH given AS MATERIALIZED ("
        "  SELECT nextval('orders_id_seq') AS id, new.* FROM unnest("
        "   %s::bigint[], %s::int[], %s::numeric[], %s::text[], %s::text[]) WITH ORDINALITY"
        "   AS new (customer_id, lines, total_price, reservation_id, traceparent, number)),"
        " added AS ("
        "  INSERT INTO orders (id, customer_id, lines, total_price, reservation_id)"
        "  OVERRIDING SYSTEM VALUE SELECT id, customer_id, lines, total_price, reservation_id FROM given"
        "  RETURNING id, status, created_at, updated_at),"
        " items AS ("
        "  INSERT INTO order_lines SELECT given.id, line.line, book_id, title, author, quantity, unit, price"
        "  FROM given JOIN unnest(%s::int[], %s::int[], %s::bigint[], %s::text[], %s::text[], %s::int[],"
        "   %s::numeric[], %s::numeric[])"
        "   AS line (number, line, book_id, title, author, quantity, unit, price) USING (number)),"
        " events AS ("
        "  INSERT INTO order_events (order_id, to_state, cause)"
        "  SELECT id, 'Processing', 'ordered' FROM given),"
        " held AS ("
        "  INSERT INTO reservations (id, order_id)"
        "  SELECT reservation_id, id FROM given WHERE reservation_id IS NOT NULL),"
        " jobs AS ("
        "  INSERT INTO ledger (order_id, traceparent) SELECT id, traceparent FROM given"
        "  RETURNING id AS job_id, order_id)"
        " SELECT added.id, added.status, added.created_at, added.updated_at, jobs.job_id"
        " FROM given JOIN added USING (id) JOIN jobs ON jobs.order_id = given.id ORDER BY number",
        (
            [new.customer_id for new in batch],
            [len(new.items) for new in batch],
            prices,
            [new.reservation_id for new in batch],
            [new.traceparent for new in batch],
            [number for number, _, _ in lines],
            [line for _, line, _ in lines],
            [item.book_id for _, _, item in lines],
            [item.book_title for _, _, item in lines],
            [item.book_author for _, _, item in lines],
            [item.quantity for _, _, item in lines],
            [item.unit_price for _, _, item in lines],
            [item.total_price for _, _, item in lines],
        ),
    )
    rows = await cursor.fetchall()
    return [
        Order(
            id=order_id,
            customer_id=new.customer_id,
            status=status,
            items=list(new.items),
            total_price=price,
            created_at=created_at,
            updated_at=updated_at,
            job_id=job_id,
        )
        for new, price, (order_id, status, created_at, updated_at, job_id) in zip(
            batch, prices, rows, strict=True
        )
    ]


def _owned(owner: int | None) -> LiteralString:
    """Only what this customer may see; said in the query only where it holds, for the sake of its plan."""
    return "" if owner is None else "AND o.customer_id = %(owner)s"


def _orders(rows: Iterable[Sequence[Any]]) -> list[Order]:
    """Rows of an order and one of its lines each, put together; they must come ordered."""
    found: list[Order] = []
    for _, group in groupby(rows, key=itemgetter(0)):
        lines = list(group)
        order_id, customer_id, status, price, created_at, updated_at, job_id = lines[0][:7]
        found.append(
            Order(
                id=order_id,
                customer_id=customer_id,
                status=status,
                items=[_line(row[7:]) for row in lines],
                total_price=price,
                created_at=created_at,
                updated_at=updated_at,
                job_id=job_id,
            )
        )
    return found


def _line(row: Sequence[Any]) -> Line:
    book_id, title, author, quantity, unit, price = row
    return Line(
        book_id=book_id,
        book_title=title,
        book_author=author,
        quantity=quantity,
        unit_price=unit,
        total_price=price,
    )
