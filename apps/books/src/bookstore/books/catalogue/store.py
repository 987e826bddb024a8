"""The catalogue's SQL."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString, TypeAlias

import msgspec
from psycopg import sql
from psycopg.types.json import Jsonb

from bookstore.books.catalogue.model import Book
from bookstore.books.catalogue.search import EVERYTHING, Search
from bookstore.service.batch import Batch
from bookstore.service.database import Connection, Database, DatabaseUnavailable

_COLUMNS = "id, title, author, description, price, on_hand - reserved, active, created_at, updated_at"

_PAGE = (
    f"WITH page AS (SELECT {_COLUMNS} FROM books WHERE active"
    " ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s),"
    " whole AS (SELECT count(*) AS total FROM books WHERE active)"
)
_SEARCHED = (
    "WITH found AS MATERIALIZED (SELECT id FROM books WHERE {}),"
    " ids AS (SELECT id FROM found ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s),"
    f" page AS (SELECT {_COLUMNS} FROM books WHERE id IN (SELECT id FROM ids)),"
    " whole AS (SELECT count(*) AS total FROM found)"
)
_GRAM = 3

Check: TypeAlias = Callable[[Book], None]
"""Looks at a book before it is written, and raises what speaks against that."""


class BookStore:
    """Reads and writes books; a book that was deleted is never seen again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_id = Batch(self._fetch_many)

    async def get(self, book_id: int) -> Book | None:
        """One book. Readers that arrive while others are being served share one query."""
        try:
            return await self._by_id.load(book_id)
        except TimeoutError as error:
            raise DatabaseUnavailable("no answer in time") from error

    async def _fetch_many(self, ids: Sequence[int]) -> Mapping[int, Book]:
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM books WHERE id = ANY(%s) AND active",
            (list(ids),),
        )
        return {row[0]: Book(*row) for row in rows}

    async def newest(self, limit: int, offset: int) -> list[Book]:
        """A page of /v1: by age."""
        rows = await self._database.fetch(
            f"SELECT {_COLUMNS} FROM books WHERE active ORDER BY created_at DESC, id DESC LIMIT %s OFFSET %s",
            (limit, offset),
        )
        return [Book(*row) for row in rows]

    async def page(self, limit: int, offset: int, search: Search = EVERYTHING) -> tuple[int, list[Book]]:
        """How many books a search finds, and a page of them by id. Both from one view of the data."""
        query = _PAGE if search == EVERYTHING else _SEARCHED.format(_conditions(search))
        rows = await self._database.fetch(
            f"{query} SELECT whole.total, page.* FROM whole LEFT JOIN page ON true ORDER BY page.id DESC",
            {**msgspec.structs.asdict(search), "limit": limit, "offset": offset},
        )
        return rows[0][0], [Book(*row[1:]) for row in rows if row[1] is not None]

    async def add(
        self, *, title: str, author: str, description: str | None, price: Decimal, stock: int
    ) -> Book:
        """A new book; a process that dies before the commit leaves none, after it a whole one."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(
                "INSERT INTO books (title, author, description, price, on_hand) VALUES (%s, %s, %s, %s, %s)"
                f" RETURNING {_COLUMNS}",
                (title, author, description, price, stock),
            )
            return Book(*(await cursor.fetchone() or ()))

    async def change(
        self, book_id: int, fields: Mapping[str, Any], check: Check | None = None
    ) -> Book | None:
        """Set these fields; None if there is no such book. What `check` raises leaves the book as it is."""
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in fields
        )
        query = sql.SQL(
            "UPDATE books SET {}, updated_at = now() WHERE id = %(id)s AND active RETURNING {}"
        ).format(assignments, sql.SQL(_COLUMNS))
        async with self._writing(book_id, check) as connection:
            cursor = await connection.execute(query, {**fields, "id": book_id})
            row = await cursor.fetchone()
        return Book(*row) if row else None

    async def delete(self, book_id: int, check: Check | None = None) -> bool:
        """Take a book off sale for good; False if it is already, or never was."""
        async with self._writing(book_id, check) as connection:
            cursor = await connection.execute(
                "UPDATE books SET active = false, updated_at = now() WHERE id = %s AND active", (book_id,)
            )
            return cursor.rowcount == 1

    @asynccontextmanager
    async def _writing(self, book_id: int, check: Check | None) -> AsyncGenerator[Connection]:
        """To write one book; with a `check`, between that and the write nobody else writes it."""
        if check is None:
            async with self._database.connection() as connection:
                yield connection
            return
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                f"SELECT {_COLUMNS} FROM books WHERE id = %s AND active FOR UPDATE", (book_id,)
            )
            if row := await cursor.fetchone():
                check(Book(*row))
            yield connection

    async def seed(self, books: Sequence[Mapping[str, Any]], stock: int, first: datetime) -> None:
        """Fill the table if it is empty; replicas that start together fill it once."""
        async with self._database.transaction() as connection:
            await connection.execute("LOCK TABLE books IN SHARE ROW EXCLUSIVE MODE")
            await connection.execute(
                "INSERT INTO books (title, author, description, price, on_hand, created_at, updated_at)"
                " SELECT title, author, description, price, %(stock)s, at, at"
                " FROM ROWS FROM (jsonb_to_recordset(%(books)s)"
                "  AS (title text, author text, description text, price numeric)) WITH ORDINALITY AS seed,"
                " LATERAL (SELECT %(first)s + ordinality * interval '1 minute' AS at) listed"
                " WHERE NOT EXISTS (SELECT FROM books) ORDER BY ordinality",
                {"books": Jsonb(list(books)), "stock": stock, "first": first},
            )


def _conditions(search: Search) -> LiteralString:
    """What a book must meet. Text is looked for as it stands: no character means any other."""
    conditions: list[LiteralString] = ["active"]
    if search.q is not None:
        conditions.append(
            "(strpos(lower(title), lower(%(q)s)) > 0 OR strpos(lower(author), lower(%(q)s)) > 0)"
        )
    if search.author is not None:
        conditions.append("strpos(lower(author), lower(%(author)s)) > 0")
    # The index leads to books with all grams of the words; for words without any it would lead to every book.
    if search.q is not None and len(search.q) >= _GRAM:
        conditions.append("grams(title || ' ' || author) @> grams(%(q)s)")
    if search.author is not None and len(search.author) >= _GRAM:
        conditions.append("grams(title || ' ' || author) @> grams(%(author)s)")
    if search.min_price is not None:
        conditions.append("price >= %(min_price)s")
    if search.max_price is not None:
        conditions.append("price <= %(max_price)s")
    if search.in_stock is not None:
        conditions.append("(on_hand > reserved) = %(in_stock)s")
    return " AND ".join(conditions)
