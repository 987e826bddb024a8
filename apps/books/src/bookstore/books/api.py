"""The catalogue over HTTP: /v1 shape for shape as its walk-through, /v2 with what a store needs."""

from time import perf_counter
from typing import Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath

from bookstore.books.model import Book, checked
from bookstore.books.settings import BooksSettings
from bookstore.books.store import BookStore
from bookstore.contracts.base import text_money
from bookstore.contracts.books import (
    BookChangeV1,
    BookChangeV2,
    BookPage,
    BookRead,
    BookV1,
    BookV2,
    Deleted,
    NewBookV1,
    NewBookV2,
)
from bookstore.service.pages import Limit, Offset, page_headers
from bookstore.service.problem import Asked, Problem, invalid, not_found
from bookstore.service.provide import Given


def _v1(book: Book) -> BookV1:
    return BookV1(
        id=book.id,
        title=book.title,
        author=book.author,
        price=book.price,
        active=book.active,
        created_at=book.created_at,
        updated_at=book.updated_at,
    )


def _v2(book: Book) -> BookV2:
    return BookV2(**msgspec.structs.asdict(book))


def _missing(book_id: int) -> Problem:
    return not_found("book", book_id)


def _given(change: BookChangeV1, request: Asked) -> dict[str, Any]:
    """The fields that a change sets; null means unchanged, and nothing at all is refused."""
    fields = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    if not fields:
        raise invalid(request.url.path, "provide at least one field to update")
    return checked(fields, request.url.path)


async def _found(books: BookStore, book_id: int) -> Book:
    book = await books.get(book_id)
    if book is None:
        raise _missing(book_id)
    return book


async def _added(books: BookStore, settings: BooksSettings, request: Asked, new: NewBookV2) -> Book:
    fields = checked(msgspec.structs.asdict(new), request.url.path)
    if fields["stock"] is None:
        fields["stock"] = settings.default_stock
    return await books.add(fields)


async def _changed(books: BookStore, request: Asked, book_id: int, change: BookChangeV1) -> Book:
    fields = _given(change, request)
    book = await books.change(book_id, fields)
    if book is None:
        raise _missing(book_id)
    return book


async def _deleted(books: BookStore, book_id: int) -> Deleted:
    if not await books.delete(book_id):
        raise _missing(book_id)
    return Deleted(message=f"Book with ID {book_id} was deleted successfully")


@get("/v1/books", tags=["v1"])
async def list_v1(books: Given[BookStore], limit: Limit = 100, offset: Offset = 0) -> list[BookV1]:
    """Books on sale, the newest first."""
    return [_v1(book) for book in await books.newest(limit, offset)]


@post("/v1/books", tags=["v1"])
async def add_v1(
    request: Asked, data: NewBookV1, books: Given[BookStore], settings: Given[BooksSettings]
) -> Response[BookV1]:
    """Put a book on sale."""
    new = NewBookV2(title=data.title, author=data.author, price=data.price)
    book = await _added(books, settings, request, new)
    return Response(_v1(book), status_code=201, headers={"Location": f"/v1/books/{book.id}"})


@get("/v1/books/{book_id:int}", tags=["v1"])
async def read_v1(book_id: FromPath[int], books: Given[BookStore]) -> Response[bytes]:
    """One book."""
    return Response(text_money.encode(_v1(await _found(books, book_id))), media_type="application/json")


@put("/v1/books/{book_id:int}", tags=["v1"])
async def change_v1(
    request: Asked, book_id: FromPath[int], data: BookChangeV1, books: Given[BookStore]
) -> BookV1:
    """Change some fields of a book."""
    return _v1(await _changed(books, request, book_id, data))


@delete("/v1/books/{book_id:int}", status_code=200, tags=["v1"])
async def delete_v1(book_id: FromPath[int], books: Given[BookStore]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(books, book_id)


@get("/v2/books", tags=["v2"])
async def list_v2(
    request: Asked, books: Given[BookStore], limit: Limit = 20, offset: Offset = 0
) -> Response[BookPage]:
    """A page of books on sale, by id from the highest."""
    started = perf_counter()
    total, found = await books.page(limit, offset)
    page = BookPage(
        data=[_v2(book) for book in found],
        total=total,
        limit=limit,
        offset=offset,
        from_cache=False,
        processing_time_ms=_milliseconds_since(started),
    )
    query = request.query_params.multi_items()
    return Response(page, headers=page_headers("/v2/books", query, total=total, limit=limit, offset=offset))


@post("/v2/books", tags=["v2"])
async def add_v2(
    request: Asked, data: NewBookV2, books: Given[BookStore], settings: Given[BooksSettings]
) -> Response[BookV2]:
    """Put a book on sale."""
    book = await _added(books, settings, request, data)
    return Response(_v2(book), status_code=201, headers={"Location": f"/v2/books/{book.id}"})


@get("/v2/books/{book_id:int}", tags=["v2"])
async def read_v2(book_id: FromPath[int], books: Given[BookStore]) -> BookRead:
    """One book, and where the answer came from."""
    started = perf_counter()
    book = await _found(books, book_id)
    return BookRead(
        **msgspec.structs.asdict(book), from_cache=False, processing_time_ms=_milliseconds_since(started)
    )


@put("/v2/books/{book_id:int}", tags=["v2"])
async def change_v2(
    request: Asked, book_id: FromPath[int], data: BookChangeV2, books: Given[BookStore]
) -> BookV2:
    """Change some fields of a book."""
    return _v2(await _changed(books, request, book_id, data))


@delete("/v2/books/{book_id:int}", status_code=200, tags=["v2"])
async def delete_v2(book_id: FromPath[int], books: Given[BookStore]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(books, book_id)


def _milliseconds_since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)


handlers = [
    list_v1, add_v1, read_v1, change_v1, delete_v1,
    list_v2, add_v2, read_v2, change_v2, delete_v2,
]  # fmt: skip
