"""The catalogue over HTTP: /v1 shape for shape as its walk-through, /v2 with what a store needs."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, NoReturn, TypeAlias

from litestar import Response, delete, get, post, put
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody

from bookstore.books.cache import Cache
from bookstore.books.catalogue.answers import REVALIDATE, told
from bookstore.books.catalogue.asked import Searching, searched
from bookstore.books.catalogue.model import Book, given
from bookstore.books.catalogue.reading import Reading
from bookstore.books.catalogue.shapes import book_v1, book_v2, etag_v1, etag_v2
from bookstore.books.catalogue.store import BookStore
from bookstore.books.settings import BooksSettings
from bookstore.contracts.books import (
    BookChangeV1,
    BookChangeV2,
    BookPage,
    BookRead,
    BookV1,
    BookV2,
    CacheContents,
    CacheKey,
    Deleted,
    NewBookV1,
    NewBookV2,
)
from bookstore.service.conditional import is_conditional, is_known, require_match
from bookstore.service.docs import problems
from bookstore.service.identity import PathId, identity
from bookstore.service.pages import Limit, Offset, page_headers, plainly_asked
from bookstore.service.problem import Asked, invalid, not_found
from bookstore.service.provide import Given
from bookstore.service.tokens.callers import ops_only, staff_only

KNOWN = {304: ResponseSpec(None, description="The caller has it already.")}
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
    """What `If-Match` and `If-None-Match` ask of a book before it may be changed."""
    headers = request.scope["headers"]
    return (lambda book: require_match(headers, etag(book))) if is_conditional(headers) else None


def _missing(book_id: int) -> NoReturn:
    raise not_found("book", book_id)


def _answer(request: Asked, etag: str, body: bytes, headers: dict[str, str] | None = None) -> Response[Any]:
    headers = {"ETag": etag, **REVALIDATE, **(headers or {})}
    if is_known(request.scope["headers"], etag):
        return Response(None, status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")


@get("/v1/books", tags=["v1"], before_request=plainly_asked, responses=KNOWN)
async def list_v1(
    request: Asked, reading: Given[Reading], limit: Limit = 100, offset: Offset = 0
) -> Response[list[BookV1]]:
    """Books on sale, the newest first."""
    entry = await reading.page_v1(limit, offset)
    return _answer(request, entry.etag, entry.body)


@get("/v1/books/{book_id:str}", tags=["v1"], responses=KNOWN)
async def read_v1(request: Asked, book_id: PathId, reading: Given[Reading]) -> Response[BookV1]:
    """One book."""
    entry = await reading.book_v1(identity("book", book_id))
    return _answer(request, entry.etag, entry.body)


@get(
    "/v2/books",
    tags=["v2"],
    before_request=plainly_asked,
    operation_class=Searching,
    responses=KNOWN,
)
async def list_v2(
    request: Asked, reading: Given[Reading], limit: Limit = 20, offset: Offset = 0
) -> Response[BookPage]:
    """A page of books on sale that a search finds, by id from the highest."""
    started = perf_counter()
    entry, from_cache = await reading.page_v2(limit, offset, searched(request))
    query = request.query_params.multi_items()
    headers = page_headers("/v2/books", query, total=entry.total, limit=limit, offset=offset)
    return _answer(request, entry.etag, told(entry.body, started, from_cache=from_cache), headers)


@get("/v2/books/{book_id:str}", tags=["v2"], responses=KNOWN)
async def read_v2(request: Asked, book_id: PathId, reading: Given[Reading]) -> Response[BookRead]:
    """One book, and where the answer came from."""
    started = perf_counter()
    entry, from_cache = await reading.book_v2(identity("book", book_id))
    return _answer(request, entry.etag, told(entry.body, started, from_cache=from_cache))


@get("/v2/cache", tags=["v2"], before_request=ops_only)
async def look_inside(cache: Given[Cache]) -> CacheContents:
    """What is kept now, and how often that helped this process."""
    counts = (cache.tally.book, cache.tally.page)
    return CacheContents(
        hits=sum(each.hits for each in counts),
        misses=sum(each.misses for each in counts),
        keys=[CacheKey(**vars(kept)) for kept in await cache.contents()],
    )


@post("/v1/books", tags=["v1"], before_request=staff_only)
async def add_v1(
    data: JSONBody[NewBookV1], books: Given[BookStore], cache: Given[Cache], settings: Given[BooksSettings]
) -> Response[BookV1]:
    """Put a book on sale."""
    new = NewBookV2(title=data.title, author=data.author, price=data.price)
    book = await _added(books, cache, settings, new)
    return Response(book_v1(book), status_code=201, headers={"Location": f"/v1/books/{book.id}"})


@put("/v1/books/{book_id:str}", tags=["v1"], before_request=staff_only, responses=problems(412))
async def change_v1(
    request: Asked,
    book_id: PathId,
    data: JSONBody[BookChangeV1],
    books: Given[BookStore],
    cache: Given[Cache],
) -> BookV1:
    """Change some fields of a book."""
    return book_v1(await _changed(request, books, cache, book_id, data, etag=etag_v1))


@delete(
    "/v1/books/{book_id:str}",
    status_code=200,
    tags=["v1"],
    before_request=staff_only,
    responses=problems(412),
)
async def delete_v1(request: Asked, book_id: PathId, books: Given[BookStore], cache: Given[Cache]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(request, books, cache, book_id, etag_v1)


@post("/v2/books", tags=["v2"], before_request=staff_only)
async def add_v2(
    data: JSONBody[NewBookV2], books: Given[BookStore], cache: Given[Cache], settings: Given[BooksSettings]
) -> Response[BookV2]:
    """Put a book on sale."""
    book = await _added(books, cache, settings, data)
    return Response(book_v2(book), status_code=201, headers={"Location": f"/v2/books/{book.id}"})


@put("/v2/books/{book_id:str}", before_request=staff_only, tags=["v2"], responses=problems(412))
async def change_v2(
    request: Asked,
    book_id: PathId,
    data: JSONBody[BookChangeV2],
    books: Given[BookStore],
    cache: Given[Cache],
) -> BookV2:
    """Change some fields of a book."""
    return book_v2(await _changed(request, books, cache, book_id, data, etag=etag_v2))


@delete(
    "/v2/books/{book_id:str}",
    status_code=200,
    before_request=staff_only,
    tags=["v2"],
    responses=problems(412),
)
async def delete_v2(request: Asked, book_id: PathId, books: Given[BookStore], cache: Given[Cache]) -> Deleted:
    """Take a book off sale; it stays in the orders that were made."""
    return await _deleted(request, books, cache, book_id, etag_v2)


handlers = [
    list_v1, read_v1, add_v1, change_v1, delete_v1,
    list_v2, read_v2, add_v2, change_v2, delete_v2,
    look_inside,
]  # fmt: skip
