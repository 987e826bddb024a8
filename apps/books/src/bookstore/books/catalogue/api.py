"""The catalogue over HTTP: /v1 shape for shape as its walk-through, /v2 with what a store needs."""

from time import perf_counter
from typing import Any, NoReturn

import msgspec
from litestar import Response, delete, get, post, put
from litestar.di import Provide
from litestar.params import JSONBody

from bookstore.books.catalogue.asked import Searching, searched
from bookstore.books.catalogue.model import Book, given
from bookstore.books.catalogue.search import Search
from bookstore.books.catalogue.store import BookStore
from bookstore.books.settings import BooksSettings
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
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, page_headers, plainly_asked
from bookstore.service.problem import Asked, invalid, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import staff_only


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


async def _added(books: BookStore, settings: BooksSettings, new: NewBookV2) -> Book:
    return await books.add(
        title=new.title,
        author=new.author,
        price=new.price,
        description=new.description or None,
        stock=settings.default_stock if new.stock is None else new.stock,
    )


async def _found(books: BookStore, book_id: str) -> Book:
    number = identity("book", book_id)
    return await books.get(number) or _missing(number)


async def _changed(books: BookStore, request: Asked, book_id: str, change: BookChangeV1) -> Book:
    number = identity("book", book_id)
    fields = given(change)
    if not fields:
        raise invalid(request.scope["path"], "give at least one field to change")
    return await books.change(number, fields) or _missing(number)


async def _deleted(books: BookStore, book_id: str) -> Deleted:
    number = identity("book", book_id)
    if not await books.delete(number):
        _missing(number)
    return Deleted(message=f"Book with ID {number} was deleted successfully")


def _missing(book_id: int) -> NoReturn:
    raise not_found("book", book_id)


@get("/v1/books", tags=["v1"], before_request=plainly_asked)
async def list_v1(books: Given[BookStore], limit: Limit = 100, offset: Offset = 0) -> list[BookV1]:
    """Books on sale, the newest first."""
    return [_v1(book) for book in await books.newest(limit, offset)]


@post("/v1/books", tags=["v1"], before_request=staff_only)
async def add_v1(
    data: JSONBody[NewBookV1], books: Given[BookStore], settings: Given[BooksSettings]
) -> Response[BookV1]:
    """Put a book on sale."""
    new = NewBookV2(title=data.title, author=data.author, price=data.price)
    book = await _added(books, settings, new)
    return Response(_v1(book), status_code=201, headers={"Location": f"/v1/books/{book.id}"})


@get("/v1/books/{book_id:str}", tags=["v1"])
async def read_v1(book_id: PathId, books: Given[BookStore]) -> Response[BookV1]:
    """One book."""
    # Orders reads each book here: encoded once, by msgspec alone.
    body: Any = text_money.encode(_v1(await _found(books, book_id)))
    return Response(body, media_type="application/json")


@put("/v1/books/{book_id:str}", tags=["v1"], before_request=staff_only)
async def change_v1(
    request: Asked, book_id: PathId, data: JSONBody[BookChangeV1], books: Given[BookStore]
) -> BookV1:
    """Change some fields of a book."""
    return _v1(await _changed(books, request, book_id, data))


@delete("/v1/books/{book_id:str}", status_code=200, tags=["v1"], before_request=staff_only)
async def delete_v1(book_id: PathId, books: Given[BookStore]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(books, book_id)


@get(
    "/v2/books",
    tags=["v2"],
    before_request=plainly_asked,
    dependencies={"search": Provide(searched)},
    operation_class=Searching,
)
async def list_v2(
    request: Asked, books: Given[BookStore], search: Given[Search], limit: Limit = 20, offset: Offset = 0
) -> Response[BookPage]:
    """A page of books on sale that a search finds, by id from the highest."""
    started = perf_counter()
    total, found = await books.page(limit, offset, search)
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


@post("/v2/books", tags=["v2"], before_request=staff_only)
async def add_v2(
    data: JSONBody[NewBookV2], books: Given[BookStore], settings: Given[BooksSettings]
) -> Response[BookV2]:
    """Put a book on sale."""
    book = await _added(books, settings, data)
    return Response(_v2(book), status_code=201, headers={"Location": f"/v2/books/{book.id}"})


@get("/v2/books/{book_id:str}", tags=["v2"])
async def read_v2(book_id: PathId, books: Given[BookStore]) -> BookRead:
    """One book, and where the answer came from."""
    started = perf_counter()
    book = await _found(books, book_id)
    return BookRead(
        **msgspec.structs.asdict(book), from_cache=False, processing_time_ms=_milliseconds_since(started)
    )


@put("/v2/books/{book_id:str}", tags=["v2"], before_request=staff_only)
async def change_v2(
    request: Asked, book_id: PathId, data: JSONBody[BookChangeV2], books: Given[BookStore]
) -> BookV2:
    """Change some fields of a book."""
    return _v2(await _changed(books, request, book_id, data))


@delete("/v2/books/{book_id:str}", status_code=200, tags=["v2"], before_request=staff_only)
async def delete_v2(book_id: PathId, books: Given[BookStore]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(books, book_id)


def _milliseconds_since(started: float) -> float:
    return round((perf_counter() - started) * 1000, 3)


handlers = [
    list_v1, add_v1, read_v1, change_v1, delete_v1,
    list_v2, add_v2, read_v2, change_v2, delete_v2,
]  # fmt: skip
