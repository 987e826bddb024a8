"""Orders' SQL."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from bookstore.contracts.orders import Line
from bookstore.orders.model import Order, total
from bookstore.service.context import outgoing_headers
from bookstore.service.database import Database

_PATIENCE = 0.6
"""Seconds that the database has for keeping an order. Books had up to 1.0 before, and a connection may take
0.3 to be had: an answer within two, whatever fails."""

_COLUMNS = (
    "o.id, o.customer_id, o.status, o.total_price, o.created_at, o.updated_at,"
    " (SELECT max(l.id) FROM ledger l WHERE l.order_id = o.id AND l.kind = 'validate'),"
    " i.book_id, i.book_title, i.book_author, i.quantity, i.unit_price, i.total_price"
)
_ITEMS_BY_LINE = "JOIN order_lines i ON i.order_id = o.id ORDER BY"


class OrderStore:
    """Keeps orders and finds them again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, items: Sequence[Line], customer_id: int | None) -> Order:
        """Keep a new order with its lines, its first event and its job in the ledger.

        It is one statement: all of it or nothing. A process that dies before its commit leaves nothing; one
        that dies after it leaves an order that its caller was not told of.
        """
        price = total(items)
        async with self._database.connection(_PATIENCE) as connection:
            cursor = await connection.execute(
                "WITH added AS ("
                "  INSERT INTO orders (customer_id, lines, total_price) VALUES (%s, %s, %s) RETURNING *),"
                " lines AS (INSERT INTO order_lines SELECT added.id, line.* FROM added, ROWS FROM ("
                "  generate_series(1, %s), unnest(%s::bigint[]), unnest(%s::text[]), unnest(%s::text[]),"
                "  unnest(%s::int[]), unnest(%s::numeric[]), unnest(%s::numeric[])) AS line),"
                " event AS (INSERT INTO order_events (order_id, to_state, cause)"
                "  SELECT id, status, 'ordered' FROM added),"
                " job AS (INSERT INTO ledger (order_id, traceparent) SELECT id, %s FROM added RETURNING id)"
                " SELECT added.id, added.status, added.created_at, added.updated_at, job.id FROM added, job",
                (
                    customer_id,
                    len(items),
                    price,
                    len(items),
                    [item.book_id for item in items],
                    [item.book_title for item in items],
                    [item.book_author for item in items],
                    [item.quantity for item in items],
                    [item.unit_price for item in items],
                    [item.total_price for item in items],
                    dict(outgoing_headers()).get("traceparent"),
                ),
            )
            [(order_id, status, created_at, updated_at, job_id)] = await cursor.fetchall()
        return Order(
            id=order_id,
            customer_id=customer_id,
            status=status,
            items=list(items),
            total_price=price,
            created_at=created_at,
            updated_at=updated_at,
            job_id=job_id,
        )

    async def get(self, order_id: int) -> Order | None:
        """One order."""
        rows = await self._database.fetch(
            "WITH one AS (SELECT * FROM orders WHERE id = %s)"
            f" SELECT {_COLUMNS} FROM one o {_ITEMS_BY_LINE} i.line",
            (order_id,),
        )
        return next(iter(_orders(rows)), None)

    async def newest(self, limit: int, offset: int) -> list[Order]:
        """A page of /v1: orders of one book, by age."""
        rows = await self._database.fetch(
            "WITH page AS (SELECT * FROM orders WHERE lines = 1"
            "  ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s)"
            f" SELECT {_COLUMNS} FROM page o {_ITEMS_BY_LINE} o.created_at DESC, o.id DESC",
            (limit, offset),
        )
        return _orders(rows)

    async def page(self, limit: int, offset: int) -> tuple[int, list[Order]]:
        """How many orders there are, and a page of /v2: by id from the highest. Both from one view."""
        rows = await self._database.fetch(
            "WITH whole AS (SELECT count(*) AS total FROM orders),"
            " page AS (SELECT * FROM orders ORDER BY id DESC LIMIT %s OFFSET %s)"
            f" SELECT whole.total, {_COLUMNS} FROM whole LEFT JOIN"
            " (page o JOIN order_lines i ON i.order_id = o.id) ON true ORDER BY o.id DESC, i.line",
            (limit, offset),
        )
        return rows[0][0], _orders(row[1:] for row in rows if row[1] is not None)


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
