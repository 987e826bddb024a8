"""Changing the catalogue over HTTP: /v1 shape for shape as its walk-through, /v2 with what a store needs."""

from collections.abc import Callable
from typing import NoReturn, TypeAlias

from litestar import Response, delete, post, put
from litestar.params import JSONBody

from bookstore.books.cache import Cache
from bookstore.books.catalogue.model import Book, given
from bookstore.books.catalogue.shapes import book_v1, book_v2, etag_v1, etag_v2
from bookstore.books.catalogue.store import BookStore
from bookstore.books.settings import BooksSettings
from bookstore.contracts.books import (
    BookChangeV1,
    BookChangeV2,
    BookV1,
    BookV2,
    Deleted,
    NewBookV1,
    NewBookV2,
)
from bookstore.service.conditional import require_match
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.problem import Asked, invalid, not_found
from bookstore.service.provide import Given

Validator: TypeAlias = Callable[[Book], str]


async def _added(books: BookStore, cache: Cache, settings: BooksSettings, new: NewBookV2) -> Book:
    async with cache.changing([]):
        return await books.add(
            title=new.title,
            author=new.author,
            price=new.price,
            description=new.description or None,
            stock=settings.default_stock if new.stock is None else new.stock,
        )


async def _changed(
    request: Asked, books: BookStore, cache: Cache, book_id: str, change: BookChangeV1, *, etag: Validator
) -> Book:
    number = identity("book", book_id)
    fields = given(change)
    if not fields:
        raise invalid(request.scope["path"], "give at least one field to change")
    async with cache.changing([number]):
        return await books.change(number, fields, _check(request, etag)) or _missing(number)


async def _deleted(request: Asked, books: BookStore, cache: Cache, book_id: str, etag: Validator) -> Deleted:
    number = identity("book", book_id)
    async with cache.changing([number]):
        if not await books.delete(number, _check(request, etag)):
            _missing(number)
    return Deleted(message=f"Book with ID {number} was deleted successfully")


def _check(request: Asked, etag: Validator) -> Callable[[Book], None] | None:
    """What `If-Match` asks of a book before it may be changed."""
    headers = request.scope["headers"]
    if not any(name == b"if-match" for name, _ in headers):
        return None
    return lambda book: require_match(headers, etag(book))


def _missing(book_id: int) -> NoReturn:
    raise not_found("book", book_id)


@post("/v1/books", tags=["v1"])
async def add_v1(
    data: JSONBody[NewBookV1], books: Given[BookStore], cache: Given[Cache], settings: Given[BooksSettings]
) -> Response[BookV1]:
    """Put a book on sale."""
    new = NewBookV2(title=data.title, author=data.author, price=data.price)
    book = await _added(books, cache, settings, new)
    return Response(book_v1(book), status_code=201, headers={"Location": f"/v1/books/{book.id}"})


@put("/v1/books/{book_id:str}", tags=["v1"], responses=problems(412))
async def change_v1(
    request: Asked,
    book_id: PathId,
    data: JSONBody[BookChangeV1],
    books: Given[BookStore],
    cache: Given[Cache],
) -> BookV1:
    """Change some fields of a book."""
    return book_v1(await _changed(request, books, cache, book_id, data, etag=etag_v1))


@delete("/v1/books/{book_id:str}", status_code=200, tags=["v1"], responses=problems(412))
async def delete_v1(request: Asked, book_id: PathId, books: Given[BookStore], cache: Given[Cache]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(request, books, cache, book_id, etag_v1)


@post("/v2/books", tags=["v2"])
async def add_v2(
    data: JSONBody[NewBookV2], books: Given[BookStore], cache: Given[Cache], settings: Given[BooksSettings]
) -> Response[BookV2]:
    """Put a book on sale."""
    book = await _added(books, cache, settings, data)
    return Response(book_v2(book), status_code=201, headers={"Location": f"/v2/books/{book.id}"})


@put("/v2/books/{book_id:str}", tags=["v2"], responses=problems(412))
async def change_v2(
    request: Asked,
    book_id: PathId,
    data: JSONBody[BookChangeV2],
    books: Given[BookStore],
    cache: Given[Cache],
) -> BookV2:
    """Change some fields of a book."""
    return book_v2(await _changed(request, books, cache, book_id, data, etag=etag_v2))


@delete("/v2/books/{book_id:str}", status_code=200, tags=["v2"], responses=problems(412))
async def delete_v2(request: Asked, book_id: PathId, books: Given[BookStore], cache: Given[Cache]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(request, books, cache, book_id, etag_v2)


handlers = [add_v1, change_v1, delete_v1, add_v2, change_v2, delete_v2]
