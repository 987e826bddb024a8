"""Reads of the catalogue, each as the body that answers it: from the cache where there is one.

One book of /v1 is read in PostgreSQL each time: orders takes prices from there, and those are never taken
from a copy, however sure it is to be fresh.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from bookstore.books.cache import Cache, Entry, book_place, page_place
from bookstore.books.catalogue.model import Book
from bookstore.books.catalogue.search import Search
from bookstore.books.catalogue.shapes import book_v1, book_v2
from bookstore.books.catalogue.store import BookStore
from bookstore.contracts.base import Page, text_money
from bookstore.contracts.books import BookV2
from bookstore.service.conditional import etag_of
from bookstore.service.problem import not_found


class _PageV2(Page, frozen=True, kw_only=True):
    """A page of /v2 without what differs from one answer to the next."""

    data: Sequence[BookV2]


class Reading:
    """Everything that can be read, encoded once for all who read it."""

    def __init__(self, books: BookStore, cache: Cache) -> None:
        self._books = books
        self._cache = cache

    async def book_v1(self, book_id: int) -> Entry:
        """One book of /v1.

        Raises:
            Problem: 404 if there is no such book.
        """
        return _entry(book_v1(await self._book(book_id)))

    async def book_v2(self, book_id: int) -> tuple[Entry, bool]:
        """One book of /v2, and whether it came from the cache.

        Raises:
            Problem: 404 if there is no such book.
        """

        async def made() -> Entry:
            return _entry(book_v2(await self._book(book_id)))

        return await self._cache.read(book_place(book_id), made)

    async def page_v1(self, limit: int, offset: int) -> Entry:
        """A list of /v1."""

        async def made() -> Entry:
            return _entry([book_v1(book) for book in await self._books.newest(limit, offset)])

        entry, _ = await self._cache.read(page_place(f"/v1/books?limit={limit}&offset={offset}"), made)
        return entry

    async def page_v2(self, limit: int, offset: int, search: Search) -> tuple[Entry, bool]:
        """A page of what a search finds in /v2, and whether it came from the cache."""

        async def made() -> Entry:
            total, found = await self._books.page(limit, offset, search)
            data = [book_v2(book) for book in found]
            return _entry(_PageV2(data=data, total=total, limit=limit, offset=offset), total)

        asked = {name: value for name, value in msgspec.structs.asdict(search).items() if value is not None}
        query = urlencode({"limit": limit, "offset": offset, **asked})
        return await self._cache.read(page_place(f"/v2/books?{query}"), made)

    async def _book(self, book_id: int) -> Book:
        book = await self._books.get(book_id)
        if book is None:
            raise not_found("book", book_id)
        return book


def _entry(shape: object, total: int = 0) -> Entry:
    body = text_money.encode(shape)
    return Entry(etag_of(body), body, total)
